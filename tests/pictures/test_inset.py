"""Large pictures carry their small form wherever they go, and old ones without it stay as good."""

from __future__ import annotations

import io
import random
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

from sdviz.archive.export.tables import write_zip
from sdviz.archive.reader import Archive
from sdviz.archive.upkeep.verify import verify
from sdviz.commands.archive.command import main
from sdviz.pictures import files, inset
from tests.archive.sweeps import make_plan, picture, write

SIZE = {"width": 640, "height": 512, "steps": 2}


def insets_of(archive: Archive) -> list[Image.Image]:
    """Those of all frames and final images; a picture that has none is missed."""
    carried = [inset.of_png(archive.image_path(cell.i)) for cell in archive.cells]
    for cell in archive.cells:
        carried += [inset.of_webp(archive.frame_bytes(cell.i, s)) for s in archive.steps(cell.i)]
    return [Image.open(io.BytesIO(data)) for data in carried if data is not None]


def photograph(side: int) -> np.ndarray:
    """Grain of all sizes, as in a photograph."""
    noise, total = np.random.default_rng(0), np.full((side, side), 128.0)
    for size in (1, 2, 4, 8, 16):
        coarse = noise.uniform(-8, 8, (side // size, side // size))
        total += np.kron(coarse, np.ones((size, size)))
    return np.stack([total.clip(0, 255).astype(np.uint8)] * 3, axis=2)


def test_an_inset_is_the_picture_made_small(tmp_path: Path) -> None:
    plan = make_plan({"cfg": [3.0]}, **SIZE)
    with Archive(write(tmp_path, "a", plan).path) as archive:
        final, *frames = insets_of(archive)
        assert [image.size for image in (final, *frames)] == [(384, 307)] * 3
        whole = [picture(plan.cells[0], step) for step in (2, 1, 2)]
        for small, large in zip((final, *frames), whole, strict=True):
            expected = np.asarray(Image.fromarray(large).resize((384, 307)), dtype=float)
            assert np.abs(np.asarray(small.convert("RGB")) - expected).mean() < 3
        assert np.array_equal(np.asarray(archive.image(0)), whole[0]), "the picture is as it was"
        assert archive.frame(0, 1).shape == (512, 640, 3)
    assert list(verify(tmp_path / "a")) == []


def test_what_copies_a_picture_copies_its_inset(tmp_path: Path) -> None:
    first = write(tmp_path / "1", "a", make_plan({"cfg": [3.0]}, **SIZE)).path
    second = write(tmp_path / "2", "b", make_plan({"cfg": [7.0]}, **SIZE)).path
    wider = write(tmp_path / "1", "wider", make_plan({"cfg": [3.0, 7.0]}, **SIZE))
    assert [cell.index for cell in wider.todo] == [1], "the other was reused"
    assert main(["merge", *map(str, (tmp_path / "both", first, second))]) == 0
    for path in (wider.path, tmp_path / "both"):
        with Archive(path) as archive:
            assert len(insets_of(archive)) == 6
    with Archive(wider.path) as archive:
        write_zip(archive, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as packed:
        packed.extractall(tmp_path / "unpacked")
    with Archive(tmp_path / "unpacked" / "wider") as archive:
        assert len(insets_of(archive)) == 6
    assert list(verify(tmp_path / "unpacked" / "wider")) == []


def test_small_pictures_have_none(tmp_path: Path) -> None:
    plan = make_plan({"cfg": [3.0]}, width=496, height=384, steps=2)
    with Archive(write(tmp_path, "a", plan).path) as archive:
        assert insets_of(archive) == []


def test_an_inset_takes_an_eighth_of_a_photographs_frame_at_most() -> None:
    frame = files.encode_webp(photograph(1024))
    carried = inset.of_webp(frame)
    assert carried is not None
    assert len(carried) < len(frame) / 8


def test_damage_is_no_inset_and_no_error(tmp_path: Path) -> None:
    chance, pixels, file = random.Random(0), photograph(512), tmp_path / "a.png"
    frame, final = files.encode_webp(pixels), files.encode_png(pixels, {"parameters": "a"})
    for turn in range(300):
        webp, image = (damaged(data, chance, cut=bool(turn % 2)) for data in (frame, final))
        file.write_bytes(image)
        for found in (inset.of_webp(webp), inset.of_png(file)):
            assert found is None or len(found) < len(frame)
        _ = inset.webp_size(webp)


def damaged(data: bytes, chance: random.Random, *, cut: bool) -> bytes:
    """Some bytes changed, most of them near the beginning, where the lengths are."""
    changed = bytearray(data)
    for reach in (40, 40, 400, len(data)):
        changed[chance.randrange(reach)] ^= 1 << chance.randrange(8)
    return bytes(changed[: chance.randrange(len(data))] if cut else changed)
