"""A model's identity: the hash of its files, so that a folder may move and keep its cells."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

# Components without a part in the picture: safety checkers, feature extractors, preview decoders.
IGNORED = {"safety_checker", "feature_extractor", "vae_tiny", "image_encoder", "clip"}
SMALL = {".json", ".txt", ".model", ".jinja", ".tiktoken"}
_BLOCK = 1 << 22


def of_folder(folder: Path, *, variant: str = "") -> str:
    """64 hex digits over every file of a diffusers folder that can change a pixel."""
    cache = _Cache()
    content = hashlib.sha256()
    for path in files_of(folder, variant):
        content.update(path.relative_to(folder).as_posix().encode())
        content.update(cache.hash_of(path).encode())
    cache.save()
    return content.hexdigest()


def of_file(path: Path) -> str:
    """64 hex digits of one file's content."""
    cache = _Cache()
    content = cache.hash_of(path)
    cache.save()
    return content


def of_component(folder: Path) -> str:
    """64 hex digits of one component: its configuration and its weights."""
    cache = _Cache()
    content = hashlib.sha256()
    for path in sorted([folder / "config.json", *weights_of(folder, "")]):
        content.update(cache.hash_of(path).encode())
    cache.save()
    return content.hexdigest()


def files_of(folder: Path, variant: str = "") -> list[Path]:
    """Weights, configurations and vocabularies of the components, in a fixed order."""
    components = [path for path in folder.iterdir() if path.is_dir() and path.name not in IGNORED]
    small = [path for part in components for path in part.iterdir() if path.suffix in SMALL]
    return sorted([*small, *(path for part in components for path in weights_of(part, variant))])


def weights_of(component: Path, variant: str) -> list[Path]:
    """The weight files that diffusers loads: safetensors before pickles, the variant if there."""
    files = [path for path in component.iterdir() if path.suffix in (".safetensors", ".bin")]
    files = [path for path in files if path.suffix == ".safetensors"] or files
    wanted = [path for path in files if variant and f".{variant}" in path.name]
    return wanted or [path for path in files if ".fp16" not in path.name] or files


def has_weights(component: Path) -> bool:
    """Is the component there whole, and not its configuration alone?"""
    return (component / "config.json").is_file() and bool(weights_of(component, ""))


def cache_folder() -> Path:
    """The user's cache folder for sdviz, by the custom of the system."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "sdviz"


class _Cache:
    """Hashes by (path, size, modification time): gigabytes are read once, not at every sweep."""

    def __init__(self) -> None:
        self.path = cache_folder() / "hashes.json"
        self.changed = False
        try:
            self.hashes: dict[str, str] = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            self.hashes = {}

    def hash_of(self, path: Path) -> str:
        stat = path.stat()
        name = f"{path.resolve()}|{stat.st_size}|{stat.st_mtime_ns}"
        if name not in self.hashes:
            self.hashes[name] = _hash(path)
            self.changed = True
        return self.hashes[name]

    def save(self) -> None:
        """Keeps the hashes; a cache that cannot be written costs time, nothing else."""
        if not self.changed:
            return
        aside = self.path.with_suffix(f".{os.getpid()}")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            aside.write_text(json.dumps(self.hashes), encoding="utf-8")
            aside.replace(self.path)
        except OSError:
            aside.unlink(missing_ok=True)


def _hash(path: Path) -> str:
    content = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            content.update(block)
    return content.hexdigest()
