"""A disk that fills up and one that cannot be written, with the command as a user runs it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sdviz.archive.reader import Archive
from sdviz.archive.upkeep.verify import verify
from sdviz.errors import ArchiveError
from tests.acceptance.forks import Forks, fill
from tests.commands.sweep.test_sweep import environment, sdviz

Mount = Callable[[str], Path]


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Mount]:
    """Mounts a small disk in memory with the options given; its folder."""
    made: list[Path] = []

    def mounted(options: str) -> Path:
        folder = tmp_path / f"disk{len(made)}"
        folder.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, check=False)
        except OSError:
            pytest.skip("no mount command")
        if done.returncode:
            pytest.skip("no right to mount")
        made.append(folder)
        return folder

    yield mounted
    for folder in made:
        subprocess.run(["umount", "-l", str(folder)], check=False)


def done_in(root: Path) -> int:
    """Cells that are finished so far, in an archive that is being written."""
    try:
        with Archive(root) as archive:
            return archive.counts().get("done", 0)
    except ArchiveError:  # not there yet
        return 0


def test_a_full_disk_stops_the_sweep_which_goes_on_when_there_is_room(
    mount: Mount, tiny_model: Path
) -> None:
    disk = mount("size=80m")
    typed = [
        "seed=1-400", "steps=2", "engine.batch=4", "name=full", "outputs=.", "visdom=off",
        f"model={tiny_model}",
    ]  # fmt: skip
    process = subprocess.Popen(
        [sys.executable, "-m", "sdviz.sweep", *typed], cwd=disk, env=environment(),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 240  # a stalled machine; else seconds
        while not done_in(disk / "full") and time.monotonic() < deadline:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)
        process.send_signal(signal.SIGSTOP)
        filler = disk / "filler"
        fill(filler)
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=240)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 1 and "Traceback" not in err, err
    assert "full cannot be written" in err and "free some space" in err

    with Archive(disk / "full") as archive:
        kept = {cell.i: archive.image_path(cell.i) for cell in archive.cells if cell.image}
        assert 0 < len(kept) < 400
        assert all(archive.image(i).size == (64, 64) for i in kept)
    before = {i: path.read_bytes() for i, path in kept.items()}

    refused = sdviz(*typed, cwd=disk, torch=False)
    assert refused.returncode == 2 and "free some space" in refused.stderr, "while it is full"

    filler.unlink()
    result = sdviz(*typed, cwd=disk)
    assert result.returncode == 0, result.stderr
    assert f"{400 - len(kept)} cells to compute" in result.stdout
    with Archive(disk / "full") as archive:
        assert archive.status == "finished" and archive.counts()["done"] == 400
    assert {i: path.read_bytes() for i, path in kept.items()} == before


def test_a_disk_that_cannot_be_written_is_refused_before_the_model_loads(mount: Mount) -> None:
    disk = mount("ro,size=80m")
    result = sdviz("cfg=7", f"outputs={disk / 'outputs'}", cwd=disk, torch=False)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert f"{disk} is not writable; name another folder" in result.stderr


def test_outputs_below_a_file_are_refused_before_the_model_loads(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("not a folder")
    result = sdviz("cfg=7", f"outputs={file / 'outputs'}", cwd=tmp_path, torch=False)
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert f"{file} is a file, not a folder; name a folder" in result.stderr
    assert os.listdir(tmp_path) == ["file"]


MOMENTS = 20
SMALL = ["seed=1-4", "steps=2", "engine.batch=2", "name=full", "outputs=.", "visdom=off"]


def test_a_disk_that_fills_at_any_moment_loses_nothing_that_was_finished(
    mount: Mount, tiny_model: Path, tmp_path: Path
) -> None:
    """At every twentieth of a small sweep, from before its beginning to behind its end."""
    disk = mount("size=80m")
    typed = [*SMALL, f"model={tiny_model}"]
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    forks = Forks(tmp_path / "log", elsewhere)
    try:
        forks(disk / "warm", typed)
        whole = forks(disk / "undisturbed", typed)
        assert whole["status"] == 0, forks.log.read_text()
        stopped = 0
        for moment in range(MOMENTS):
            folder, filler = disk / str(moment), disk / "filler"
            log = forks.log = tmp_path / f"log{moment}"
            after = whole["seconds"] * moment / MOMENTS
            ended = forks(folder, typed, full_after=after, filler=str(filler))
            filler.unlink(missing_ok=True)  # not there where the sweep had ended before
            text = log.read_text()
            assert ended["status"] in (0, 1, 2) and "Traceback" not in text, text
            if ended["status"]:
                assert "free some space" in text, text
                stopped += 1
            if not (folder / "full").exists():
                continue  # refused before it began
            before = finished_in(folder / "full")
            assert forks(folder, typed)["status"] == 0, log.read_text()
            with Archive(folder / "full") as archive:
                assert archive.counts() == {"done": 4} and archive.status == "finished"
            assert list(verify(folder / "full")) == []
            assert before.items() <= finished_in(folder / "full").items()
            shutil.rmtree(folder)
        assert stopped, "the disk was full while it mattered"
    finally:
        forks.close()


def finished_in(root: Path) -> dict[str, bytes]:
    """Key -> image of the cells that an archive calls finished; each can be read."""
    try:
        with Archive(root) as archive:
            done = [cell for cell in archive.cells if cell.status == "done"]
            assert all(archive.image(cell.i).size == (64, 64) for cell in done)
            return {cell.key: archive.image_path(cell.i).read_bytes() for cell in done}
    except ArchiveError as error:
        assert "image" not in str(error), error
        return {}  # it had not begun
