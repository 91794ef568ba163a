"""What the miniature shows of prompts, guidance, colours and speed, on the shipped folder."""

import random
import time
from dataclasses import replace

import numpy as np
import torch

from experiments.miniature import clip
from experiments.miniature.autoencoder import psnr, reconstruct
from experiments.miniature.captions import full, things
from experiments.miniature.data import fresh_scenes
from experiments.miniature.folder import FlowFolder, Folder, prompt_scenes
from experiments.miniature.judge import Judge, right
from experiments.miniature.paint import draw
from experiments.miniature.world import Scene
from sdviz.pictures import measures

CFGS = (1.0, 2.0, 3.0, 5.0, 7.0, 10.0, 15.0, 25.0)


def reconstruction(folder: Folder, count: int = 512) -> dict[str, float]:
    """PSNR of fresh pictures through the autoencoder."""
    pictures = np.stack([draw(scene) for scene in fresh_scenes(count, "reconstruction")])
    made = reconstruct(folder.pipeline.vae, pictures)
    each = [psnr(a, b) for a, b in zip(made, pictures, strict=True)]
    return {
        "psnr": psnr(made, pictures),
        "mean of psnr": float(np.mean(each)),
        "worst": float(np.min(each)),
        "pictures": count,
    }


def adherence(folder: Folder | FlowFolder, judge: Judge, count: int) -> dict[str, object]:
    """The facts read off images at the usual CFG and 30 Euler steps; held out ones apart."""
    drawn = fresh_scenes(1000, "judge")
    drawn = [scene for scene in drawn if scene.count]
    result: dict[str, object] = {
        "judge on drawn": right(judge, np.stack([draw(s) for s in drawn]), drawn)
    }
    for name, held_out, n in (("seen", False, count), ("held out", True, count // 8)):
        scenes = prompt_scenes(n, name, held_out)
        pictures = folder.pictures([full(s) for s in scenes], list(range(n)))
        result[name] = {**right(judge, pictures, scenes), "images": n}
    return result


def colourfulness(picture: np.ndarray) -> float:
    """How strong and how varied the colours of a uint8 picture look; 0 is grey, 109 extreme.

    Hasler & Suesstrunk 2003, "Measuring colourfulness in natural images", equation (metric M3).
    """
    red, green, blue = np.moveaxis(picture.astype(np.float32), -1, 0)
    across, down = red - green, (red + green) / 2 - blue
    return float(np.hypot(across.std(), down.std()) + 0.3 * np.hypot(across.mean(), down.mean()))


def guidance(folder: Folder, judge: Judge, count: int = 48) -> list[dict[str, float]]:
    """Adherence, saturation and clipping over the CFG scale, at equal seeds.

    Saturation three ways: a pixel's mean, the share of pixels above 0.95, colourfulness.
    """
    scenes = prompt_scenes(count, "guidance", False)
    rows = []
    for cfg in CFGS:
        pictures = folder.pictures([full(s) for s in scenes], list(range(count)), cfg=cfg)
        rows.append(
            {
                "cfg": cfg,
                **right(judge, pictures, scenes),
                "saturation": measures.saturation(pictures),
                "saturated": measures.saturated_share(pictures),
                "colourfulness": float(np.mean([colourfulness(p) for p in pictures])),
                "clipped": measures.clipped_share(pictures),
            }
        )
    return rows


def ranking(folder: Folder, count: int = 1000) -> dict[str, float]:
    """How often CLIP puts the right caption before nine wrong ones, and before six near.

    A near one is wrong by one fact only: kind, colour, count, ground, sky or light.
    """
    rng = random.Random("ranking")
    scenes = [replace(scene, count=scene.count or 1) for scene in fresh_scenes(count, "ranking")]
    facts = clip.labels_of(scenes)
    pictures = np.stack([draw(scene) for scene in scenes])
    texts = [full(scene) for scene in scenes]
    near = [full(clip.altered(scene, rng)) for scene in scenes for _ in range(6)]
    every = clip.scores(folder.clip, folder.pipeline.tokenizer, pictures, texts + near)
    own = every[torch.arange(count), torch.arange(count)]
    far_hits = near_hits = 0
    for i in range(count):
        same = (facts == facts[i]).all(1)
        others = [j for j in rng.sample(range(count), 40) if not same[j]][:9]
        far_hits += bool((own[i] > every[i, others]).all())
        near_hits += bool((own[i] > every[i, count + 6 * i : count + 6 * i + 6]).all())
    return {
        "first before nine others": far_hits / count,
        "first before six near": near_hits / count,
        "pictures": count,
    }


def redness(folder: Folder, count: int = 16, steps: int = 30) -> dict[str, float]:
    """The mean of red minus blue of `a red pyramid` and `a blue pyramid` at equal seeds."""
    scene = Scene(
        kind="pyramid",
        colour="red",
        count=1,
        ground="desert",
        sky="day",
        light="sun",
        style="photograph",
        seed=0,
    )
    values = {}
    for colour in ("red", "blue"):
        prompts = [f"{things(replace(scene, colour=colour))} in the desert"] * count
        pictures = folder.pictures(prompts, list(range(count)), steps=steps).astype(np.float32)
        values[colour] = float((pictures[..., 0] - pictures[..., 2]).mean())
    return values


@torch.no_grad()
def speed(folder: Folder | FlowFolder) -> dict[str, float]:
    """Seconds of a 20-step image at CFG 7, alone and within a batch of 16 (best of three).

    By this module's own loop, bfloat16 autocast, with text encoding and the final decoding.
    """
    values = {}
    for name, rows in (("alone", 1), ("in a batch of 16", 16)):
        prompts = [full(s) for s in prompt_scenes(rows, "speed", False)]
        folder.pictures(prompts, list(range(rows)), cfg=7.0, steps=2)
        taken = []
        for _ in range(3):
            start = time.monotonic()
            folder.pictures(prompts, list(range(rows)), cfg=7.0, steps=20)
            taken.append((time.monotonic() - start) / rows)
        values[name] = round(min(taken), 3)
    return {**values, "threads": torch.get_num_threads()}
