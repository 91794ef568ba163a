"""Where a model's parts come from: a folder in diffusers' layout, or a single file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny

from sdviz.config import ModelSpec
from sdviz.models import headers, pickles
from sdviz.models.info import ModelInfo


def ready(module: Any, device: str) -> Any:
    """A component on its device, for inference.

    The VAEs' convolutions are wide pictures of few channels, which a CPU computes faster with the
    channels last: up to 1.6 times, and never slower.
    """
    if device == "cpu" and isinstance(module, (AutoencoderKL, AutoencoderTiny)):
        module.to(memory_format=torch.channels_last)
    return module.to(device).eval().requires_grad_(False)


class Folder:
    """The parts of a model in diffusers' layout."""

    def __init__(self, info: ModelInfo, spec: ModelSpec, device: str, dtype: torch.dtype) -> None:
        self.path: Path = info.folder
        self.spec = spec
        self.device = device
        self.dtype = dtype

    def part(self, cls: Any, name: str, dtype: torch.dtype | None = None) -> Any:
        """The component `name`, ready for inference."""
        module = self._load(cls, name, dtype or self.dtype)
        return ready(module, self.device)

    def _load(self, cls: Any, name: str, dtype: torch.dtype) -> Any:
        options: dict[str, Any] = {"variant": self.spec.variant} if self.spec.variant else {}
        return cls.from_pretrained(
            self.path, subfolder=name, torch_dtype=dtype, local_files_only=True, **options
        )

    def words(self, cls: Any, name: str = "tokenizer") -> Any:
        """The tokenizer in the folder `name`."""
        return cls.from_pretrained(self.path, subfolder=name, local_files_only=True)

    def tiny_vae(self) -> Any | None:
        """The small decoder for previews that the model brings along; None where it has none."""
        if not (self.path / "vae_tiny").is_dir():
            return None
        module = AutoencoderTiny.from_pretrained(
            self.path, subfolder="vae_tiny", torch_dtype=self.dtype, local_files_only=True
        )
        return ready(module, self.device)

    def json(self, name: str) -> dict[str, Any]:
        """The configuration in the file `name`."""
        content: dict[str, Any] = json.loads((self.path / name).read_text(encoding="utf-8"))
        return content


class SingleFile(Folder):
    """The weights in one file by CompVis's names; configurations and vocabularies in a folder."""

    def __init__(self, info: ModelInfo, spec: ModelSpec, device: str, dtype: torch.dtype) -> None:
        super().__init__(info, spec, device, dtype)
        assert info.checkpoint is not None
        self._weights = _read(info.checkpoint, spec)

    def _load(self, cls: Any, name: str, dtype: torch.dtype) -> Any:
        options: dict[str, Any] = {"config": str(self.path), "subfolder": name}
        if hasattr(cls, "from_single_file"):
            return cls.from_single_file(
                self._weights, torch_dtype=dtype, local_files_only=True, **options
            )
        from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm

        return create_diffusers_clip_model_from_ldm(
            cls, self._weights, torch_dtype=dtype, local_files_only=True, **options
        )


def _read(path: Path, spec: ModelSpec) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    headers.need_consent(path, "model", spec.trust_pickle)
    return pickles.read(path, key="model")
