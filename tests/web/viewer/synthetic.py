"""Made-up sweeps for the viewer's tests: descriptions as docs/viewer-data.md says, and pictures."""

from __future__ import annotations

import base64
import io
import itertools
import math
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from sdviz.web.setting_rows import setting_rows

SAMPLERS = ["Euler a", "DPM++ 2M Karras", "Heun"]
CFG = [1, 7, 20]
FIXED = {
    "model": "miniature",
    "prompt": "a red pyramid",
    "negative": "",
    "cfg": 7,
    "sampler": "Euler a",
}
URLS = {
    "frame": "frame/{cell}/{step}.webp",
    "image": "image/{cell}.png",
    "cell": "cell/{cell}.json",
    "live": "live",
}


def sigmas(sampler: str, steps: int) -> list[float]:
    """Noise levels after each step; Karras-like, another curve for names without it."""
    rho = 7.0 if "Karras" in sampler else 2.0
    high, low = 14.6 ** (1 / rho), 0.03 ** (1 / rho)
    ramp = [(high + (k / max(1, steps - 1)) * (low - high)) ** rho for k in range(1, steps)]
    return [*ramp, 0.0]


def description(
    axes: dict[str, list[Any]], *, steps: int = 20, size: int = 128, done: bool = True, **extra: Any
) -> dict[str, Any]:
    """A sweep over the product of `axes`; finished unless `done` is False."""
    fixed = {**FIXED, "steps": steps, "seed": 42, "width": size, "height": size}
    fixed = {name: value for name, value in fixed.items() if name not in axes}
    schedules: dict[tuple[str, int], int] = {}
    cells = []
    for index, coords in enumerate(itertools.product(*(range(len(v)) for v in axes.values()))):
        varied = {name: axes[name][at] for name, at in zip(axes, coords, strict=True)}
        recipe = {**fixed, **varied}
        count = int(recipe["steps"])
        which = schedules.setdefault((recipe["sampler"], count), len(schedules))
        cell = {"i": index, "c": list(coords), "r": varied, "s": "waiting", "f": 0, "q": which}
        if done:
            cell |= finished(recipe, index)
        cells.append(cell)
    return {
        "format": 1,
        "name": "synthetic",
        "status": "finished" if done else "running",
        "created": "2026-01-31T12:00:00Z",
        "dims": [{"keys": [key], "labels": [str(v) for v in axes[key]]} for key in axes],
        "fixed": fixed,
        "settings": setting_rows(),
        "cells": cells,
        "schedules": [schedule(sampler, count) for sampler, count in schedules],
        "urls": dict(URLS),
        "progress": {"done": len(cells) * done, "failed": 0, "total": len(cells), "seconds": 61.2},
        "notes": [],
        "seq": 1,
        **extra,
    }


def schedule(sampler: str, steps: int) -> dict[str, Any]:
    return {"sampler": sampler, "steps": steps, "sigmas": sigmas(sampler, steps), "timesteps": []}


def finished(recipe: dict[str, Any], index: int) -> dict[str, Any]:
    """The fields of a cell that is done."""
    steps = int(recipe["steps"])
    calls = steps * (2 if recipe["sampler"] in ("Heun", "DPM2") else 1)
    times = {
        "encode_s": 0.004,
        "denoise_s": round(0.021 * calls * (1 + 0.1 * (index % 7)), 4),
        "preview_s": round(0.003 * steps, 4),
        "decode_s": 0.018,
        "save_s": 0.006,
    }
    times["total_s"] = round(sum(times.values()), 4)
    return {
        "s": "done",
        "f": steps,
        "img": f"{index:04d}.png",
        "t": {**times, "batch": 6},
        "ev": calls,
    }


def detail(sweep: dict[str, Any], index: int) -> dict[str, Any]:
    """One cell's JSON, with figures that behave as real ones do."""
    cell = sweep["cells"][index]
    recipe = {**sweep["fixed"], **cell["r"]}
    steps = int(recipe["steps"])
    levels = sweep["schedules"][cell["q"]]["sigmas"]
    spent = cell.get("t", {}).get("denoise_s", 1)
    frames = [
        figures(k, steps, float(recipe["cfg"]), bend=1.2 + 0.15 * cell["q"])
        | {"sigma": levels[k - 1], "seconds": spent * k / steps}
        for k in range(1, cell["f"] + 1)
    ]
    for frame in frames if cell.get("ref") else ():
        # a noisy sampler comes no nearer with more steps
        frame["reference"] = frame["distance"] + (
            0.1 + 0.001 * steps if cell.get("noisy") else 0.2 / steps
        )
    return {
        "i": index,
        "recipe": recipe,
        "key": f"{index:064x}",
        "status": cell["s"],
        "reason": cell.get("e", ""),
        "timings": cell.get("t", {}),
        "notes": [],
        "frames": frames,
    }


def figures(k: int, steps: int, cfg: float, *, bend: float) -> dict[str, float]:
    """Measures of the frame after step k: the picture settles, and a high CFG burns."""
    left = 1 - k / steps
    return {
        "step": k,
        "timestep": round(999 * left),
        "mean": 0.02 * left,
        "std": 0.9 - 0.25 * left,
        "min": -3 + left,
        "max": 3.1 - left,
        "guidance": 0.02 * cfg * math.exp(-3 * left) + 0.05,
        "distance": 0.25 * left**bend,
        "clipped": 0.002 * cfg * (1 - left),
        "saturation": min(1.0, 0.2 + 0.02 * cfg),
    }


@lru_cache(maxsize=4096)
def scene(kind: int, size: int) -> Image.Image:
    """A small landscape; `kind` decides its colours and shapes."""
    rng = np.random.default_rng(kind)
    sky, ground, thing = (tuple(int(v) for v in rng.integers(30, 226, 3)) for _ in range(3))
    picture = Image.new("RGB", (size, size), sky)
    draw = ImageDraw.Draw(picture)
    horizon = int(size * rng.uniform(0.55, 0.75))
    draw.rectangle([0, horizon, size, size], fill=ground)
    x, r = size * rng.uniform(0.2, 0.8), size * 0.08
    draw.ellipse([x - r, size * 0.2 - r, x + r, size * 0.2 + r], fill=(250, 240, 200))
    x, w = size * rng.uniform(0.3, 0.7), size * rng.uniform(0.15, 0.3)
    draw.polygon([(x - w, horizon + 4), (x + w, horizon + 4), (x, horizon - w * 1.4)], fill=thing)
    return picture


@lru_cache(maxsize=16384)
def frame(kind: int, step: int, steps: int, size: int) -> bytes:
    """WebP of the scene at `step`: blurred and grey at first, as x0 predictions are, then sharp."""
    picture = scene(kind, size)
    part = step / steps
    small = max(2, int(size * part**1.5))
    soft = picture.resize((small, small), Image.Resampling.BOX).resize(
        picture.size, Image.Resampling.BICUBIC
    )
    grey = Image.new("RGB", picture.size, (128, 120, 112))
    out = io.BytesIO()
    Image.blend(grey, soft, 0.3 + 0.7 * part).save(out, "WEBP", quality=80, method=0)
    return out.getvalue()


@lru_cache(maxsize=16384)
def final(kind: int, size: int) -> bytes:
    """PNG of the scene."""
    out = io.BytesIO()
    scene(kind, size).save(out, "PNG", compress_level=1)
    return out.getvalue()


def data_uri(content: bytes, kind: str) -> str:
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
