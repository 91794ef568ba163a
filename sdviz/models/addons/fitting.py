"""Puts a recipe's LoRA and VAE on a model in memory, and takes them off again."""

from __future__ import annotations

import re
import warnings
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file

from sdviz.errors import ModelError
from sdviz.models.addons import kohya_lora, lora, vae
from sdviz.models.addons.checks import worn
from sdviz.models.files import pickles, tensors
from sdviz.models.files.refusal import refusing
from sdviz.models.sources import ready, take
from sdviz.plan.config import ModelSpec
from sdviz.plan.settings import Recipe


class Loras:
    """The LoRAs of one model, each read once; diffusers' own loader puts them into its layers."""

    def __init__(self, pipeline: Any, spec: ModelSpec) -> None:
        """`pipeline` is diffusers' own, of the model's parts."""
        self._pipeline = pipeline
        self._spec = spec
        self._names: dict[str, str] = {}  # of adapters, by what `lora=` names

    def wear(self, name: str, scale: float) -> None:
        """LoRA `name` at `scale`; "" for none, which leaves every layer as it was without LoRAs."""
        if not name:
            if self._names:
                self._pipeline.disable_lora()
            return
        if name not in self._names:
            self._load(name)
        self._pipeline.enable_lora()
        self._pipeline.set_adapters([self._names[name]], [scale])

    def _load(self, name: str) -> None:
        adapter = f"lora{len(self._names)}"
        weights = self._weights(lora.find(name))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of peft and diffusers, about names and ranks
                self._pipeline.load_lora_weights(weights, adapter_name=adapter)
        except Exception as error:  # diffusers raises whatever the file makes it raise
            reason = re.sub(r"\s+", " ", str(error))[:200]
            raise ModelError(
                f"lora={name}: does not fit {self._spec.name}: {reason}", key="lora"
            ) from error
        found = {one for names in self._pipeline.get_list_adapters().values() for one in names}
        if adapter not in found:
            raise ModelError(f"lora={name}: none of its layers is in {self._spec.name}", key="lora")
        for part in self._pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                _settle(part.requires_grad_(False))
        self._names[name] = adapter

    def _weights(self, path: Path) -> dict[str, torch.Tensor]:
        if tensors.is_pickle(path):
            tensors.need_consent(path, "lora", self._spec.trust_pickle)
            weights = pickles.read(path, key="lora")
        else:
            with refusing(f"lora={path}"):
                weights = load_file(path)
        unet = getattr(self._pipeline, "unet", None)
        if unet is None and kohya_lora.is_kohyas(weights):
            return _of_kohyas(weights, int(self._pipeline.transformer.config.num_layers))
        return lora.renamed(weights, dict(unet.config) if unet is not None else {})


def _of_kohyas(weights: dict[str, torch.Tensor], blocks: int) -> dict[str, torch.Tensor]:
    """For a transformer of `blocks` blocks, by diffusers' names, alpha / rank multiplied in."""
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    alphas = {name: float(weight) for name, weight in weights.items() if name.endswith(".alpha")}
    made = {}
    for new, rows in kohya_lora.converted(shapes, blocks).items():
        weight = take(weights[rows.name], rows)
        scale = kohya_lora.factor(rows.name, weight.shape[0], alphas) if "lora_A" in new else 1.0
        made[new] = weight * scale
    return made


def _settle(module: torch.nn.Module) -> None:
    """A LoRA comes in a precision of its own, and takes the module's.

    All else stays: in float16 some layers of T5 are in float32, where they would overflow.
    """
    weights = dict(module.named_parameters())
    own = next((w.dtype for name, w in weights.items() if "lora_" not in name), torch.float32)
    for name, weight in weights.items():
        if "lora_" in name:
            weight.data = weight.data.to(own)


class Fitting:
    """What a model in memory wears at the moment."""

    def __init__(self, denoiser: Any, spec: ModelSpec) -> None:
        self._denoiser = denoiser
        self._spec = spec
        self._own_vae = denoiser.vae
        self._loras: Loras | None = None

    def fit(self, recipe: Recipe) -> None:
        """The LoRA and the VAE that `recipe` asks for, and nothing else. Raises ModelError."""
        vae_name, lora_name, scale = worn(recipe)
        self._denoiser.vae = self._vae(vae_name) if vae_name else self._own_vae
        if lora_name and self._loras is None:
            self._loras = Loras(self._denoiser.make_pipeline(), self._spec)
        if self._loras is not None:
            self._loras.wear(lora_name, scale)

    def _vae(self, name: str) -> Any:
        path = vae.find(name)
        own = self._own_vae
        options = {"torch_dtype": own.dtype, "local_files_only": True}
        try:
            if path.is_file():  # without its configuration: that of the model's own
                module = _single(path, own)
            else:
                module = AutoencoderKL.from_pretrained(path, **options)
        except Exception as error:  # the same
            raise ModelError(f"vae={name}: {path} cannot be loaded: {error}", key="vae") from error
        # One that half precision is wide enough for says so; the model's own may not be.
        narrow = module.config.get("force_upcast") is False
        return ready(module.to(self._denoiser.dtype if narrow else own.dtype), str(own.device))


def _single(path: Path, own: Any) -> Any:
    """A VAE in one file, by diffusers' names or CompVis's."""
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    weights = load_file(path)
    if not any(name.startswith("decoder.mid_block") for name in weights):
        prefix = "first_stage_model."
        if not any(name.startswith(prefix) for name in weights):
            weights = {prefix + name: weight for name, weight in weights.items()}
        weights = convert_ldm_vae_checkpoint(weights, own.config)
    module = AutoencoderKL.from_config(own.config)
    module.load_state_dict(weights)
    return module
