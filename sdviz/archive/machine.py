"""What computed the times: the machine and the versions. Imports neither torch nor diffusers."""

from __future__ import annotations

import contextlib
import functools
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from sdviz.__version__ import __version__

_PACKAGES = (
    "torch", "diffusers", "transformers", "numpy", "pillow", "hydra-core", "visdom",
)  # fmt: skip


def machine() -> dict[str, Any]:
    """The processor, its cores, and memory in bytes; no host or user name, archives are shared."""
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count() or 0,
        "memory": _memory(),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
    }


@functools.cache
def versions() -> dict[str, str]:
    """Package -> version, of those that have a say in pictures and times; without absent ones."""
    installed = {"python": platform.python_version(), "sdviz": __version__}
    for package in _PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            installed[package] = metadata.version(package)
    return installed


def _cpu() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return 0  # not known on this system
