"""A Stable Diffusion 3 or a Flux in one file: which parts it has, and where the rest is. No torch.

Such a file has what denoises, and often no more: VAE, CLIP-L, CLIP-G and T5 are in it or not. What
is not comes from `model.base`, a model in diffusers' layout, and so do all tokenizers, but for
CLIP's, which the hub's cache may have.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdviz.errors import ModelError
from sdviz.models.checkpoints import (
    layouts,
    shapes_to_configs,
    tensor_names,
)
from sdviz.models.checkpoints.components import FAMILIES, Family, tokenizer
from sdviz.models.checkpoints.layouts import Layout
from sdviz.models.files import identity, places
from sdviz.plan.config import ModelSpec

_SCHEDULER = "FlowMatchEulerDiscreteScheduler"
_ABSENT = [None, None]  # how diffusers writes down a component that is left out
_WITHOUT_T5 = "without T5, not in the file or model.base: it follows long prompts less closely"


def layout(path: Path, spec: ModelSpec, shapes: Mapping[str, tuple[int, ...]]) -> Layout | None:
    """Of the checkpoint `path`; None if it is neither of the two.

    ModelError where a part is missing, or does not fit, with what gives it.
    """
    rows = tensor_names.denoiser(shapes)
    if not rows:
        return None
    if strange := tensor_names.strange(rows, shapes):
        raise ModelError(
            f"model={spec.name}: {path.name} has {strange}, which its model does not have; sdviz "
            "cannot read scaled or packed numbers; use a file in bf16, fp16 or plain fp8",
            key="model",
        )
    made = _Assembly(path, spec, tensor_names.kind(rows), shapes)
    torn = f"model={spec.name}: {path.name} is a {made.family.name} that is incomplete: it lacks "
    if gap := tensor_names.gap(rows):
        raise ModelError(f"{torn}{gap}; download it again")
    try:
        made.place_denoiser({name: row.shape(shapes) for name, row in rows.items()})
        for component in ("vae", *made.family.encoders):
            made.place(component)
    except KeyError as error:  # of a tensor by which a configuration is told
        raise ModelError(f"{torn}{error.args[0]}; download it again") from error
    made.refuse_missing()
    made.refuse_misfits()
    return made.layout()


class _Assembly:
    """A layout while its parts are looked for: in the file, then in the base."""

    def __init__(
        self, path: Path, spec: ModelSpec, kind: str, shapes: Mapping[str, tuple[int, ...]]
    ) -> None:
        self.family = FAMILIES[kind]
        self._path = path
        self._spec = spec
        self._kind = kind
        self._shapes = shapes
        self._config = places.anywhere(spec.config, key="model.config") if spec.config else None
        self._base = _base(spec, self.family) or self._config
        self._index: dict[str, Any] = {"_class_name": self.family.pipeline}
        self._configs: dict[str, dict[str, Any]] = {}  # by component
        self._words: dict[str, bytes] = {}  # the tokenizers' files, by name
        self._parts: dict[str, Path] = {}  # components of the base
        self._missing: list[str] = []

    def place_denoiser(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """The transformer, whose tensors have `shapes` by diffusers' names, and the scheduler."""
        self._index["transformer"] = ["diffusers", self.family.transformer]
        known = self._known("transformer")
        config = known or shapes_to_configs.transformer(self._kind, shapes, name=self._spec.name)
        timing = self._known("scheduler") or shapes_to_configs.scheduler(self._kind, config)
        self._configs |= {"transformer": config, "scheduler": timing}
        self._index["scheduler"] = ["diffusers", timing.get("_class_name", _SCHEDULER)]

    def place(self, component: str) -> None:
        """The VAE, or a text encoder with its tokenizer."""
        inside = self.family.inside(component, self._shapes)
        here = self._base / component if self._base else None
        lent = here if here is not None and identity.has_weights(here) else None
        if not inside and component == self.family.spare and not lent:
            self._index |= {component: _ABSENT, tokenizer(component): _ABSENT}
            return
        if inside:
            self._configs[component] = self._known(component) or self._read_off(component, inside)
        elif lent:
            self._configs[component] = layouts.read(lent / "config.json")
            self._parts[component] = lent
        else:
            self._missing.append(component)
        if component == "vae":
            self._index[component] = ["diffusers", "AutoencoderKL"]
        else:
            self._index[component] = ["transformers", self.family.text_class(component)]
            self._place_words(component)

    def _known(self, component: str) -> dict[str, Any]:
        """The configuration that the user names in place of what shapes tell; {} if none."""
        file = self._config / layouts.config_file(component) if self._config else None
        return layouts.read(file) if file is not None and file.is_file() else {}

    def _read_off(self, component: str, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any]:
        if component == "vae":
            return shapes_to_configs.vae(self._kind, shapes)
        encoder = self.family.encoders[component]
        return (
            shapes_to_configs.t5(shapes)
            if encoder == "t5"
            else shapes_to_configs.clip(encoder, shapes)
        )

    def _place_words(self, component: str) -> None:
        name, encoder = tokenizer(component), self.family.encoders[component]
        self._index[name] = [
            "transformers",
            "AutoTokenizer" if encoder == "t5" else "CLIPTokenizer",
        ]
        files = layouts.copied(name, self._base)
        if not files and encoder != "t5":
            files = layouts.clip_words(name, pads="!" if encoder == "clip_g" else "<|endoftext|>")
        if not files:
            self._missing.append(name)
        self._words |= files

    def refuse_missing(self) -> None:
        """ModelError with what gives the parts that are nowhere."""
        if not self._missing:
            return
        encoders = self.family.encoders.items()
        clips = [tokenizer(component) for component, encoder in encoders if encoder != "t5"]
        if all(name in clips for name in self._missing):
            raise layouts.no_vocabulary(self._spec.name)
        family = self.family
        raise layouts.no_parts(self._spec, self._path, family.name, self._missing, family.source)

    def refuse_misfits(self) -> None:
        """ModelError where parts of other models are of other widths."""
        configs = self._configs
        denoiser = configs["transformer"]
        packed = 4 if self._kind == "flux" else 1  # 2x2 latents a token
        wanted = {"vae": ("latent_channels", denoiser["in_channels"] // packed)}
        t5 = next(name for name, encoder in self.family.encoders.items() if encoder == "t5")
        wanted[t5] = ("d_model", denoiser["joint_attention_dim"])
        if self._kind == "flux":
            wanted["text_encoder"] = ("hidden_size", denoiser["pooled_projection_dim"])
        for component, (key, width) in wanted.items():
            found = configs[component].get(key, width) if component in configs else width
            if found != width:
                where = f" of {self._parts[component].parent}" if component in self._parts else ""
                raise ModelError(
                    f"model={self._spec.name}: the {component}{where} does not fit: its {key} is "
                    f"{found}, and {self._path.name} takes {width}; name another with model.base=",
                    key="model",
                )

    def layout(self) -> Layout:
        """What has been found, written down."""
        files = {"model_index.json": layouts.dumped(self._index), **self._words}
        for component, config in self._configs.items():
            files[layouts.config_file(component)] = layouts.dumped(config)
        folder = layouts.write(self._kind, files, model=self._spec.name)
        spared = self._index.get(self.family.spare) == _ABSENT
        return Layout(folder, "other", self._parts, (_WITHOUT_T5,) if spared else ())


def _base(spec: ModelSpec, family: Family) -> Path | None:
    """The folder of `model.base`, where it is a model of the same family; ModelError."""
    parts = ["vae", *family.encoders, *map(tokenizer, family.encoders)]
    base = layouts.base_of(spec, parts)
    told = layouts.pipeline(base) if base else ""
    if base and told and not told.startswith(family.pipeline.removesuffix("Pipeline")):
        raise layouts.foreign(spec, base, family.name, family.source)
    return base
