"""Several LoRAs in one cell, and the epochs of a training as an axis. No torch.

lora=a.safetensors+b.safetensors lora_scale=1+0.5    both, each at its own scale
lora=out/*.safetensors, lora=out                     every file, in the order of training
"""

from __future__ import annotations

import glob
import itertools
import re
from collections.abc import Iterator
from pathlib import Path

from sdviz.errors import ConfigError

_SUFFIXES = (".safetensors", ".ckpt", ".pt", ".pth", ".bin")
_WHOLE = ("pytorch_lora_weights.safetensors", "adapter_model.safetensors")  # one LoRA's folder
_SCALES = re.compile(r"\s*-?[\d.]+(?:e-?\d+)?(?:\s*\+\s*-?[\d.]+(?:e-?\d+)?)+\s*", re.IGNORECASE)

Scale = float | str  # 0.5, or "1+0.5"


def names(lora: str) -> list[str]:
    """The LoRAs of a recipe; a file or folder whose own name has a plus sign is one."""
    if "+" not in lora or Path(lora).expanduser().exists():
        return [lora] if lora else []
    return [name for part in lora.split("+") if (name := part.strip())]


def scales(scale: Scale) -> list[float]:
    return [float(part) for part in scale.split("+")] if isinstance(scale, str) else [scale]


def pairs(lora: str, scale: Scale) -> tuple[tuple[str, float], ...]:
    """Each LoRA with its scale, without those at 0; one scale is that of all.

    Raises ConfigError where there are not as many scales as LoRAs.
    """
    loras, weights = names(lora), scales(scale)
    if len(weights) == 1:
        weights *= len(loras)
    if loras and len(weights) != len(loras):
        raise ConfigError(
            f"lora_scale={scale}: {len(weights)} scales for the {len(loras)} of lora={lora}; give "
            "one for all, or one each, such as 1+0.5; zip=[[lora,lora_scale]] pairs lists",
            key="lora_scale",
        )
    return tuple((name, weight) for name, weight in zip(loras, weights, strict=False) if weight)


def is_off(scale: Scale) -> bool:
    return not any(scales(scale))


def read_scales(text: str) -> str | None:
    """ "1+0.5" in its one spelling; None for what is not several numbers. Raises ConfigError."""
    if not _SCALES.fullmatch(text):
        return None
    try:
        return "+".join(f"{float(part):g}" for part in text.split("+"))
    except ValueError:
        raise ConfigError(f"{text!r}: must be numbers, such as 1+0.5", key="lora") from None


def expanded(lora: str) -> list[str]:
    """`lora` with what its patterns match, and what its folders of several hold, one value each.

    Raises ConfigError where a pattern matches nothing.
    """
    several = [list(_files(name)) for name in names(lora)] or [[lora]]
    return ["+".join(each) for each in itertools.product(*several)]


def _files(name: str) -> Iterator[str]:
    path = Path(name).expanduser()
    if path.is_dir() and not any((path / whole).is_file() for whole in _WHOLE):
        files = [str(file) for file in path.glob("*.safetensors")]
        yield from in_order(files) if len(files) > 1 else [name]
    elif not path.exists() and glob.has_magic(name):
        files = [file for file in glob.glob(str(path), recursive=True)
                 if Path(file).is_dir() or file.endswith(_SUFFIXES)]  # fmt: skip
        if not files:
            raise ConfigError(f"lora={name}: no file matches; name existing files", key="lora")
        yield from in_order(files)
    else:
        yield name


def in_order(files: list[str]) -> list[str]:
    """As they were saved: by the numbers in their names, and that without one, the last, behind.

    kohya's scripts save name-000002.safetensors ... and name.safetensors at the end.
    """
    stems = {file: file.removesuffix(Path(file).suffix) for file in files}

    def order(file: str) -> tuple[bool, list[tuple[int, str]]]:
        stem = stems[file]
        is_last = any(other != stem and other.startswith(stem) for other in stems.values())
        parts = re.split(r"(\d+)", stem)
        return is_last, [(int(part), "") if part.isdigit() else (-1, part) for part in parts]

    return sorted(files, key=order)
