"""Names and shapes of the tensors in a file, without reading the tensors. No torch but for pickles.

A safetensors file begins with 8 bytes, the length of a JSON header (its documentation, "Format").
"""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sdviz.errors import ModelError
from sdviz.regular_files import open_regular

_LONGEST = 100_000_000  # bytes of a header, as in safetensors itself

_MOST_DIMENSIONS = 32
_BITS = {  # of a number, by the names that safetensors has for its kinds
    **dict.fromkeys(("F4",), 4),
    **dict.fromkeys(("F6_E2M3", "F6_E3M2"), 6),
    **dict.fromkeys(("BOOL", "U8", "I8", "F8_E5M2", "F8_E4M3", "F8_E8M0"), 8),
    **dict.fromkeys(("F8_E5M2FNUZ", "F8_E4M3FNUZ"), 8),
    **dict.fromkeys(("U16", "I16", "F16", "BF16"), 16),
    **dict.fromkeys(("U32", "I32", "F32"), 32),
    **dict.fromkeys(("U64", "I64", "F64", "C64"), 64),
}
# How struct spells the numbers of a safetensors file, little-endian.
_NUMBERS = {"F64": "<d", "F32": "<f", "F16": "<e", "BF16": "<h", "I64": "<q", "I32": "<i",
            "I16": "<h", "I8": "<b", "U8": "<B"}  # fmt: skip

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
    found = _header(path)[0].get("__metadata__")
    texts = found.items() if isinstance(found, dict) else ()
    return {name: text for name, text in texts if isinstance(text, str)}


def scalars(path: Path, names: Iterable[str]) -> dict[str, float]:
    """The numbers that a sound .safetensors file has as tensors of one element, by name."""
    header, room = _header(path)
    found = {}
    with open_regular(path, follow=True) as file:
        start = os.fstat(file.fileno()).st_size - room
        for name in names:
            kind, (begin, end) = header[name]["dtype"], header[name]["data_offsets"]
            if kind not in _NUMBERS or end - begin != struct.calcsize(_NUMBERS[kind]):
                continue
            file.seek(start + begin)
            raw = file.read(end - begin)
            if kind == "BF16":  # the upper half of a float32
                kind, raw = "F32", b"\0\0" + raw
            found[name] = float(struct.unpack(_NUMBERS[kind], raw)[0])
    return found


def need_consent(path: Path, key: str, trust_pickle: bool) -> None:
    """ModelError for a pickle that nobody vouched for."""
    if not trust_pickle:
        raise ModelError(
            f"{key}={path}: a {path.suffix} file is a pickle, and a pickle can run any code; use "
            "the .safetensors file, or set model.trust_pickle=true if you trust its source",
            key=key,
        )


def _of_safetensors(path: Path, key: str) -> Shapes:
    broken = f"{key}={path}: not an intact .safetensors file"
    try:
        header, room = _header(path)
        tensors = {name: about for name, about in header.items() if name != "__metadata__"}
        end = 0
        for name, about in sorted(tensors.items(), key=lambda one: one[1]["data_offsets"]):
            end = _check(name, about, end)
    except OSError as error:
        raise ModelError(f"{key}={path}: cannot be read: {error}", key=key) from error
    except _Unsound as error:
        raise ModelError(f"{broken}: {error}; download it again", key=key) from error
    except Exception as error:  # a header may have anything in the place of anything
        raise ModelError(
            f"{broken}: its header cannot be read; download it again", key=key
        ) from error
    if end > room:
        size = path.stat().st_size
        raise ModelError(
            f"{broken}: it ends too early, after {size:,} bytes; download it again", key=key
        )
    if end < room:
        raise ModelError(
            f"{broken}: {room - end:,} bytes of it are no tensor's; download it again", key=key
        )
    return {name: tuple(about["shape"]) for name, about in tensors.items()}


class _Unsound(Exception):
    """What is wrong with a header."""


def _header(path: Path) -> tuple[dict[str, Any], int]:
    """The header, and how many bytes follow it."""
    with open_regular(path, follow=True) as file:
        size = os.fstat(file.fileno()).st_size
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or not 2 <= length <= min(_LONGEST, size - 8):
            raise _Unsound("its header is missing")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise _Unsound("its header cannot be read")
    return header, size - 8 - length


def _check(name: str, about: Mapping[str, Any], begin: int) -> int:
    """Where the tensor ends that must begin at `begin`, as safetensors' own reader wants it."""
    shape, offsets, bits = about["shape"], about["data_offsets"], _BITS.get(about["dtype"])
    if not all(type(number) is int and number >= 0 for number in (*shape, *offsets)):
        raise _Unsound(f"{name} has no shape and place")
    if len(offsets) != 2 or offsets[0] != begin or len(shape) > _MOST_DIMENSIONS:
        raise _Unsound(f"{name} is not where the tensor before it ends")
    if bits is None:
        raise _Unsound(f"{name} has numbers of an unknown kind, {str(about['dtype'])[:20]}")
    if math.prod(shape) * bits != (offsets[1] - begin) * 8:
        raise _Unsound(f"{name} has another size than its shape says")
    end: int = offsets[1]
    return end


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
