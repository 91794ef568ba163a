"""The components of a Stable Diffusion 3 or a Flux of which one file has some, in memory."""

from __future__ import annotations

import importlib
from typing import Any

import torch

from sdviz.config import ModelSpec
from sdviz.models import original
from sdviz.models.families import of_pipeline
from sdviz.models.info import ModelInfo
from sdviz.models.sources import SingleFile, lent


class Parts(SingleFile):
    """Stable Diffusion 3 or Flux: what the file holds, and the rest of another model's folder."""

    def __init__(self, info: ModelInfo, spec: ModelSpec, device: str, dtype: torch.dtype) -> None:
        super().__init__(info, spec, device, dtype)
        family = of_pipeline(info.pipeline)
        assert family is not None, "inspect lets no other file through"
        self._family = family

    def everything(self) -> dict[str, Any]:
        """All components, by the names that diffusers' pipeline takes them by."""
        index = {name: of for name, of in self.json("model_index.json").items() if name[0] != "_"}
        return {name: self._component(name, *of) for name, of in index.items()}

    def _component(self, name: str, library: str | None, cls: str | None) -> Any:
        if library is None or cls is None:
            return None
        made = getattr(importlib.import_module(library), cls)
        if name.startswith("tokenizer"):
            return self.words(made, name)
        return self.scheduler(made) if name == "scheduler" else self.part(made, name)

    def scheduler(self, cls: Any) -> Any:
        return cls.from_pretrained(self.path, subfolder="scheduler", local_files_only=True)

    def _load(self, cls: Any, name: str, dtype: torch.dtype) -> Any:
        options = {"torch_dtype": dtype, "local_files_only": True}
        if name in self._elsewhere:
            return lent(cls, self._elsewhere[name], dtype)
        weights = self._weights_of(name, dtype)
        if hasattr(cls, "from_single_file"):
            config = {"config": str(self.path), "subfolder": name}
            return cls.from_single_file(weights, **config, **options)
        config = cls.config_class.from_pretrained(self.path / name)
        return cls.from_pretrained(None, config=config, state_dict=weights, **options)

    def _weights_of(self, name: str, dtype: torch.dtype) -> dict[str, torch.Tensor]:
        """By diffusers' or transformers' names, those of the VAE by CompVis's."""
        if name == "transformer":
            rows = original.denoiser({key: tuple(w.shape) for key, w in self._weights.items()})
            return {new: _plain(take(self._weights[row.name], row), dtype)
                    for new, row in rows.items()}  # fmt: skip
        found = self._family.inside(name, self._weights)
        weights = {key: _plain(weight, dtype) for key, weight in found.items()
                   if not key.endswith("position_ids")}  # fmt: skip
        if name == "vae":
            return {f"vae.{key}": weight for key, weight in weights.items()}
        if self._family.encoders[name] == "clip_l":
            weights.pop("text_projection.weight", None)
            if self._family.clip == "CLIPTextModelWithProjection":  # pooled texts stay as they are
                width = weights["text_model.final_layer_norm.weight"].shape[0]
                weights["text_projection.weight"] = torch.eye(width, dtype=dtype)
        return weights


def take(tensor: torch.Tensor, rows: original.Rows) -> torch.Tensor:
    """`rows` of the file's tensor."""
    if len(rows.ranges) < 2:  # a view of the file, mapped into memory
        return tensor[slice(*rows.ranges[0])] if rows.ranges else tensor
    return torch.cat([tensor[begin:end] for begin, end in rows.ranges])


def _plain(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Numbers of one byte, with which nothing can be computed, in `dtype`."""
    return tensor.to(dtype) if tensor.dtype.itemsize == 1 else tensor
