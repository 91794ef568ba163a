"""Which device and number format a sweep runs in; known without torch where there is no GPU."""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path

from sdviz.errors import ConfigError
from sdviz.plan.config import Config

DTYPES = ("float32", "bfloat16", "float16")
# Traces that a GPU's driver leaves; only then is torch asked whether it can use the GPU.
_DRIVERS = ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg", "/dev/kfd")


def resolve(config: Config, *, has_flow: bool = False) -> tuple[str, str]:
    """(device, dtype) as torch names them, e.g. ("cuda:0", "float16"); "auto" is settled here.

    float16 on a GPU, as the field does, but bfloat16 where a model was trained by flow matching
    (`has_flow`): Flux and Stable Diffusion 3.5 were published in it, and overflow in float16.
    float32 on a CPU. ConfigError for what cannot be.
    """
    device = _device(config.device)
    if config.dtype not in ("auto", *DTYPES):
        raise ConfigError(
            f"dtype={config.dtype}: not one of auto, {', '.join(DTYPES)}; remove it for auto",
            key="dtype",
        )
    if config.dtype != "auto":
        return device, config.dtype
    half = "bfloat16" if has_flow else "float16"
    return device, "float32" if device == "cpu" else half


def described(device: str) -> dict[str, str]:
    """For the archive: `device` as it was settled, and the name of a GPU of NVIDIA's or AMD's."""
    if not device.startswith("cuda"):
        return {"device": device}
    import torch

    return {"device": device, "gpu": torch.cuda.get_device_name(device)}


def _device(wanted: str) -> str:
    if not re.fullmatch(r"auto|cpu|mps|cuda(:\d+)?", wanted):
        raise ConfigError(f"device={wanted}: not one of auto, cpu, cuda, cuda:1, mps", key="device")
    if wanted == "cpu":
        return "cpu"
    if wanted == "auto":
        return _best() if _may_have_gpu() else "cpu"
    import torch

    if wanted == "mps":
        usable = torch.backends.mps.is_available()
    else:
        index = int(wanted.partition(":")[2] or 0)
        usable = torch.cuda.is_available() and index < torch.cuda.device_count()
    if not usable:
        raise ConfigError(
            f"device={wanted}: torch {torch.__version__} sees none; device=cpu works", key="device"
        )
    return wanted


def _may_have_gpu() -> bool:
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if sys.platform == "win32":
        return (Path(os.environ.get("WINDIR", "C:/Windows")) / "System32" / "nvcuda.dll").exists()
    return any(Path(trace).exists() for trace in _DRIVERS)


def _best() -> str:
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
