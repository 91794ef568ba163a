"""Names and shapes of the tensors in a file, without reading the tensors. No torch but for pickles.

A safetensors file begins with 8 bytes, the length of a JSON header (its documentation, "Format").
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdviz.errors import ModelError

_LONGEST = 100_000_000  # bytes of a header, as in safetensors itself

Shapes = dict[str, tuple[int, ...]]


def shapes(path: Path, *, key: str, trust_pickle: bool = False) -> Shapes:
    """Shape by name of every tensor; ModelError, which names `key`, if `path` is not sound."""
    if path.suffix == ".safetensors":
        return _of_safetensors(path, key)
    need_consent(path, key, trust_pickle)
    from sdviz.models.files.pickles import read

    tensors = read(path, key=key, device="meta")
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def metadata(path: Path) -> dict[str, str]:
    """What whoever saved a sound .safetensors file has written beside the tensors; {} of others."""
    if path.suffix != ".safetensors":
        return {}
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        found = json.loads(file.read(length)).get("__metadata__")
    return found if isinstance(found, dict) else {}


def need_consent(path: Path, key: str, trust_pickle: bool) -> None:
    """ModelError for a pickle that nobody vouched for."""
    if not trust_pickle:
        raise ModelError(
            f"{key}={path}: a {path.suffix} file is a pickle, and a pickle can run any code; "
            "take the .safetensors file, or say model.trust_pickle=true if you trust its source",
            key=key,
        )


def _of_safetensors(path: Path, key: str) -> Shapes:
    broken = f"{key}={path}: not a sound .safetensors file"
    remedy = "fetch it anew"
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            if size < 8 or not 2 <= length <= min(_LONGEST, size - 8):
                raise ModelError(f"{broken}: its header is not there; {remedy}", key=broken)
            header = json.loads(file.read(length))
    except OSError as error:
        raise ModelError(f"{key}={path}: cannot be read: {error}", key=key) from error
    except ValueError as error:
        raise ModelError(f"{broken}: its header cannot be read; {remedy}", key=broken) from error
    try:
        found = {name: about for name, about in header.items() if name != "__metadata__"}
        ends = [int(about["data_offsets"][1]) for about in found.values()]
        if max(ends, default=0) > size - 8 - length:
            raise ModelError(
                f"{broken}: it ends too early, after {size:,} bytes; {remedy}", key=broken
            )
        return {name: tuple(about["shape"]) for name, about in found.items()}
    except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
        raise ModelError(f"{broken}: its header cannot be read; {remedy}", key=broken) from error


def of_folder(folder: Path, files: list[Path], *, key: str) -> Shapes:
    """Shapes of all tensors in the .safetensors files of a component; {} if it has none."""
    found: Mapping[str, Any] = {}
    for file in files:
        if file.parent == folder and file.suffix == ".safetensors":
            found = {**found, **_of_safetensors(file, key)}
    return dict(found)


PICKLES = (".ckpt", ".pt", ".pth", ".bin")


def is_pickle(path: Path) -> bool:
    return path.suffix in PICKLES
