"""Measures the shipped folders, line by line, draws the figures and writes the model cards.

python -m experiments.miniature.evaluate
python -m experiments.miniature.evaluate measure.images=64 measure.lines=[adherence,"few steps"]
python -m experiments.miniature.evaluate measure.models=[miniature_flow]
"""

import json
import logging
import random
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from experiments.miniature import card, figures, lines, measure, noise, sampling
from experiments.miniature.captions import full
from experiments.miniature.command import command
from experiments.miniature.data import read_json, write_json, write_sheet
from experiments.miniature.export import size_of
from experiments.miniature.folder import FLOW_SAMPLERS, FlowFolder, Folder, prompt_scenes
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


def contact_sheets(folder: Folder | FlowFolder, out: Path) -> None:
    """64 unchosen images at the usual CFG scale, and the typed prompts, as WebP."""
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


Measures = dict[str, Callable[[], object]]


def of_miniature(folder: Folder, judge: Judge, images: int, few: int) -> Measures:
    """The measures by name, each of which can be asked for alone.

    `images` are those that the adherence is measured on, `few` those that samplers are compared on.
    """
    prompts = sampling.Prompts(folder, judge, 7.0, few)
    return {
        "reconstruction": lambda: measure.reconstruction(folder),
        "noise": lambda: noise.errors(folder),
        "adherence": lambda: measure.adherence(folder, judge, images),
        "few steps": lambda: sampling.few_steps(prompts),
        "order": lambda: sampling.order(prompts),
        "high guidance": lambda: sampling.high_guidance(prompts),
        "guidance": lambda: measure.guidance(folder, judge),
        "open prompt": lambda: sampling.open_prompt(folder, judge),
        "ranking": lambda: measure.ranking(folder),
        "redness": lambda: measure.redness(folder),
        "speed": lambda: measure.speed(folder),
    }


def of_flow(folder: FlowFolder, judge: Judge, images: int, few: int) -> Measures:
    """Those of the flow-matching miniature, at CFG scales of its own."""
    prompts = sampling.Prompts(folder, judge, 4.0, few)
    samplers = tuple(FLOW_SAMPLERS)
    return {
        "adherence": lambda: measure.adherence(folder, judge, images),
        "flow steps": lambda: sampling.flow_steps(prompts),
        "shift": lambda: sampling.shifts(folder),
        "high guidance": lambda: sampling.high_guidance(prompts, samplers, sampling.FLOW_HIGH),
        "open prompt": lambda: sampling.open_prompt(folder, judge, cfg=4.0),
        "speed": lambda: measure.speed(folder),
    }


def take(measures: Measures, asked: list[str], record: Path) -> None:
    """Takes the measures that are asked for (all if none is); each is in the record at once."""
    for name, measured in measures.items():
        if asked and name not in asked:
            continue
        start = time.monotonic()
        values = measured()
        log.info("%s (%.0f s): %s", name, time.monotonic() - start, json.dumps(values))
        content = read_json(record, {})
        assert isinstance(content, dict)
        content.setdefault("measures", {})[name] = values
        write_json(record, content)


def report(name: str, record: Path, *, flow: bool) -> None:
    """Prints what the model must show, line by line, as far as it was measured."""
    measures = json.loads(record.read_text("utf-8")).get("measures", {})
    print(f"\n{name}\n\n{lines.HEAD}")
    for line in lines.lines(measures, flow=flow):
        print(line.row)


def publish(folder: Folder, out: Path) -> None:
    """Makes the sheets, the figures and the card from what the record holds."""
    contact_sheets(folder, out)
    guidance_sheet(folder, out)
    record = json.loads((out / "training.json").read_text("utf-8"))
    for name, plot in (("guidance", figures.guidance), ("order", figures.order)):
        if name in record["measures"]:
            plot(record["measures"][name], out / card.CURVES[name])
    record["bytes"] = size_of(out)
    write_json(out / "training.json", record)
    (out / "README.md").write_text(card.text(record, TYPED), "utf-8")


def publish_flow(folder: FlowFolder, out: Path) -> None:
    """As `publish`, for the flow-matching miniature."""
    contact_sheets(folder, out)
    record = json.loads((out / "training.json").read_text("utf-8"))
    record["bytes"] = size_of(out)
    write_json(out / "training.json", record)
    (out / "README.md").write_text(card.flow_text(record, TYPED), "utf-8")


def evaluate(settings: dict) -> None:
    """Measures the folders that there are; publishes them unless `measure.publish` is false."""
    if settings["threads"]:
        torch.set_num_threads(settings["threads"])
    work, asked = Path(settings["work"]), settings["measure"]
    judge = train_judge(asked["drawn"], Budget(**asked["judge"]), work, Live(**settings["visdom"]))
    out, flow_out = Path(settings["out"]), Path(settings["flow"]["out"])
    if "miniature" in asked["models"]:
        folder = Folder(out)
        measures = of_miniature(folder, judge, asked["images"], asked["prompts"])
        take(measures, asked["lines"], out / "training.json")
        if asked["publish"]:
            publish(folder, out)
        report("miniature", out / "training.json", flow=False)
    if "miniature_flow" in asked["models"] and (flow_out / "model_index.json").exists():
        flow = FlowFolder(flow_out)
        measures = of_flow(flow, judge, asked["images"], asked["prompts"])
        take(measures, asked["lines"], flow_out / "training.json")
        if asked["publish"]:
            publish_flow(flow, flow_out)
        report("miniature_flow", flow_out / "training.json", flow=True)


if __name__ == "__main__":
    command(evaluate)()
