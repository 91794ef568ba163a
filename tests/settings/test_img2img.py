"""Images to start from: as diffusers' img2img pipeline, whatever the sampler."""

from __future__ import annotations

import struct
import zlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from diffusers.image_processor import VaeImageProcessor
from PIL import Image

from sdviz.errors import ConfigError
from sdviz.events import CellFailed, CellFinished, Frame
from sdviz.pictures import image_input
from tests.settings import making
from tests.settings.making import Pipelines, apart, made, recipe

SAMPLERS = (
    "Euler a", "Euler Karras", "DPM++ 2M Karras", "DPM++ 2M SDE", "DPM++ SDE Karras", "DPM++ 2S",
    "Heun", "DPM2", "DPM2 a Karras", "LMS", "DDIM", "PLMS", "UniPC", "DEIS", "LCM", "DDPM",
)  # fmt: skip


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return making.picture(tmp_path_factory.mktemp("init") / "start.png")


def test_every_sampler_equals_the_pipeline(
    tiny_model: Path, pipelines: Pipelines, start: Path
) -> None:
    recipes = [
        recipe(init="x", strength=(0.6, 0.45)[i % 2], sampler=name, steps=5, seed=50 + i)
        for i, name in enumerate(SAMPLERS)
    ]
    pictures = made(recipes, tiny_model, {"x": start})
    image = Image.open(start)
    expected = [pipelines(one, image=image) for one in recipes]
    differences = {
        one.sampler: apart(picture, reference)
        for one, picture, reference in zip(recipes, pictures, expected, strict=True)
    }
    assert {name: most for name, most in differences.items() if most > 1} == {}
    assert len({picture.tobytes() for picture in expected}) == len(SAMPLERS)


def test_strength_says_how_many_steps_are_taken(tiny_model: Path, start: Path) -> None:
    strengths = (0.2, 0.59, 1.0)
    recipes = [recipe(init="x", strength=one, sampler="Heun", steps=5) for one in strengths]
    told = making.events(recipes, tiny_model, {"x": start})
    taken = {
        i: [(e.step, e.steps) for e in told if isinstance(e, Frame) and e.cell == i]
        for i in range(3)
    }
    assert taken[0] == [(1, 1)]
    assert taken[1] == [(1, 2), (2, 2)]
    assert [step for step, _ in taken[2]] == [1, 2, 3, 4, 5]


def test_less_strength_stays_nearer_to_the_image(tiny_model: Path, start: Path) -> None:
    weak, strong, own = made(
        [recipe(init="x", strength=0.2, steps=10), recipe(init="x", strength=0.9, steps=10),
         recipe(steps=10)],
        tiny_model,
        {"x": start},
    )  # fmt: skip
    assert not np.array_equal(strong, own)
    assert not np.array_equal(weak, strong)


@pytest.mark.parametrize("mode", image_input.RESIZE)
@pytest.mark.parametrize("size", [(90, 40), (33, 70), (64, 64)])
def test_resizing_equals_that_of_diffusers(mode: str, size: tuple[int, int]) -> None:
    patches = np.random.default_rng(1).integers(9, 255, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(patches)
    theirs = VaeImageProcessor().resize(
        image, 64, 48, resize_mode={"stretch": "default"}.get(mode, mode)
    )
    ours = image_input.resized(image, 48, 64, mode)
    # diffusers leaves a line black where an odd rest is to be filled; ours has no such line
    a, b = np.asarray(ours), np.asarray(theirs)
    lit = b.any(axis=2)
    assert lit.mean() > 0.9
    assert apart(a[lit], b[lit]) <= 1
    assert a.any(axis=2).all()


def test_an_image_that_changed_fails_its_cell_alone(tiny_model: Path, tmp_path: Path) -> None:
    path = making.picture(tmp_path / "a.png")
    planned = making.known(path)
    making.picture(path, seed=9)
    told = making.events([recipe(), recipe(init="a")], tiny_model, {"a": planned})
    (failed,) = [event for event in told if isinstance(event, CellFailed)]
    assert failed.cell == 1
    assert "init=a" in failed.reason and "has changed since" in failed.reason
    assert [event.cell for event in told if isinstance(event, CellFinished)] == [0]


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    path = making.picture(tmp_path / "a.png")
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(ConfigError, match=r"init=a: .*a\.png cannot be read as an image"):
        image_input.read(path, "init=a")
    with pytest.raises(ConfigError, match="there is no file"):
        image_input.read(tmp_path / "none.png", "init=none.png")


@pytest.mark.parametrize("side", [9_000, 12_000, 30_000])
def test_a_decompression_bomb_is_refused_by_its_header(tmp_path: Path, side: int) -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    bomb = tmp_path / "bomb.png"
    bomb.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(side + 1)))
        + chunk(b"IEND", b"")
    )
    with pytest.raises(ConfigError, match="more than 64,000,000"):
        image_input.read(bomb, "init=bomb.png")


def test_sixteen_bits_a_pixel_are_as_bright_as_eight(tmp_path: Path) -> None:
    grey = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(grey.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    read = np.asarray(image_input.read(tmp_path / "deep.png", "init"))
    assert np.array_equal(read, np.stack([grey] * 3, axis=-1))
    Image.fromarray(grey.astype(np.float32)).save(tmp_path / "float.tiff")
    with pytest.raises(ConfigError, match=r"^init: its pixels are floating-point numbers"):
        image_input.read(tmp_path / "float.tiff", "init")


@pytest.mark.parametrize("mode", image_input.RESIZE)
@pytest.mark.parametrize("size", [(3000, 2), (2, 3000), (1, 1)])
def test_a_strip_takes_any_size(mode: str, size: tuple[int, int]) -> None:
    strip = Image.new("RGB", size, "red")
    resized = image_input.resized(strip, 64, 48, mode)
    assert resized.size == (64, 48) and (np.asarray(resized) == (255, 0, 0)).all()


def test_transparency_becomes_white_and_orientation_is_heeded(tmp_path: Path) -> None:
    clear = tmp_path / "clear.png"
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(clear)
    assert np.asarray(image_input.read(clear, "init")).min() == 255
    turned = tmp_path / "turned.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by 90 degrees
    Image.new("RGB", (8, 4)).save(turned, exif=exif)
    assert image_input.read(turned, "init").size == (4, 8)


def test_hires_latent_equals_two_pipelines(tiny_model: Path, pipelines: Pipelines) -> None:
    import torch.nn.functional as F

    one = recipe(hires_scale=1.5, hires_steps=6, hires_strength=0.5, sampler="Euler a")
    near = replace(one, hires_upscaler="latent-nearest", sampler="Heun")
    pixel = replace(one, hires_upscaler="pixel", sampler="DDIM", hires_steps=0)
    pictures = made([one, near, pixel, recipe()], tiny_model)
    second = {"steps": 6, "strength": 0.5, "width": 96, "height": 96}
    for ours, first, mode in ((pictures[0], one, "bilinear"), (pictures[1], near, "nearest")):
        larger = F.interpolate(pipelines(first, latent=True), size=(12, 12), mode=mode)
        assert ours.shape == (96, 96, 3)
        assert apart(ours, pipelines(replace(first, **second), image=larger)) <= 1
    image = Image.fromarray(pipelines(pixel)).resize((96, 96), Image.Resampling.LANCZOS)
    again = replace(pixel, **{**second, "steps": pixel.steps})
    assert apart(pictures[2], pipelines(again, image=image)) <= 1


def test_frames_go_on_through_the_second_pass(tiny_model: Path) -> None:
    told = making.events([recipe(hires_scale=2.0, hires_strength=0.5), recipe()], tiny_model)
    frames = [e for e in told if isinstance(e, Frame) and e.cell == 0]
    assert [(frame.step, frame.steps) for frame in frames] == [(i, 6) for i in range(1, 7)]
    sizes = [None if f.pixels is None else f.pixels.shape[0] for f in frames]
    assert sizes == [64, 64, 64, 64, 128, 128]
