"""The model as an axis: two checkpoints, one recipe.

For the real thing: model=sd-v1-4.ckpt,other.safetensors model.trust_pickle=true. Without `model=`
the miniature meets itself with the weights of its UNet rounded to 5 bits.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from experiments.study import arguments, keep, sheet, sweep
from sdviz.models.places import MINIATURE

BITS = 5


def rounded(folder: Path) -> Path:
    """A copy of the miniature whose UNet keeps 2**BITS levels of each output channel's weights."""
    if not (folder / "model_index.json").is_file():
        shutil.copytree(MINIATURE, folder, dirs_exist_ok=True)
        file = folder / "unet" / "diffusion_pytorch_model.safetensors"
        save_file({name: _round(w) for name, w in load_file(file).items()}, file)
    return folder


def _round(weight: torch.Tensor) -> torch.Tensor:
    if weight.dim() < 2:
        return weight
    largest = weight.abs().amax(dim=tuple(range(1, weight.dim())), keepdim=True).float()
    step = largest.clamp_min(1e-8) / (2 ** (BITS - 1) - 1)
    return ((weight.float() / step).round() * step).to(weight.dtype)


def main() -> None:
    given = arguments()
    if not any(a.startswith("model=") for a in given):
        outputs = next((a.partition("=")[2] for a in given if a.startswith("outputs=")), "outputs")
        given = [*given, f"model=miniature,{rounded(Path(outputs) / '.models' / f'{BITS}-bit')}"]
        given += ["prompt=a purple tower in the snow at night", "negative=", "seed=1-4"]
    archive = sweep("experiment=checkpoint", *given)
    rows: dict[object, list[int]] = {}
    for cell in archive.cells:
        rows.setdefault(cell.recipe["model"], []).append(cell.i)
    names = [Path(str(model)).stem for model in rows]
    seeds = [f"seed {archive.cells[i].recipe['seed']}" for i in next(iter(rows.values()))]
    keep(sheet(archive, list(rows.values()), seeds, names), archive, "checkpoint")


if __name__ == "__main__":
    main()
