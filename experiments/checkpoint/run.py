"""The model as an axis: several checkpoints, one recipe.

For the real thing: model=sd-v1-4.ckpt,other.safetensors model.trust_pickle=true. Without `model=`
the miniature meets itself with the weights of its UNet rounded to 4, 3 and 2 bits.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from experiments.study import arguments, keep, rows_by, sheet, sweep
from sdviz.models.files.places import MINIATURE

BITS = (4, 3, 2)


def rounded(folder: Path, bits: int) -> Path:
    """A copy of the miniature whose UNet keeps 2**bits levels of each output channel's weights."""
    if not (folder / "model_index.json").is_file():
        shutil.copytree(MINIATURE, folder, dirs_exist_ok=True)
        file = folder / "unet" / "diffusion_pytorch_model.safetensors"
        save_file({name: _round(w, bits) for name, w in load_file(file).items()}, file)
    return folder


def _round(weight: torch.Tensor, bits: int) -> torch.Tensor:
    if weight.dim() < 2:
        return weight
    largest = weight.abs().amax(dim=tuple(range(1, weight.dim())), keepdim=True).float()
    step = largest.clamp_min(1e-8) / (2 ** (bits - 1) - 1)
    return ((weight.float() / step).round() * step).to(weight.dtype)


def main() -> None:
    given = arguments()
    if not any(a.startswith("model=") for a in given):
        outputs = next((a.partition("=")[2] for a in given if a.startswith("outputs=")), "outputs")
        copies = [rounded(Path(outputs) / ".models" / f"{bits}-bit", bits) for bits in BITS]
        given = [*given, f"model=miniature,{','.join(map(str, copies))}"]
        given += ["prompt=a purple tower in the snow at night", "negative=", "seed=1-4"]
    archive = sweep("experiment=checkpoint", *given)
    rows = rows_by(archive, lambda cell: cell.recipe["model"])
    names = [Path(str(model)).stem for model in rows]
    seeds = [f"seed {archive.cells[i].recipe['seed']}" for i in next(iter(rows.values()))]
    keep(sheet(archive, list(rows.values()), seeds, names), archive, "checkpoint")


if __name__ == "__main__":
    main()
