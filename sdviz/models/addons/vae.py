"""Another VAE in the place of a model's own: where it is, and whether it fits. No torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sdviz.errors import ModelError
from sdviz.models.files import places, tensors
from sdviz.models.files.refusal import read_object
from sdviz.models.files.tensors import PICKLES

NONE = "none"  # the word for the model's own, so that an axis can have it


def find(name: str) -> Path:
    """The folder (with a config.json) or the .safetensors file that `vae=` names; ModelError."""
    path = places.anywhere(name, key="vae")
    if path.is_file():
        if path.suffix not in (".safetensors", *PICKLES):
            raise ModelError(
                f"vae={name}: {path.suffix or 'no'} file; it must be a .safetensors file", key="vae"
            )
        return path
    for folder in (path, path / "vae"):  # the VAE alone, or a whole model's
        if (folder / "config.json").is_file():
            return folder
    raise ModelError(
        f"vae={name}: {path} has no config.json, so it is not a VAE of diffusers'", key="vae"
    )


def check(name: str, *, model: str, own: Path, trust_pickle: bool = False) -> None:
    """ModelError unless VAE `name` fits `model`, whose own VAE is in the folder `own`."""
    path = find(name)
    if path.is_file():
        shapes = tensors.shapes(path, key="vae", trust_pickle=trust_pickle)
        if not any("decoder.conv_in.weight" in key for key in shapes):
            raise ModelError(f"vae={name}: contains no VAE tensors; name a VAE", key="vae")
        return
    there, here = _config(path, name), _config(own, name)
    if there.get("_class_name", "AutoencoderKL") != "AutoencoderKL":
        raise ModelError(
            f"vae={name}: a {there['_class_name']}; it must be an AutoencoderKL", key="vae"
        )
    for key, what, default in (
        ("latent_channels", "latents of {} channels", 4),
        ("block_out_channels", "{} levels", [0]),
    ):
        ours, theirs = here.get(key, default), there.get(key, default)
        if key == "block_out_channels":
            ours, theirs = len(ours), len(theirs)
        if ours != theirs:
            raise ModelError(
                f"vae={name}: has {what.format(theirs)}, and that of {model} {what.format(ours)}; "
                "use one that was made for models of its kind",
                key="vae",
            )


def _config(folder: Path, name: str) -> dict[str, Any]:
    try:
        return read_object(folder / "config.json")
    except ModelError as error:
        raise ModelError(f"vae={name}: {error}", key="vae") from error
