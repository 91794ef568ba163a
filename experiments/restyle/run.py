"""Text to image, then image to image: does naming the content in the prompt keep it?

The image to start from is the astronaut study's first; `best=4` takes another of its cells.
"""

from __future__ import annotations

from experiments.study import arguments, keep, rows_by, sheet, sweep


def main() -> None:
    given = arguments()
    best = next((int(a.partition("=")[2]) for a in given if a.startswith("best=")), 0)
    given = [a for a in given if not a.startswith("best=")]
    source = sweep("experiment=astronaut", *given)
    archive = sweep("experiment=restyle", f"init={source.path}#{best}", *given)
    rows = rows_by(archive, lambda cell: cell.coords[0])
    seeds = [f"seed {cell.recipe['seed']}" for cell in archive.cells]
    prompts = {cell.coords[0]: str(cell.recipe["prompt"]) for cell in archive.cells}
    keep(sheet(source, [[best]], ["the image to start from"]), archive, "start")
    figure = sheet(archive, list(rows.values()), seeds, list(prompts.values()))
    keep(figure, archive, "restyle")


if __name__ == "__main__":
    main()
