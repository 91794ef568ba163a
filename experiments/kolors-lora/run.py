"""A LoRA's scale as an axis, from nothing to twice as much as it was trained for.

For the real thing: model=kolors lora=<file>. Without `lora=` a small one is trained for the
miniature first: prints in two inks; train=40 for a shorter training.
"""

from __future__ import annotations

import importlib
from pathlib import Path

from experiments.study import arguments, keep, sheet, sweep


def main() -> None:
    given = arguments()
    steps = next((int(a.partition("=")[2]) for a in given if a.startswith("train=")), 200)
    given = [a for a in given if not a.startswith("train=")]
    if not any(a.startswith("lora=") for a in given):
        outputs = next((a.partition("=")[2] for a in given if a.startswith("outputs=")), "outputs")
        train = importlib.import_module("experiments.kolors-lora.train").train
        given.append(f"lora={train(Path(outputs) / '.models', steps=steps)}")
        given += [] if any(a.startswith("seed=") for a in given) else ["seed=0,1,2"]
    archive = sweep("experiment=kolors-lora", *given)
    rows: dict[int, dict[float, int]] = {}
    for cell in archive.cells:
        rows.setdefault(cell.recipe["seed"], {})[cell.recipe["lora_scale"]] = cell.i
    scales = [f"scale {scale:g}" for scale in next(iter(rows.values()))]
    cells = [list(row.values()) for row in rows.values()]
    keep(sheet(archive, cells, scales, [f"seed {seed}" for seed in rows]), archive, "lora")


if __name__ == "__main__":
    main()
