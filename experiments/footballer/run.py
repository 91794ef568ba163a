"""A v-prediction model in half precision, then image to image with `only house`.

For the real thing: model=sd21 dtype=float16 house=<photo of a house with trees>.
"""

from __future__ import annotations

from PIL import Image

from experiments.study import arguments, grid, keep, sheet, sweep
from sdviz.request.init_images import locate

HOUSE = "two white houses in the meadow, a tree"  # what the miniature draws for want of a photo


def main() -> None:
    given = arguments()
    house = next((a.partition("=")[2] for a in given if a.startswith("house=")), "")
    given = [a for a in given if not a.startswith("house=")]
    archive = sweep("experiment=footballer", *given)
    seeds = [f"seed {cell.recipe['seed']}" for cell in archive.cells]
    keep(sheet(archive, [[cell.i for cell in archive.cells]], seeds), archive, "footballer")
    if not house:
        drawn = sweep("experiment=footballer", f"prompt={HOUSE}", "seed=1", *given)
        house = f"{drawn.path}#0"
    only = sweep(
        "experiment=footballer",
        "prompt=only house",
        f"init={house}",
        "strength=0.3,0.5,0.7,0.9",
        "seed=1",
        *given,
    )
    labels = ["start", *(f"strength {cell.recipe['strength']}" for cell in only.cells)]
    pictures = [only.image(cell.i) for cell in only.cells]
    start = Image.open(locate(house, archive.path.parent)).convert("RGB").resize(pictures[0].size)
    keep(grid([[start, *pictures]], labels), only, "only-house")


if __name__ == "__main__":
    main()
