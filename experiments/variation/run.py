"""What the rest does: variation seed, seed resize, hires fix, tiling, clip skip."""

from __future__ import annotations

from experiments.study import arguments, keep, sheet, sweep

SWEEPS = {
    "variation_seed": (),
    "seed_resize": (
        "variation_strength=null",
        "variation_seed=null",
        "seed_resize='',96x96,160x160",
    ),
    "hires_fix": (
        "variation_strength=null",
        "variation_seed=null",
        "hires_scale=1.5",
        "hires_strength=0.3,0.5,0.7,0.9",
    ),
    "tiling": ("variation_strength=null", "variation_seed=null", "tiling=false,true"),
    "clip_skip": ("variation_strength=null", "variation_seed=null", "clip_skip=1,2"),
}


def main() -> None:
    for name, overrides in SWEEPS.items():
        archive = sweep("experiment=variation", *overrides, *arguments())
        rows: dict[int, list[int]] = {}
        labels = []
        for cell in archive.cells:
            row = cell.coords[0] if len(cell.coords) > 1 else 0
            rows.setdefault(row, []).append(cell.i)
            key = list(archive.axes)[-1]
            labels.append(f"{key.replace('_', ' ')} {cell.recipe.get(key) or 'none'}")
        keep(sheet(archive, list(rows.values()), labels), archive, name)


if __name__ == "__main__":
    main()
