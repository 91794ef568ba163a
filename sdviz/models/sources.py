"""Where a model's parts come from: a folder in diffusers' layout, or a single file."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel

from sdviz.errors import ModelError
from sdviz.models.checkpoints import tensor_names, unet_file
from sdviz.models.checkpoints.components import of_pipeline
from sdviz.models.files import component_files, identity, pickles, tensors
from sdviz.models.files.refusal import read_object, refusing
from sdviz.models.info import ModelInfo
from sdviz.plan.config import ModelSpec


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
        return ready(self.component(cls, name, dtype), self.device)

    def component(self, cls: Any, name: str, dtype: torch.dtype | None = None) -> Any:
        """The component `name`, with all of its weights; ModelError."""
        return self._load(cls, name, dtype or self.dtype)

    def _load(self, cls: Any, name: str, dtype: torch.dtype) -> Any:
        options: dict[str, Any] = {"local_files_only": True, "torch_dtype": dtype}
        files = identity.weights_of(self.path / name, self.spec.variant)
        if self.spec.variant in {component_files.variant_of(file) for file in files} - {""}:
            options["variant"] = self.spec.variant
        if not self.spec.trust_pickle:
            options["use_safetensors"] = True
        return whole(cls, self.path, subfolder=name, **options)

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
        return read_object(self.path / name)


class SingleFile(Folder):
    """The UNet in one file, and what else is in it, by CompVis's names or diffusers'; all else of a
    folder, and of the model that lends what is missing.
    """

    def __init__(self, info: ModelInfo, spec: ModelSpec, device: str, dtype: torch.dtype) -> None:
        super().__init__(info, spec, device, dtype)
        assert info.checkpoint is not None
        self._weights = _read(info.checkpoint, spec)
        self._elsewhere = info.parts

    def _load(self, cls: Any, name: str, dtype: torch.dtype) -> Any:
        if name in self._elsewhere:
            return lent(cls, self._elsewhere[name], dtype)
        if cls is UNet2DConditionModel:
            return self._unet().to(dtype)
        options: dict[str, Any] = {"config": str(self.path), "subfolder": name}
        if hasattr(cls, "from_single_file"):
            return cls.from_single_file(
                self._weights, torch_dtype=dtype, local_files_only=True, **options
            )
        from diffusers.loaders.single_file_utils import create_diffusers_clip_model_from_ldm

        return create_diffusers_clip_model_from_ldm(
            cls, self._weights, torch_dtype=dtype, local_files_only=True, **options
        )

    def _unet(self) -> UNet2DConditionModel:
        """diffusers' own loader lets a UNet pass that has more layers than its configuration."""
        from diffusers.loaders.single_file_utils import convert_ldm_unet_checkpoint

        config = self.json("unet/config.json")
        weights = self._weights
        if unet_file.prefix(weights) == unet_file.COMPVIS:
            weights = convert_ldm_unet_checkpoint(weights, config) | unet_file.projection(weights)
        with torch.device("meta"):
            made = UNet2DConditionModel.from_config(config)
        try:
            made.load_state_dict(weights, assign=True)
        except RuntimeError as error:
            first = str(error).splitlines()[1].strip()
            raise ModelError(
                f"model={self.spec.name}: its UNet is not the one that is configured in "
                f"{self.path}: {first[:200]}; name another configuration with "
                "model.config=<folder>",
                key="model",
            ) from error
        return made


def whole(cls: Any, folder: Path, **options: Any) -> Any:
    """cls.from_pretrained of a component whose weights are all there; ModelError.

    The libraries only warn of weights that are missing, and go on with random numbers.
    """
    module, report = cls.from_pretrained(folder, output_loading_info=True, **options)
    place = folder / options.get("subfolder", "")
    for what in ("missing_keys", "mismatched_keys"):
        if found := sorted(map(str, report.get(what) or ())):
            word = "lacks" if what == "missing_keys" else "has of another shape"
            raise ModelError(
                f"{place}: its file of weights {word} {found[0]}, and {len(found)} in all; "
                "download the model again",
                key="model",
            )
    return module


def lent(cls: Any, folder: Path, dtype: torch.dtype) -> Any:
    """The component in `folder`, of another model than the one that it is for."""
    is_half = all(".fp16" in file.name for file in identity.weights_of(folder, ""))
    options = {"variant": "fp16"} if is_half else {}
    return whole(cls, folder, torch_dtype=dtype, local_files_only=True, **options)


def _read(path: Path, spec: ModelSpec) -> dict[str, torch.Tensor]:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        with refusing(f"model={spec.name}: {path}"):
            return load_file(path)
    tensors.need_consent(path, "model", spec.trust_pickle)
    return pickles.read(path, key="model")


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
            rows = tensor_names.denoiser({key: tuple(w.shape) for key, w in self._weights.items()})
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


def take(tensor: torch.Tensor, rows: tensor_names.Rows) -> torch.Tensor:
    """`rows` of the file's tensor."""
    if len(rows.ranges) < 2:  # a view of the file, mapped into memory
        return tensor[slice(*rows.ranges[0])] if rows.ranges else tensor
    return torch.cat([tensor[begin:end] for begin, end in rows.ranges])


def _plain(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Numbers of one byte, with which nothing can be computed, in `dtype`."""
    return tensor.to(dtype) if tensor.dtype.itemsize == 1 else tensor
