"""Image to text to image: the caption of each picture is the prompt of the next.

For the real thing: model=sd21 caption=blip. Without `caption=` the miniature's own CLIP reads its
picture, word by word. rounds=6 goes on for longer.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from experiments.miniature.captions import full
from experiments.miniature.world import (
    COLOURS,
    COUNTS,
    GROUNDS,
    KINDS,
    LIGHTS,
    SKIES,
    STYLES,
    Scene,
)
from experiments.study import arguments, keep, plot, sweep
from sdviz.archive.reader import Archive
from sdviz.models.addons.scoring import Clip
from sdviz.models.files.places import MINIATURE

WORLD = {
    "ground": GROUNDS,
    "sky": SKIES,
    "kind": KINDS,
    "colour": COLOURS,
    "count": COUNTS,
    "light": LIGHTS,
    "style": STYLES,
}


def reader_of_the_world() -> Callable[[Archive], str]:
    """Zero-shot: changes one word of a caption at a time, for as long as CLIP likes it better."""
    clip = Clip(MINIATURE / "clip", "cpu")

    def read(archive: Archive) -> str:
        pixels = np.asarray(archive.image(0))
        scene = Scene(**{name: values[0] for name, values in WORLD.items()}, seed=0)
        for name, values in [*WORLD.items()] * 2:
            scenes = [replace(scene, **{name: value}) for value in values]
            scene = max(scenes, key=lambda candidate: clip.score(full(candidate), pixels))
        return full(scene)

    return read


def told_by_the_archive(archive: Archive) -> str:
    return str(archive.scores()[0]["caption"])


def main() -> None:
    given = arguments()
    rounds = next((int(a.partition("=")[2]) for a in given if a.startswith("rounds=")), 4)
    given = [a for a in given if not a.startswith("rounds=")]
    has_captioner = any(a.startswith("caption=") for a in given)
    read = told_by_the_archive if has_captioner else reader_of_the_world()

    archives, prompt = [], ""
    for _ in range(rounds):
        asked = [f"prompt={prompt}"] if prompt else []
        archives.append(sweep("experiment=caption-loop", *given, *asked))
        prompt = read(archives[-1])
        print(f"read: {prompt}")

    figure = plot(2.2 * rounds, 2.8)
    for axis, archive in zip(figure.subplots(1, rounds, squeeze=False)[0], archives, strict=True):
        axis.imshow(archive.image(0))
        axis.set_axis_off()
        axis.set_title(textwrap.fill(archive.cells[0].recipe["prompt"], 28), fontsize=7)
    keep(figure, archives[0], "caption-loop")


if __name__ == "__main__":
    main()
