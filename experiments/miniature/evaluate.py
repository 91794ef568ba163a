"""Measures the shipped folder, line by line, draws the figures and writes the model card.

python -m experiments.miniature.evaluate
python -m experiments.miniature.evaluate measure.images=64 measure.lines=[adherence]
"""

import json
import logging
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from experiments.miniature import card, figures, measure
from experiments.miniature.captions import full
from experiments.miniature.command import command
from experiments.miniature.data import read_json, write_json, write_sheet
from experiments.miniature.export import size_of
from experiments.miniature.folder import Folder, prompt_scenes
from experiments.miniature.judge import Judge, train_judge
from experiments.miniature.live import Live
from experiments.miniature.training import Budget
from experiments.miniature.world import Scene, measured_scene

log = logging.getLogger(__name__)

#: The prompts of the second sheet: what users type, on seeds 0..7.
TYPED = (
    "a pyramid in the desert",
    "pyramid, sun, desert",
    "a painting of three orange trees on the grass at sunset under the sun",
    "a drawing of two blue houses in the snow by night with the moon",
    "红色的金字塔，沙漠，日落",
    "a white boat on the sea in a storm",
)


def contact_scenes() -> list[Scene]:
    """The first 64 scenes of one seed, in any style: nobody chose them."""
    rng = random.Random("contact sheet")
    return [measured_scene(rng) for _ in range(64)]


def contact_sheets(folder: Folder, out: Path) -> None:
    """64 unchosen images at CFG 5, and the typed prompts, as WebP."""
    scenes = contact_scenes()
    write_sheet(
        out / "contact.webp", folder.pictures([full(s) for s in scenes], list(range(64))), 8
    )
    prompts = [prompt for prompt in TYPED for _ in range(8)]
    write_sheet(out / "typed.webp", folder.pictures(prompts, list(range(8)) * len(TYPED)), 8)


def guidance_sheet(folder: Folder, out: Path) -> None:
    """Four prompts down, the CFG scales across, one seed."""
    scenes = prompt_scenes(6, "guidance sheet", False)
    rows = [
        folder.pictures([full(s) for s in scenes], list(range(6)), cfg=cfg) for cfg in measure.CFGS
    ]
    write_sheet(out / "guidance.webp", np.stack(rows, 1).reshape(-1, *rows[0].shape[1:]), len(rows))


def lines(folder: Folder, judge: Judge, images: int) -> dict[str, Callable[[], object]]:
    """The measures by name, each of which can be asked for alone."""
    return {
        "reconstruction": lambda: measure.reconstruction(folder),
        "adherence": lambda: measure.adherence(folder, judge, images),
        "guidance": lambda: measure.guidance(folder, judge),
        "negative": lambda: measure.negative(folder, judge),
        "samplers": lambda: measure.samplers(folder),
        "ranking": lambda: measure.ranking(folder),
        "redness": lambda: measure.redness(folder),
        "speed": lambda: measure.speed(folder),
    }


def take(folder: Folder, judge: Judge, asked: dict, record: Path) -> None:
    """Takes the measures that are asked for (all if none is); each is in the record at once."""
    for name, measured in lines(folder, judge, asked["images"]).items():
        if asked["lines"] and name not in asked["lines"]:
            continue
        start = time.monotonic()
        found = measured()
        log.info("%s (%.0f s): %s", name, time.monotonic() - start, json.dumps(found))
        content = read_json(record, {})
        assert isinstance(content, dict)
        content.setdefault("measures", {})[name] = found
        write_json(record, content)


def publish(folder: Folder, out: Path) -> None:
    """Makes the sheets, the figures and the card from what the record holds."""
    contact_sheets(folder, out)
    guidance_sheet(folder, out)
    record = json.loads((out / "training.json").read_text("utf-8"))
    for name, plot in (("guidance", figures.guidance), ("samplers", figures.samplers)):
        if name in record["measures"]:
            plot(record["measures"][name], out / f"{name}_curves.png")
    record["bytes"] = size_of(out)
    write_json(out / "training.json", record)
    (out / "README.md").write_text(card.text(record), "utf-8")


def evaluate(settings: dict) -> None:
    """Measures the folder, then shows it; `measure.publish=false` only measures."""
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    out, work = Path(settings["out"]), Path(settings["work"])
    asked = settings["measure"]
    judge = train_judge(asked["drawn"], Budget(**asked["judge"]), work, Live(**settings["visdom"]))
    folder = Folder(out)
    take(folder, judge, asked, out / "training.json")
    if asked["publish"]:
        publish(folder, out)


if __name__ == "__main__":
    command(evaluate)()
