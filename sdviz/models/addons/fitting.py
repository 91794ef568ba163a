"""Puts a recipe's LoRA and VAE on a model in memory, and takes them off again."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL
from safetensors.torch import load_file

from sdviz.errors import ModelError, SdvizError, reason_of
from sdviz.models.addons import kohya_lora, lora, lora_tensors, vae
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

    def wear(self, scales: Mapping[str, float]) -> None:
        """These LoRAs, each at its scale; without any, every layer is as it was without LoRAs."""
        if not scales:
            if self._names:
                self._pipeline.disable_lora()
            return
        for name in scales:
            if name not in self._names:
                self._load(name)
        self._pipeline.enable_lora()
        adapters = [self._names[name] for name in scales]
        self._pipeline.set_adapters(adapters, list(scales.values()))

    def _load(self, name: str) -> None:
        adapter = f"lora{len(self._names)}"
        weights = self._weights(lora.find(name))
        wanted = sum(lora_tensors.is_down(key) for key in self._converted(weights))
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of peft and diffusers, about names and ranks
                self._pipeline.load_lora_weights(weights, adapter_name=adapter)
        except Exception as error:  # diffusers raises whatever the file makes it raise
            reason = re.sub(r"\s+", " ", reason_of(error))[:200]
            raise ModelError(
                f"lora={name}: does not fit {self._spec.name}: {reason}", key="lora"
            ) from error
        layers = list(self._layers(adapter))
        if not layers:
            raise ModelError(f"lora={name}: none of its layers is in {self._spec.name}", key="lora")
        if len(layers) < wanted:
            self._pipeline.delete_adapters(adapter)
            raise ModelError(
                f"lora={name}: {len(layers)} of its {wanted} layers are in {self._spec.name}; "
                "it does not fit",
                key="lora",
            )
        for one in layers:  # the alphas are in the weights
            one.lora_alpha[adapter] = one.r[adapter]
        for part in self._modules():
            _settle(part.requires_grad_(False))
        self._names[name] = adapter

    def _modules(self) -> Iterator[torch.nn.Module]:
        for part in self._pipeline.components.values():
            if isinstance(part, torch.nn.Module):
                yield part

    def _layers(self, adapter: str) -> Iterator[Any]:
        """Those of peft's that wear the LoRA."""
        for part in self._modules():
            for module in part.modules():
                if adapter in getattr(module, "lora_A", ()):
                    yield module

    def _converted(self, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """By names of one layer each: XLabs' have query, key and value in one, as diffusers tells
        them apart.
        """
        if not any(lora.XLABS in key for key in weights):
            return weights
        try:
            return dict(self._pipeline.lora_state_dict(dict(weights)))
        except Exception:  # what is wrong will be told where it is loaded
            return {}

    def _weights(self, path: Path) -> dict[str, torch.Tensor]:
        if tensors.is_pickle(path):
            tensors.need_consent(path, "lora", self._spec.trust_pickle)
            weights = pickles.read(path, key="lora")
        else:
            with refusing(f"lora={path}"):
                weights = load_file(path)
        weights = _scaled(weights, lora_tensors.adapter_config(path))
        unet = getattr(self._pipeline, "unet", None)
        if unet is None and kohya_lora.is_kohyas(weights):
            return _of_kohyas(weights, int(self._pipeline.transformer.config.num_layers))
        return lora.renamed(weights, dict(unet.config) if unet is not None else {})


def _scaled(weights: dict[str, torch.Tensor], config: dict[str, Any]) -> dict[str, torch.Tensor]:
    """The pairs alone, alpha / rank of each layer multiplied into its down."""
    alphas = {key: float(one) for key, one in weights.items() if lora_tensors.is_alpha(key)}
    pairs = {key: one for key, one in weights.items() if lora_tensors.is_half(key)}
    shapes = {key: tuple(one.shape) for key, one in pairs.items()}
    factors = lora_tensors.factors(shapes, alphas, config)
    return {key: one.float() * factors[key] if factors.get(key, 1.0) != 1 else one
            for key, one in pairs.items()}  # fmt: skip


def _of_kohyas(weights: dict[str, torch.Tensor], blocks: int) -> dict[str, torch.Tensor]:
    """For a transformer of `blocks` blocks, by diffusers' names."""
    shapes = {name: tuple(weight.shape) for name, weight in weights.items()}
    found = kohya_lora.converted(shapes, blocks).items()
    return {new: take(weights[rows.name], rows).clone() for new, rows in found}


def _summed(scales: Iterable[tuple[str, float]]) -> dict[str, float]:
    """By name; one that is named twice is worn at the sum."""
    found: dict[str, float] = {}
    for name, scale in scales:
        found[name] = found.get(name, 0.0) + scale
    return found


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
        vae_name, scales = worn(recipe)
        self._denoiser.vae = self._vae(vae_name) if vae_name else self._own_vae
        if scales and self._loras is None:
            self._loras = Loras(self._denoiser.make_pipeline(), self._spec)
        if self._loras is not None:
            self._loras.wear(_summed(scales))

    def _vae(self, name: str) -> Any:
        path = vae.find(name)
        own = self._own_vae
        options = {"torch_dtype": own.dtype, "local_files_only": True}
        try:
            if path.is_file():  # without its configuration: that of the model's own
                module = _single(path, own, self._spec)
            else:
                if not self._spec.trust_pickle:
                    options["use_safetensors"] = True
                module = AutoencoderKL.from_pretrained(path, **options)
        except SdvizError:
            raise
        except Exception as error:  # the same
            raise ModelError(
                f"vae={name}: {path} cannot be loaded: {error!r}", key="vae"
            ) from error
        # One that half precision is wide enough for says so; the model's own may not be.
        narrow = module.config.get("force_upcast") is False
        return ready(module.to(self._denoiser.dtype if narrow else own.dtype), str(own.device))


def _single(path: Path, own: Any, spec: ModelSpec) -> Any:
    """A VAE in one file, by diffusers' names or CompVis's."""
    from diffusers.loaders.single_file_utils import convert_ldm_vae_checkpoint

    if path.suffix == ".safetensors":
        weights = load_file(path)
    else:
        tensors.need_consent(path, "vae", spec.trust_pickle)
        weights = pickles.read(path, key="vae")
    if not any(name.startswith("decoder.mid_block") for name in weights):
        prefix = "first_stage_model."
        if not any(name.startswith(prefix) for name in weights):
            weights = {prefix + name: weight for name, weight in weights.items()}
        weights = convert_ldm_vae_checkpoint(weights, own.config)
    module = AutoencoderKL.from_config(own.config)
    module.load_state_dict(weights)
    return module
