"""What the rest does: variation seed, seed resize, hires fix, tiling, clip skip, batch size."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from experiments.study import arguments, grid, keep, rows_by, sheet, sweep
from sdviz.archive.reader import Archive

PLAIN = ("variation_strength=null", "variation_seed=null")
TILED = ("prompt=a red boat on the sea, a painting",)  # for the miniature: one thing, and water


def main() -> None:
    variation_seed()
    seed_resize()
    hires_fix()
    tiling()
    clip_skip()
    batches()


def plain(*overrides: str) -> Archive:
    return sweep("experiment=variation", *PLAIN, *overrides, *arguments())


def images(archive: Archive) -> list[Image.Image]:
    return [archive.image(cell.i) for cell in archive.cells]


def variation_seed() -> None:
    archive = sweep("experiment=variation", *arguments())
    rows = rows_by(archive, lambda cell: cell.recipe["variation_seed"])
    labels = [f"strength {cell.recipe['variation_strength']:g}" for cell in archive.cells]
    names = [f"variation seed {seed}" for seed in rows]
    keep(sheet(archive, list(rows.values()), labels, names), archive, "variation_seed")


def seed_resize() -> None:
    """The same seeds half as wide again: with their own noise, and with the smaller picture's."""
    small = plain("seed=1,2,3")
    width, height = size(small)
    wide = round(1.5 * width)
    alone = plain("seed=1,2,3", f"width={wide}")
    resized = plain("seed=1,2,3", f"width={wide}", f"seed_resize={width}x{height}")
    rows = list(zip(*map(images, (small, alone, resized)), strict=True))
    sizes = (f"{width}x{height}", f"{wide}x{height}", f"{wide}x{height}, seed resize")
    keep(grid(rows, sizes, ["seed 1", "seed 2", "seed 3"]), resized, "seed_resize")


def hires_fix() -> None:
    """The model's own size, half as large again at once, and in two passes."""
    small = plain()
    width, height = (round(1.5 * side) for side in size(small))
    large = plain(f"width={width}", f"height={height}")
    fixed = plain("hires_scale=1.5", "hires_strength=0.3,0.5,0.7,0.9")
    labels = ["{}x{}".format(*size(small)), f"{width}x{height} at once"]
    labels += [f"in two, {cell.recipe['hires_strength']:g}" for cell in fixed.cells]
    keep(grid([[*images(small), *images(large), *images(fixed)]], labels), fixed, "hires_fix")


def tiling() -> None:
    """Each picture four times: do its edges meet?"""
    words = () if any(a.startswith(("model=", "prompt=")) for a in arguments()) else TILED
    archive = plain(*words, "tiling=false,true", "seed=1,2,3")
    rows = {
        is_on: [archive.image(i) for i in cells]
        for is_on, cells in rows_by(archive, lambda cell: cell.recipe["tiling"]).items()
    }
    seeds = [f"seed {cell.recipe['seed']}" for cell in archive.cells]
    names = [f"tiling {is_on}, seam {seam(row):.1f}".lower() for is_on, row in rows.items()]
    keep(grid([list(map(tiled, row)) for row in rows.values()], seeds, names), archive, "tiling")


def tiled(image: Image.Image) -> Image.Image:
    """Two by two of it."""
    return Image.fromarray(np.tile(np.asarray(image), (2, 2, 1)))


def seam(pictures: Sequence[Image.Image]) -> float:
    """How many times as much opposite edges differ as neighbours within the pictures do."""
    across, within = [], []
    for picture in pictures:
        pixels = np.asarray(picture, float)
        for values in (pixels, pixels.swapaxes(0, 1)):
            across.append(np.abs(values[0] - values[-1]).mean())
            within.append(np.abs(np.diff(values, axis=0)).mean())
    return float(np.mean(across) / np.mean(within))


def clip_skip() -> None:
    archive = plain("clip_skip=1,2", "seed=1,2,3,10")
    rows = rows_by(archive, lambda cell: cell.recipe["clip_skip"])
    labels = [f"seed {cell.recipe['seed']}" for cell in archive.cells]
    names = [f"clip skip {skip}" for skip in rows]
    keep(sheet(archive, list(rows.values()), labels, names), archive, "clip_skip")


def batches() -> None:
    """Four pictures one after the other, and all at once."""
    few, many = (
        np.stack([np.asarray(image, int) for image in images(plain(*words, "samples=4"))])
        for words in (("reuse=false", "engine.batch=2"), ("reuse=false", "engine.batch=8"))
    )
    difference = np.abs(few - many).max()
    print(
        f"4 pictures by 2 and by 8 rows: the largest difference of a value is {difference} of 255"
    )


def size(archive: Archive) -> tuple[int, int]:
    recipe = archive.cells[0].recipe
    return recipe["width"], recipe["height"]


if __name__ == "__main__":
    main()
