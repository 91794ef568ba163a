"""Where a model's files are: the shipped miniature, a folder, or the local cache of the hub."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

from sdviz.errors import ModelError
from sdviz.models.files.refusal import check_regular
from sdviz.plan.config import ModelSpec

MINIATURE = Path(__file__).parents[2] / "miniature"
# What a model in diffusers' layout needs of its repository, and copies that it does not need.
_WANTED = ("*.json", "*.txt", "*.model", "*/*{variant}.safetensors")
_UNWANTED = ("*non_ema*", "safety_checker/*", "*.fp16.safetensors")
Patterns = tuple[list[str], list[str]]


def find(spec: ModelSpec) -> Path:
    """The folder, or the single file, of the model that `spec` names.

    ModelError, with what fetches it, if it is not here.
    """
    if not spec.id:
        return MINIATURE.resolve() if MINIATURE.is_dir() else _missing("model", spec.name)
    return anywhere(
        spec.id,
        key="model",
        name=spec.name,
        revision=spec.revision,
        variant=spec.variant,
        local_files_only=spec.local_files_only,
    )


def anywhere(
    place: str,
    *,
    key: str,
    name: str = "",
    revision: str = "",
    variant: str = "",
    parts: Collection[str] = (),
    local_files_only: bool = True,
) -> Path:
    """The file or folder that `place` names: a path, or a hub id (owner/name) in the local cache.

    `key` and `name` are for the message of the ModelError. The hub is asked only where
    `local_files_only` is false, and then for the components `parts` or, where there are none of
    them, for all; HF_ENDPOINT names another hub, as everywhere.
    """
    path = Path(place).expanduser()
    if path.exists():
        check_regular(path, f"{key}={name or place}")
        return path.resolve()
    if not _is_hub_id(place):
        return _missing(key, name or place, path)
    patterns = _patterns(key, variant, parts)
    return _in_hub(place, key, name or place, revision, patterns, local_files_only)


def _missing(key: str, name: str, path: Path | None = None) -> Path:
    what = f"there is no file or folder {path}" if path else "the shipped files are not there"
    raise ModelError(
        f"{key}={name}: {what}; name a file, a folder or a hub id (owner/name)", key=key
    )


def _is_hub_id(name: str) -> bool:
    parts = name.split("/")
    return len(parts) == 2 and all(parts) and not name.startswith((".", "~", "/"))


def _in_hub(
    repo: str, key: str, name: str, revision: str, patterns: Patterns, local_files_only: bool
) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    wanted, unwanted = patterns
    options: dict[str, Any] = {"allow_patterns": wanted, "ignore_patterns": unwanted}
    try:
        found = snapshot_download(
            repo, revision=revision or None, local_files_only=local_files_only, **options
        )
    except (LocalEntryNotFoundError, HFValidationError) as error:
        raise ModelError(
            f"{key}={name}: {repo} is not here and not in the hub's cache; "
            f"{_command(repo, revision, patterns)}",
            key=key,
        ) from error
    except (HfHubHTTPError, OSError) as error:
        raise ModelError(f"{key}={name}: the hub did not give {repo}: {error}", key=key) from error
    return Path(found)


def fetching(
    repo: str,
    *,
    key: str = "model",
    revision: str = "",
    variant: str = "",
    parts: Collection[str] = (),
) -> str:
    """What to say about a hub id whose files are missing: the command that fetches them.

    Of the components `parts` alone, where there are any.
    """
    return _command(repo, revision, _patterns(key, variant, parts))


def _command(repo: str, revision: str, patterns: Patterns) -> str:
    wanted, unwanted = patterns
    words = [f"{program('hf')} download {repo}", *([f"--revision {revision}"] if revision else [])]
    words += [f'--include "{pattern}"' for pattern in wanted]
    words += [f'--exclude "{pattern}"' for pattern in unwanted]
    return f"download it with: {' '.join(words)} (HF_ENDPOINT=https://... in front uses a mirror)"


def program(name: str) -> str:
    """How a shell finds a program of this Python's: by its name, or where it is."""
    here = Path(sys.executable).with_name(name)
    if shutil.which(name) or not here.is_file():
        return name
    return shlex.quote(os.path.relpath(here) if here.is_relative_to(Path.cwd()) else str(here))


def _patterns(key: str, variant: str, parts: Collection[str]) -> Patterns:
    """Of files in a repository, to fetch and not to fetch."""
    if parts:
        wanted = ["model_index.json", *(f"{part}/*" for part in parts)]
        return wanted, [] if variant else ["*.fp16*"]
    if key != "model":
        return ["*.json", "*.safetensors"], []
    wanted = [pattern.format(variant=f".{variant}" if variant else "") for pattern in _WANTED]
    return wanted, [pattern for pattern in _UNWANTED if not variant or variant not in pattern]
