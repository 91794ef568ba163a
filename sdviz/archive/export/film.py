"""A sweep as a film: its frames, step by step, as animated WebP, GIF or MP4."""

from __future__ import annotations

import contextlib
import itertools
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from PIL import Image

from sdviz.archive.export.grid import cell_picture
from sdviz.archive.export.pages import Arrangement, sheets
from sdviz.archive.reader import Archive
from sdviz.archive.records import CellRecord
from sdviz.errors import ArchiveError, ConfigError
from sdviz.pictures import files
from sdviz.pictures.sheet import draw
from sdviz.regular_files import whole_file

KINDS = (".webp", ".gif", ".mp4")
_MOST_PIXELS = 4_000_000  # of one frame of a film; all frames of a WebP or GIF are held at once
_HOLD = 1.5  # seconds that the last picture stays


def cell_frames(archive: Archive, cell: CellRecord) -> Iterator[Image.Image]:
    """A cell's frames in order, and its final image."""
    for step in archive.steps(cell.i):
        yield files.decode(archive.frame_bytes(cell.i, step), f"frame {cell.i}/{step}")
    yield archive.image(cell.i)


def sheet_frames(
    archive: Archive, cells: Sequence[CellRecord], arrangement: Arrangement
) -> Iterator[Image.Image]:
    """The whole sheet after each step; cells that have finished stay as they ended."""
    steps = {cell.i: archive.steps(cell.i) for cell in cells}
    moments = sorted({step for some in steps.values() for step in some})
    if not moments:
        raise ArchiveError(f"{archive.path} has no frames for a film")
    for moment in [*moments, None]:

        def picture(cell: CellRecord | None, moment: int | None = moment) -> Image.Image | str:
            if cell is None or moment is None or not steps[cell.i]:
                return cell_picture(archive, cell)
            if moment > steps[cell.i][-1]:
                return cell_picture(archive, cell)
            step = max((s for s in steps[cell.i] if s <= moment), default=steps[cell.i][0])
            return files.decode(archive.frame_bytes(cell.i, step), f"frame {cell.i}/{step}")

        sheet = sheets(archive, cells, arrangement, picture)[0]
        yield draw(replace(sheet, limit=_MOST_PIXELS))[0]


def write_film(frames: Iterator[Image.Image], path: Path, *, rate: float) -> int:
    """Writes a film of `rate` frames a second, by the ending of `path`; returns how many frames.

    Raises ConfigError for an ending that is no film's, ArchiveError where it cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise ConfigError(f"{path}: a film ends in {', '.join(KINDS)}")
    try:
        with whole_file(path) as aside:
            return (_mp4 if kind == ".mp4" else _animation)(frames, aside, rate)
    except OSError as error:
        raise ArchiveError(f"{path} cannot be written: {error}") from error


def _animation(frames: Iterator[Image.Image], path: Path, rate: float) -> int:
    pictures = list(frames)
    times = [round(1000 / rate)] * (len(pictures) - 1) + [round(1000 * _HOLD)]
    first, *rest = pictures
    if path.suffix.lower() == ".gif":
        first, *rest = map(_with_palette, pictures)
    # `quality` and `method` are WebP's; the others know what to do without.
    first.save(
        path, save_all=True, append_images=rest, duration=times, loop=0, quality=90, method=2
    )
    return len(pictures)


def _with_palette(picture: Image.Image) -> Image.Image:
    return picture.quantize(255, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)


def _mp4(frames: Iterator[Image.Image], path: Path, rate: float) -> int:
    program = shutil.which("ffmpeg")
    if program is None:
        raise ArchiveError("MP4 needs ffmpeg, which is not installed; .webp and .gif do not")
    first = next(frames)
    wide, high = (side + side % 2 for side in first.size)  # H.264 takes even sides only
    command = [
        program, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24",
        "-s", f"{wide}x{high}", "-r", str(rate), "-i", "-", "-c:v", "libx264", "-crf", "16",
        "-pix_fmt", "yuv420p", "-movflags", "+faststart", str(path),
    ]  # fmt: skip
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None and process.stderr is not None
        count = 0
        with contextlib.suppress(BrokenPipeError):  # ffmpeg says below what it did not like
            for picture in itertools.chain([first], frames):
                process.stdin.write(_even(picture, wide, high))
                count += 1
            process.stdin.write(_even(picture, wide, high) * round(_HOLD * rate))
            process.stdin.close()
        message = process.stderr.read().decode("utf-8", "replace").strip()
    if process.returncode != 0:
        raise ArchiveError(f"the film cannot be written: ffmpeg: {message[-300:]}")
    return count


def _even(picture: Image.Image, wide: int, high: int) -> bytes:
    if picture.size != (wide, high):
        padded = Image.new("RGB", (wide, high), "#ffffff")
        padded.paste(picture)
        picture = padded
    return picture.tobytes()
