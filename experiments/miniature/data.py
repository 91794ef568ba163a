"""The training pictures: drawn once into a memory-mapped file, found again by their number."""

import json
import os
import random
from functools import cache
from pathlib import Path

import numpy as np
from diffusers import AutoencoderKL
from PIL import Image

from experiments.miniature import workers
from experiments.miniature.autoencoder import latent_mean
from experiments.miniature.captions import caption
from experiments.miniature.live import sheet
from experiments.miniature.paint import draw
from experiments.miniature.world import SIZE, Scene, random_scene, training_scene

CHUNK = 1000  # pictures between two marks of progress


@cache
def scene_of(number: int, seed: int = 0) -> Scene:
    """The scene of a training picture."""
    return training_scene(random.Random(f"train {seed} {number}"))


def fresh_scenes(count: int, name: str) -> list[Scene]:
    """Scenes that no training picture shows, held out combinations among them."""
    rng = random.Random(f"fresh {name}")
    return [random_scene(rng) for _ in range(count)]


def caption_of(number: int, rng: random.Random) -> str:
    """One of the captions of a training picture."""
    return caption(scene_of(number), rng)


def write_json(path: Path, value: object) -> None:
    """Writes aside and renames, so that the file is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.{os.getpid()}.part")
    aside.write_text(json.dumps(value, indent=1, ensure_ascii=False) + "\n", "utf-8")
    aside.replace(path)


def read_json(path: Path, default: object) -> object:
    """What `write_json` wrote, or the default."""
    return json.loads(path.read_text("utf-8")) if path.exists() else default


def draw_all(work: Path, count: int) -> np.ndarray:
    """Draws what is missing of the training pictures; uint8 array (count, SIZE, SIZE, 3)."""
    path, mark = work / "pictures.npy", work / "pictures.json"
    shape = (count, SIZE, SIZE, 3)
    done = read_json(mark, {"count": count, "done": 0})
    assert isinstance(done, dict)
    if path.exists() and done["count"] == count:
        pictures = np.lib.format.open_memmap(path, mode="r+")
    else:
        work.mkdir(parents=True, exist_ok=True)
        pictures = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
        done = {"count": count, "done": 0}
    for start in range(done["done"], count, CHUNK):
        for number in range(start, min(start + CHUNK, count)):
            pictures[number] = draw(scene_of(number))
        pictures.flush()
        write_json(mark, {"count": count, "done": min(start + CHUNK, count)})
    return pictures


def write_sheet(path: Path, pictures: np.ndarray, columns: int) -> None:
    """A contact sheet of uint8 pictures, as PNG or, smaller, as WebP."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(sheet(pictures, columns)).save(path, optimize=True, quality=92)


def draw_latents(work: Path, count: int, vae: AutoencoderKL) -> np.ndarray:
    """Latents of the first `count` training pictures, unscaled: float16 (count, 4, 16, 16).

    The pictures themselves are not kept. Each thousand is a file, so that drawing goes on where it
    was stopped, several processes share the work, and a larger `count` draws only what is missing.
    """
    folder = work / "latents"
    folder.mkdir(parents=True, exist_ok=True)
    chunks = [folder / f"{i:05d}.npy" for i in range(-(-count // CHUNK))]
    for i in range(workers.rank(), len(chunks), workers.count()):
        if not chunks[i].exists():
            scenes = [scene_of(number) for number in range(i * CHUNK, (i + 1) * CHUNK)]
            made = latent_mean(vae, np.stack([draw(scene) for scene in scenes]))
            aside = chunks[i].with_suffix(".part")
            with aside.open("wb") as file:
                np.save(file, made)
            aside.replace(chunks[i])
    workers.wait()
    return np.concatenate([np.load(chunk) for chunk in chunks])[:count]
