"""Which files of weights a folder's components have: pickles, variants such as fp16. No torch."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from sdviz.errors import ModelError
from sdviz.models.files import identity, tensors
from sdviz.plan.config import ModelSpec

# diffusers' and transformers' names: the variant stands behind a shard's number or before it.
_NAME = re.compile(
    r"(?:diffusion_pytorch_model|pytorch_model|model)"
    r"(?:\.(?P<first>[A-Za-z]\w*))?(?:-\d+-of-\d+)?(?:\.(?P<last>[A-Za-z]\w*))?"
    r"\.(?:safetensors|bin)"
)


def check(spec: ModelSpec, folder: Path) -> None:
    """ModelError where a component's weights are not to be had as `spec` wants them."""
    components = list(_components(folder))
    has_variant = False
    for component in components:
        files = identity.weights_of(component, spec.variant)
        check_pickles(component, spec, key="model", files=files)
        variants = {variant_of(file) for file in files}
        has_variant |= spec.variant in variants
        if "" not in variants and spec.variant not in variants and None not in variants:
            names = sorted(str(one) for one in variants)
            raise ModelError(
                f"model={spec.name}: {component} has only weights of the variant "
                f"{' and '.join(names)}; add model.variant={names[0]}",
                key="model",
            )
    if spec.variant and components and not has_variant:
        raise ModelError(
            f"model.variant={spec.variant}: no component of {folder} has such a file; remove it",
            key="model.variant",
        )


def _components(folder: Path) -> Iterator[Path]:
    for component in sorted(path for path in folder.iterdir() if path.is_dir()):
        if component.name not in identity.IGNORED and identity.weights_of(component, ""):
            yield component


def check_pickles(
    component: Path, spec: ModelSpec, *, key: str, files: list[Path] | None = None
) -> None:
    """ModelError where the weights in the folder are pickles that nobody vouched for."""
    for file in identity.weights_of(component, "") if files is None else files:
        if file.suffix != ".safetensors":
            tensors.need_consent(file, key, spec.trust_pickle)


def variant_of(file: Path) -> str | None:
    """fp16, bf16 ...; "" for plain weights; None for a file that diffusers would not name so."""
    found = _NAME.fullmatch(file.name)
    return (found["first"] or found["last"] or "") if found else None
