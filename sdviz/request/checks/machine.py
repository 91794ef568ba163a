"""What this machine has for a sweep: disk, compiler, memory."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sdviz.errors import ConfigError, SdvizError
from sdviz.request.checks.asked import Asked

if TYPE_CHECKING:
    pass

_SPARE = 64 << 20  # bytes that must be free to begin at all


def outputs(asked: Asked) -> list[SdvizError]:
    """Can archives be written into `folder`, and is there room? Nothing is made."""
    folder = Path(asked.config.outputs)
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise ConfigError(
            f"outputs={folder}: {there} is a file, not a folder; name a folder", key="outputs"
        )
    if not os.access(there, os.W_OK | os.X_OK):
        raise ConfigError(
            f"outputs={folder}: {there} is not writable; name another folder", key="outputs"
        )
    total, _, free = shutil.disk_usage(there)
    if not total:
        raise ConfigError(
            f"outputs={folder}: {there} cannot hold files; name a folder on a disk", key="outputs"
        )
    if free < _SPARE:
        raise ConfigError(
            f"outputs={folder}: the disk is nearly full ({free >> 20} MB free); name a folder on "
            "another disk, or free some space",
            key="outputs",
        )
    return []


def compiler(asked: Asked) -> Iterator[SdvizError]:
    """torch.compile makes C++ of a model that is computed on the CPU."""
    config = asked.config
    names = [os.environ.get("CXX", ""), "g++", "clang++", "cl"]
    if config.engine.compile and config.device == "cpu" and not any(map(_compiles, names)):
        yield ConfigError(
            "engine.compile=true: needs a C++ compiler on the CPU, and there is none; apt-get "
            "install g++, or remove it",
            key="engine.compile",
        )


def _compiles(name: str) -> bool:
    """Is there such a compiler, and does it start?"""
    program = shutil.which(name)
    if not program or name == "cl":  # Microsoft's has no --version
        return bool(program)
    try:
        return (
            subprocess.run([program, "--version"], capture_output=True, timeout=60).returncode == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def weights(asked: Asked) -> Iterator[SdvizError]:
    """Models whose weights alone are more than the device has room for."""
    from sdviz.models.hardware import room

    config = asked.config
    if config.dtype == "auto":  # it could not be resolved, and has an error already
        return
    for name, info in asked.infos.items():
        try:
            room.check_weights(config.models[name], info, device=config.device, dtype=config.dtype)
        except SdvizError as error:
            yield error


def pictures(asked: Asked) -> Iterator[SdvizError]:
    """Sizes that the device has no room for: of each model's pictures the largest."""
    from sdviz.models.hardware import room
    from sdviz.plan.passes import passes

    config = asked.config
    if config.engine.vae_tiling or config.dtype == "auto":  # as in `weights`
        return
    ends = [(recipe.model, passes(recipe)[-1]) for recipe in asked.recipes]
    for name, info in asked.infos.items():
        of_model = [end for model, end in ends if model == name]
        if not of_model:
            continue
        largest = max(of_model, key=lambda end: end.width * end.height)
        try:
            room.check_picture(
                config.models[name], info, largest.width, largest.height,
                device=config.device, dtype=config.dtype,
            )  # fmt: skip
        except SdvizError as error:
            yield error
