"""Is there room for a model? What it needs at least, by its files, and what a device has. No torch,
but of a GPU.

Both numbers err on the side of trying: what is refused here could not have been computed.
"""

from __future__ import annotations

import math
import os
import sys
from pathlib import Path

from sdviz.errors import ConfigError
from sdviz.models.files import identity, tensors
from sdviz.models.info import ModelInfo
from sdviz.plan.config import ModelSpec

_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
# What a single file holds of the model itself, and not of its training.
_PARTS = ("model.diffusion_model.", "first_stage_model.", "vae.", "cond_stage_model.",
          "conditioner.", "text_encoders.")  # fmt: skip
_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def check_weights(spec: ModelSpec, info: ModelInfo, *, device: str, dtype: str) -> None:
    """ConfigError where the weights alone are more than the device has free."""
    needed, there = weights(spec, info, dtype), free(device)
    if needed > there:
        remedy = "a half-precision dtype needs half of it" if dtype == "float32" else "free some"
        raise ConfigError(
            f"model={spec.name}: not enough memory: its weights take {_gb(needed)} in {dtype}, and "
            f"{device} has {_gb(there)} free; {remedy}, or use another device or a smaller model",
            key="model",
        )


def check_picture(
    spec: ModelSpec, info: ModelInfo, width: int, height: int, *, device: str, dtype: str
) -> None:
    """ConfigError where the device cannot hold the weights and the decoding of one picture."""
    needed = weights(spec, info, dtype) + decoding(info, width, height, dtype)
    there = free(device)
    if needed > there:
        raise ConfigError(
            f"width={width}, height={height}: not enough memory: {spec.name} needs {_gb(needed)} "
            f"in {dtype} to decode such a picture, and {device} has {_gb(there)} free; smaller "
            "pictures need less, and so does engine.vae_tiling=true",
            key="width",
        )


def weights(spec: ModelSpec, info: ModelInfo, dtype: str) -> int:
    """Bytes of all parts of the model in `dtype`; those of pickles as if they were float32."""
    files = [info.checkpoint] if info.checkpoint else identity.files_of(info.folder, spec.variant)
    files += [file for part in info.parts.values() for file in identity.weights_of(part, "")]
    return sum(_of_file(path, _BYTES[dtype]) for path in files)


def _of_file(path: Path, each: int) -> int:
    if path.suffix != ".safetensors":
        pickled = path.stat().st_size if path.suffix not in identity.SMALL else 0
        return pickled * each // 4
    found = tensors.shapes(path, key="model")
    own = {name: shape for name, shape in found.items() if name.startswith(_PARTS)} or found
    return each * sum(math.prod(shape) for shape in own.values())


def decoding(info: ModelInfo, width: int, height: int, dtype: str) -> int:
    """Bytes of the VAE's largest convolution, at the picture's own size: what goes in and out.

    Of diffusers' AutoencoderKL that is the one behind its last enlargement; 0 of any other VAE.
    """
    if info.vae.get("_class_name") != "AutoencoderKL":
        return 0
    channels: list[int] = [*info.vae.get("block_out_channels", []), 0, 0][:2]
    return 2 * max(channels) * width * height * _BYTES[dtype]


def free(device: str) -> int:
    """Bytes that this program could have on `device`, with what it holds there already."""
    if device.startswith("cuda"):
        import torch

        unused, _ = torch.cuda.mem_get_info(device)
        return int(unused) + torch.cuda.memory_reserved(device)
    return min(_free_here(), *_limits())


def _free_here() -> int:
    """Of the machine, swap included; where nothing tells it, no number is too large."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        told = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
        return told["MemAvailable"] + told["SwapFree"] + pages * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, KeyError, IndexError):
        return sys.maxsize


def _limits() -> list[int]:
    """What the process may have at most: its own limit, and that of its container."""
    found = [sys.maxsize]
    for name in _LIMITS:
        try:
            found.append(int(Path(name).read_text(encoding="ascii")))
        except (OSError, ValueError):  # none, or "max"
            continue
    if sys.platform != "win32":
        import resource

        limit = resource.getrlimit(resource.RLIMIT_AS)[0]
        found += [limit] if limit != resource.RLIM_INFINITY else []
    return found


def _gb(count: int) -> str:
    return f"{count / 1e9:,.1f} GB"
