"""A Stable Diffusion 1, 2, XL or a Kolors in one file: its kind, and where the rest is. No torch.

The UNet has CompVis's names (Rombach et al. 2022, their repository) or diffusers'. The VAE and the
text encoders may lie beside it; those that do not come from `model.base`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from sdviz.errors import ModelError
from sdviz.models.checkpoints import layouts
from sdviz.models.checkpoints.components import tokenizer
from sdviz.models.checkpoints.layouts import Layout
from sdviz.models.checkpoints.published_configs import KINDS
from sdviz.models.files import identity, places
from sdviz.models.files import tensors as headers
from sdviz.plan.config import ModelSpec

T = TypeVar("T")
Shapes = Mapping[str, tuple[int, ...]]

COMPVIS = "model.diffusion_model."  # how the names of a UNet begin that are not diffusers'
PROJECTION = "encoder_hid_proj."  # of ChatGLM's texts, in Kolors: one name in both
_FIRST = {COMPVIS: "input_blocks.0.0.weight", "": "conv_in.weight"}
_LAST = {COMPVIS: "out.2.weight", "": "conv_out.weight"}
_TO_K = ".attn2.to_k.weight"  # one a cross-attention
_BY_WIDTH = {768: "sd1", 1024: "sd2", 2048: "sdxl"}  # of the text that the UNet takes
# Stability AI's ModelSpec, which kohya's scripts write too, in its present and its first spelling.
_PREDICTION_KEYS = ("modelspec.prediction_type", "modelspec.predict_key")
_PREDICTIONS = {"v": "v_prediction", "v_prediction": "v_prediction", "epsilon": "epsilon"}
# Tensors without a part in the model, which say how it was trained, as ComfyUI reads them.
_V, _ZERO_SNR = "v_pred", "ztsnr"
_EDM = ("edm_mean", "edm_std", "edm_vpred.sigma_max", "edm_vpred.sigma_min")
# Component -> how its names begin in a file, by kind. No file is known that has Kolors' ChatGLM.
_ONE = {"vae": "first_stage_model.", "text_encoder": "cond_stage_model."}
_TWO = {"text_encoder": "conditioner.embedders.0.", "text_encoder_2": "conditioner.embedders.1."}
_PLACES = {"sd1": _ONE, "sd2": _ONE, "sdxl": {**_ONE, **_TWO}, "kolors": _ONE}
# Blocks of a UNet whose configuration does not say otherwise.
_DOWN = [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"]
_MID = "UNetMidBlock2DCrossAttn"
_UP = ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3]
_DEPTHS = "transformer_layers_per_block"


def prefix(names: Mapping[str, Any]) -> str | None:
    """How the UNet's names begin in a file that has `names`; None if it has no UNet."""
    for begin in _FIRST:
        if {begin + _FIRST[begin], begin + _LAST[begin]} <= names.keys():
            return begin if any(name.endswith(_TO_K) for name in names) else None
    return None


def projection(tensors: Mapping[str, T]) -> dict[str, T]:
    """Kolors' layer for ChatGLM's texts, by diffusers' names; {} where there is none."""
    own = f"{COMPVIS}{PROJECTION}"
    return {name.removeprefix(COMPVIS): tensor for name, tensor in tensors.items()
            if name.startswith(own)}  # fmt: skip


def layout(path: Path, spec: ModelSpec, shapes: Shapes) -> Layout | None:
    """Of the checkpoint `path`; None if it has no UNet.

    ModelError where a part is missing, or does not fit, with what gives it.
    """
    begin = prefix(shapes)
    if begin is None:
        return None
    texts = [shape for name, shape in shapes.items() if name.endswith(_TO_K)]
    if any(len(shape) < 2 or shape[1] < 2 for shape in (*texts, shapes[begin + _FIRST[begin]])):
        raise ModelError(
            f"model={spec.name}: {path.name} has packed numbers, as quantized models have; use one "
            "in bf16, fp16 or plain fp8",
            key="model",
        )
    return _UnetFile(path, spec, shapes, begin).layout()


class _UnetFile:
    """A file whose UNet's names begin with `begin`."""

    def __init__(self, path: Path, spec: ModelSpec, shapes: Shapes, begin: str) -> None:
        self._path = path
        self._spec = spec
        self._unet = {name.removeprefix(begin): shape for name, shape in shapes.items()
                      if name.startswith(begin)}  # fmt: skip
        self._channels = self._unet[_FIRST[begin]][1]
        self._texts = [shape[1] for name, shape in self._unet.items() if name.endswith(_TO_K)]
        self._config = _config(spec)
        self._kind = self._find_kind()
        self._lacks = [part for part, place in _PLACES[self._kind].items()
                       if not any(name.startswith(place) for name in shapes)]  # fmt: skip
        self._tokenizers = [tokenizer(part) for part in _PLACES[self._kind] if part != "vae"]
        if edm := next((name for name in _EDM if name in shapes), ""):
            raise ModelError(
                f"model={spec.name}: {path.name} was trained with EDM's noise levels (it has "
                f"{edm}); sdviz reads such models only as folders in diffusers' layout",
                key="model",
            )
        marked = _prediction(path, spec, shapes)
        self._predicts = marked if spec.prediction == "auto" else spec.prediction
        self._has_zero_snr = _ZERO_SNR in shapes

    def _find_kind(self) -> str:
        """As the user says, or else the file, or else the model beside it. ModelError."""
        spec = self._spec
        if spec.kind in KINDS:
            return spec.kind
        if f"{PROJECTION}weight" in self._unet:
            return "kolors"
        kinds = {_BY_WIDTH.get(width, "") for width in self._texts}
        if len(kinds) == 1 and "" not in kinds:
            return kinds.pop()
        beside = self._config or layouts.base_of(spec, ["scheduler"])
        pipeline = layouts.pipeline(beside) if beside else ""
        for kind, known in KINDS.items():
            if known.pipeline == pipeline:
                return kind
        widths = sorted(set(self._texts))
        raise ModelError(
            f"model={spec.name}: {self._path.name} takes a text of width {widths}, unlike any kind "
            "that sdviz knows; name a model of its kind in diffusers' layout with "
            "model.config=<folder>",
            key="model",
        )

    def layout(self) -> Layout:
        """ModelError where it cannot be whole."""
        found = self._borrowing() if self._lacks else self._whole()
        self._refuse_misfits(found)
        return found

    def _whole(self) -> Layout:
        """All of the model is in the file, but its vocabularies."""
        if self._config is not None:
            return Layout(self._configured(self._config), self._spec.kind)
        base = layouts.base_of(self._spec, self._tokenizers)
        words = {name: layouts.words(name, self._kind, base) for name in self._tokenizers}
        if not all(words.values()):
            raise layouts.no_vocabulary(self._spec.name)
        return self._written(layouts.configurations(self._kind, self._timing), words)

    def _borrowing(self) -> Layout:
        """Parts are not in the file: they are those of the base, and so are the configurations."""
        kind, spec = KINDS[self._kind], self._spec
        wanted = [*self._lacks, *self._tokenizers, "scheduler"]
        variant = spec.variant or kind.variant
        base = layouts.base_of(spec, wanted, variant) or self._config
        if base is not None and layouts.pipeline(base) not in ("", kind.pipeline):
            raise layouts.foreign(spec, base, kind.name, kind.source)
        configured = self._config or base
        words = {name: layouts.words(name, self._kind, configured) for name in self._tokenizers}
        files = layouts.configurations(self._kind, self._timing, configured)
        parts = {part: base / part for part in self._lacks
                 if base and identity.has_weights(base / part)}  # fmt: skip
        there = {*parts, *(file.partition("/")[0] for found in words.values() for file in found)}
        there |= {"scheduler"} if layouts.config_file("scheduler") in files else set()
        if missing := [name for name in wanted if name not in there]:
            raise layouts.no_parts(spec, self._path, kind.name, missing, kind.source, variant)
        if self._config is not None:
            return Layout(self._configured(self._config), spec.kind, parts)
        return dataclasses.replace(self._written(files, words), parts=parts)

    @property
    def _timing(self) -> dict[str, Any]:
        """What the file, or the user, says of the scheduler's configuration."""
        predicts = {"prediction_type": self._predicts} if self._predicts else {}
        return predicts | ({"rescale_betas_zero_snr": True} if self._has_zero_snr else {})

    def _configured(self, config: Path) -> Path:
        """The folder of `model.config`, or its configurations with what the file says of itself."""
        file = config / layouts.config_file("scheduler")
        known = layouts.read(file) if file.is_file() else {}
        if all(known.get(name) == value for name, value in self._timing.items()):
            return config
        parts = sorted(path.name for path in config.iterdir() if path.is_dir())
        files = {
            name: text for part in parts for name, text in layouts.copied(part, config).items()
        }
        files["model_index.json"] = (config / "model_index.json").read_bytes()
        files[layouts.config_file("scheduler")] = layouts.dumped({**known, **self._timing})
        return layouts.write(self._kind, files, model=self._spec.name)

    def _written(self, files: dict[str, bytes], words: dict[str, dict[str, bytes]]) -> Layout:
        for found in words.values():
            files |= found
        return Layout(layouts.write(self._kind, files, model=self._spec.name), self._kind)

    def _refuse_misfits(self, found: Layout) -> None:
        """ModelError where the UNet is not the one of the configuration, or its text encoders are
        of another width than it takes.
        """
        config = layouts.read(found.folder / "unet" / "config.json")
        takes = {"latents of {} channels": (self._channels, config.get("in_channels", 4))}
        blocks = len(self._texts)
        takes["{} cross-attentions"] = (blocks, _cross_attentions(config, blocks))
        projected = self._unet.get(f"{PROJECTION}weight")
        own = projected[1] if projected else self._texts[0]
        takes["texts of width {}"] = (own, self._text_width(found))
        for what, (own, other) in takes.items():
            if own != other:
                raise ModelError(
                    f"model={self._spec.name}: {self._path.name} has {what.format(own)}, but its "
                    f"configuration has {other}; name another with model.config=<folder>, or parts "
                    "that fit with model.base=",
                    key="model",
                )

    def _text_width(self, found: Layout) -> int:
        """Of what the text encoders give together."""
        folders = [found.parts.get(part, found.folder / part) for part in _PLACES[self._kind]
                   if part != "vae"]  # fmt: skip
        return sum(layouts.read(folder / "config.json")["hidden_size"] for folder in folders)


def _prediction(path: Path, spec: ModelSpec, shapes: Shapes) -> str:
    """What the UNet predicts, if its file says so; "" if not. ModelError if it is unknown here."""
    metadata = headers.metadata(path)
    said = next((metadata[key] for key in _PREDICTION_KEYS if metadata.get(key)), "")
    if said and said not in _PREDICTIONS and spec.prediction == "auto":
        raise ModelError(
            f"model={spec.name}: {path.name} says that it predicts {said}, which sdviz does not "
            "know; set model.prediction=",
            key="model",
        )
    return _PREDICTIONS.get(said) or ("v_prediction" if _V in shapes else "")


def _config(spec: ModelSpec) -> Path | None:
    """The folder of `model.config`; ModelError."""
    if not spec.config:
        return None
    folder = places.anywhere(spec.config, key="model.config")
    if not (folder / "model_index.json").is_file():
        raise ModelError(f"model.config={spec.config}: has no model_index.json", key="model.config")
    return folder


def _cross_attentions(config: Mapping[str, Any], unknown: int) -> int:
    """How many a UNet of this configuration has; `unknown` where that takes more to tell."""
    layers, depths = config.get("layers_per_block", 2), config.get(_DEPTHS, 1)
    sides = [config.get("down_block_types", _DOWN), config.get("up_block_types", _UP)]
    depths = depths if isinstance(depths, list) else [depths] * len(sides[0])
    is_usual = config.get("mid_block_type", _MID) == _MID and not config.get(f"reverse_{_DEPTHS}")
    if not is_usual or not all(isinstance(number, int) for number in (layers, *depths)):
        return unknown
    each = [(layers, depths), (layers + 1, depths[::-1])]
    count: int = depths[-1] + sum(
        resnets * depth
        for (resnets, through), blocks in zip(each, sides, strict=True)
        for depth, block in zip(through, blocks, strict=True)
        if "CrossAttn" in block
    )
    return count
