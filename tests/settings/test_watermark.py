"""The invisible watermark."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from diffusers.pipelines.stable_diffusion_xl.watermark import WATERMARK_BITS
from PIL import Image

from sdviz.archive.reader import Archive
from sdviz.commands.sweep.conduct import conduct
from sdviz.engine.finishing import Finisher
from sdviz.errors import ConfigErrors
from sdviz.models.addons import watermark
from sdviz.plan.config import ModelSpec
from sdviz.plan.settings import Recipe
from sdviz.request.compose import prepare
from tests.settings.making import Pixels


def photo(height: int, width: int) -> Pixels:
    """Soft patches of colour with some grain, (height, width, 3)."""
    rng = np.random.default_rng(3)
    patches = Image.fromarray(rng.integers(60, 190, (7, 9, 3), dtype=np.uint8))
    soft = np.asarray(patches.resize((width, height), Image.Resampling.BICUBIC), float)
    return (soft + rng.normal(0, 4, soft.shape)).clip(0, 255).astype(np.uint8)


def test_a_watermark_needs_room(tiny_model: Path, tmp_path: Path) -> None:
    words = [f"model={tiny_model}", "watermark=true", "prompt=a", "device=cpu", "visdom=off",
             f"outputs={tmp_path / 'out'}", "height=256"]  # fmt: skip
    with pytest.raises(ConfigErrors) as caught:
        prepare(words)
    (told,) = map(str, caught.value.errors)
    assert "watermark=true: needs 256 pixels per side, but the width of" in told
    assert "is 64; add width=256" in told and "the height" not in told
    assert not (tmp_path / "out").exists()
    assert prepare([*words, "hires_scale=4"]), "the finished picture is what is marked"
    assert prepare([*words[:1], "watermark=false,true", "width=64,256", "zip=[[watermark,width]]",
                    *words[2:]])  # fmt: skip


def test_the_watermark_can_be_read_out_of_the_archive(tmp_path: Path) -> None:
    """On the miniature, whose pictures are pictures; the size is four times its own."""
    words = ["watermark=false,true", "prompt=a house", "steps=2", "width=256", "height=256",
             "device=cpu", "visdom=off", f"outputs={tmp_path}", "name=marked"]  # fmt: skip
    assert conduct(prepare(words)) == 0
    with Archive(tmp_path / "marked") as archive:
        plain, marked = (np.asarray(archive.image(i)) for i in (0, 1))
    assert watermark.legible(plain) < 36 < 44 <= watermark.legible(marked)
    loss = np.mean((marked.astype(float) - plain) ** 2)
    assert 10 * np.log10(255**2 / loss) > 38  # decibels: not to be seen


@pytest.mark.parametrize(("height", "width"), [(288, 416), (259, 301)])
def test_its_bits_are_those_of_stable_diffusion_xl(height: int, width: int) -> None:
    picture = photo(height, width)
    finished = Finisher(ModelSpec(), "cpu").finish(Recipe(watermark=True), picture)
    marked = finished.pixels
    assert marked.shape == picture.shape and marked.dtype == np.uint8
    assert finished.notes == ()
    assert list(watermark.read(marked)) == WATERMARK_BITS
    # A bit has a place: a row of blocks more, and all of them come later.
    assert watermark.legible(marked[8:]) < 36


def test_a_watermark_that_cannot_be_read_is_told() -> None:
    """Where all values are 0 or 255 already, half of what it adds is cut off."""
    drawn = np.full((256, 256, 3), 255, np.uint8)
    drawn[::7, ::5] = 0
    (note,) = Finisher(ModelSpec(), "cpu").finish(Recipe(watermark=True), drawn).notes
    assert "the watermark is hard to read" in note


def test_what_the_package_has_marked_is_read() -> None:
    """A grey picture that invisible-watermark 0.2.0 has put the bits into."""
    theirs = np.asarray(Image.open(Path(__file__).parent / "marked.webp").convert("RGB"))
    assert list(watermark.read(theirs)) == WATERMARK_BITS


def test_the_package_reads_what_is_marked_here() -> None:
    """Where it is installed, beside OpenCV."""
    pytest.importorskip("cv2")
    imwatermark = pytest.importorskip("imwatermark")
    decoder = imwatermark.WatermarkDecoder("bits", 48)
    marked = watermark.put(photo(288, 416))
    assert list(decoder.decode(np.ascontiguousarray(marked[:, :, ::-1]))) == WATERMARK_BITS
