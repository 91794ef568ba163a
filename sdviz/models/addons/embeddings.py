"""Textual inversions (Gal et al. 2022): words of a prompt that stand for learnt vectors.

As in stable-diffusion-webui, the word is the file's name without its suffix. A file has

    emb_params (n, width)                 stable-diffusion-webui's, of one text encoder
    <any name> (width,) or (n, width)     diffusers' learned_embeds, likewise
    clip_l (n, 768), clip_g (n, 1280)     of both text encoders of Stable Diffusion XL

or, in a pickle of stable-diffusion-webui's, string_to_param with the vectors. No torch, but to read
the vectors.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdviz.errors import ModelError
from sdviz.models.files import identity, places
from sdviz.models.files import tensors as headers
from sdviz.models.files.refusal import read_object
from sdviz.models.info import ModelInfo
from sdviz.plan.config import ModelSpec

if TYPE_CHECKING:
    import torch

PARTS = ("clip_l", "clip_g")  # by the text encoder that they are for, in the pipeline's order
_SUFFIXES = (".pt", ".bin", ".safetensors")  # the last goes before the others
_ENCODERS = {"sd1": 1, "sd2": 1, "sdxl": 2}  # kinds that have CLIP


def files(name: str) -> dict[str, Path]:
    """By their words, the files that `embedding=` names: one, or those of a folder. ModelError."""
    path = places.anywhere(name, key="embedding")
    found = [path] if path.is_file() else sorted(path.iterdir())
    found = [file for file in found if file.suffix in _SUFFIXES and file.is_file()]
    if not found:
        raise ModelError(
            f"embedding={name}: {path} is not, and does not contain, a {', '.join(_SUFFIXES)} file",
            key="embedding",
        )
    found.sort(key=lambda file: _SUFFIXES.index(file.suffix))
    return {file.stem: file for file in found}


def content(name: str) -> str:
    """The words and the hashes of their files, as a JSON object."""
    return json.dumps({word: identity.of_file(file) for word, file in files(name).items()})


def check(name: str, words: Sequence[str], spec: ModelSpec, info: ModelInfo) -> None:
    """ModelError unless the files of `words` can be read and fit the model of `spec`."""
    if info.kind not in _ENCODERS:
        raise ModelError(
            f"embedding={name}: {spec.name} has no CLIP, which it needs; remove it", key="embedding"
        )
    widths = list(_widths(info))
    for word in words:
        file = files(name)[word]
        shapes = headers.shapes(file, key="embedding", trust_pickle=spec.trust_pickle)
        own = [shape[-1] for shape in ordered(shapes).values()]
        if own != widths:
            raise ModelError(
                f"embedding={file}: vectors of {_several(own)} numbers, and the text encoders of "
                f"{spec.name} take {_several(widths)}; use one that was made for such a model",
                key="embedding",
            )


def ordered(by_name: Mapping[str, Any]) -> dict[str, Any]:
    """What a file has for each text encoder, in the pipeline's order."""
    if set(PARTS) <= by_name.keys():
        return {part: by_name[part] for part in PARTS}
    return dict(list(by_name.items())[:1])


def _widths(info: ModelInfo) -> Iterator[int]:
    for i in range(_ENCODERS[info.kind]):
        file = info.folder / ("text_encoder" if i == 0 else f"text_encoder_{i + 1}") / "config.json"
        yield int(read_object(file)["hidden_size"])


def _several(numbers: Sequence[int]) -> str:
    return " and ".join(map(str, numbers))


def vectors(file: Path, part: int, *, trust_pickle: bool) -> torch.Tensor:
    """(n, width), float32, for text encoder number `part`. ModelError for a pickle that nobody
    vouched for.
    """
    return _vectors(file, part, trust_pickle, file.stat().st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _vectors(file: Path, part: int, trust_pickle: bool, changed: int) -> torch.Tensor:
    if file.suffix == ".safetensors":
        from safetensors.torch import load_file

        tensors = load_file(file)
    else:
        headers.need_consent(file, "embedding", trust_pickle)
        from sdviz.models.files import pickles

        tensors = pickles.read(file, key="embedding")
    found: torch.Tensor = list(ordered(tensors).values())[part]
    return found.detach().float().reshape(-1, found.shape[-1])
