"""What the rest does: variation seed, seed resize, hires fix, tiling, clip skip, batch size."""

from __future__ import annotations

import numpy as np

from experiments.study import arguments, keep, sheet, sweep
from sdviz.archive.labels import value_label

PLAIN = ("variation_strength=null", "variation_seed=null")
SWEEPS = {
    "variation_seed": (),
    "seed_resize": (*PLAIN, "seed_resize='',96x96,160x160"),
    "hires_fix": (*PLAIN, "hires_scale=1.5", "hires_strength=0.3,0.5,0.7,0.9"),
    "tiling": (*PLAIN, "tiling=false,true"),
    "clip_skip": (*PLAIN, "clip_skip=1,2"),
}


def main() -> None:
    for name, overrides in SWEEPS.items():
        archive = sweep("experiment=variation", *overrides, *arguments())
        rows: dict[int, list[int]] = {}
        labels, names = [], {}
        *others, key = archive.axes
        for cell in archive.cells:
            row = cell.coords[0] if others else 0
            rows.setdefault(row, []).append(cell.i)
            labels.append(told(key, cell.recipe.get(key)))
            names[row] = " ".join(told(other, cell.recipe.get(other)) for other in others)
        figure = sheet(archive, list(rows.values()), labels, list(names.values()))
        keep(figure, archive, name)
    batches()


def told(key: str, value: object) -> str:
    return f"{key.replace('_', ' ')} {value_label(value)}"


def batches() -> None:
    """Four pictures one after the other, and all at once."""
    command = ("experiment=variation", *PLAIN, *arguments(), "samples=4", "reuse=false")
    few, many = (pictures(*command, f"engine.batch={rows}") for rows in (2, 8))
    difference = np.abs(few - many).max()
    print(
        f"4 pictures by 2 and by 8 rows: the largest difference of a value is {difference} of 255"
    )


def pictures(*command: str) -> np.ndarray:
    archive = sweep(*command)
    return np.stack([np.asarray(archive.image(cell.i), int) for cell in archive.cells])


if __name__ == "__main__":
    main()
