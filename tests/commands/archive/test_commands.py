"""`python -m sdviz.archive`, as a user types it."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from sdviz.commands.archive import COMMANDS
from sdviz.commands.archive.command import main
from tests.archive.sweeps import make_plan, write


def run(*arguments: object, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sdviz.archive", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == status, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two archives, one of them with axes of three kinds."""
    folder = tmp_path_factory.mktemp("outputs")
    write(folder, "first", make_plan({"cfg": [7.0, 15.0]}))
    axes = {
        "prompt": ["a <b>castle</b>, red", "一座塔"],
        "sampler": ["Euler a", "Heun"],
        "seed": [1, 2],
    }
    write(folder, "second", make_plan(axes))
    return folder


def test_show_json_is_what_the_documentation_says(outputs: Path) -> None:
    told = json.loads(run("show", outputs / "first", "--json").stdout)
    assert list(told)[:4] == ["format", "name", "status", "created"]
    assert (told["format"], told["name"], told["status"]) == (1, "first", "finished")
    assert told["axes"] == {"cfg": [7.0, 15.0]}
    assert told["zip"] == []
    assert told["machine"]["cores"] >= 1 and told["versions"]["sdviz"]
    first, second = told["cells"]
    assert first["sampler"] == "DPM++ 2M Karras"
    assert (first["cfg"], second["cfg"], first["steps"], first["seed"]) == (7.0, 15.0, 3, 42)
    assert (first["prompt"], first["negative"], first["model"]) == (
        "a red pyramid",
        "",
        "miniature",
    )
    assert (first["width"], first["height"], first["status"], first["frames"]) == (
        16,
        16,
        "done",
        3,
    )
    assert (outputs / "first" / first["image"]).is_file()
    assert len(first["key"]) == 64
    assert set(first["timings"]) == {
        "encode_s", "denoise_s", "preview_s", "decode_s", "save_s", "total_s", "batch",
    }  # fmt: skip


def test_show_is_readable(outputs: Path) -> None:
    text = run("show", outputs / "second").stdout
    assert "second: finished, 8 of 8 cells" in text
    assert "axis      sampler: Euler a, Heun" in text
    assert "images/0000-" in text


def test_find_shows_the_settings_that_it_was_asked_for(outputs: Path) -> None:
    titles, first, *_ = run("find", "eta=null tiling=false", outputs).stdout.splitlines()
    assert titles.split()[-3:] == ["eta", "tiling", "image"]
    assert "default" in first and "false" in first


def test_list_names_every_archive_newest_first(outputs: Path) -> None:
    told = json.loads(run("list", outputs, "--json").stdout)
    assert [(one["name"], one["cells"], one["done"]) for one in told] == [
        ("second", 8, 8),
        ("first", 2, 2),
    ]
    text = run("list", outputs).stdout
    assert "prompt 2 x sampler 2 x seed 2" in text


def test_a_damaged_archive_does_not_hide_the_others(outputs: Path, tmp_path: Path) -> None:
    write(tmp_path, "good", make_plan({"cfg": [7.0]}))
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "sweep.db").write_bytes(b"not a database" * 100)
    told = {
        one["name"]: one["status"] for one in json.loads(run("list", tmp_path, "--json").stdout)
    }
    assert told == {"good": "finished", "bad": "damaged"}


def processor_seconds() -> float:
    """Of the commands that were run: fair where the machine has other things to do."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def test_list_and_show_answer_within_a_second_and_without_torch(outputs: Path) -> None:
    for command in (["list", outputs], ["show", outputs / "first"]):
        before = processor_seconds()
        run(*command)
        assert processor_seconds() - before < 1
    code = (
        "import sys; from sdviz.commands.archive.command import main; main(sys.argv[1:]);"
        "assert not {'torch', 'hydra', 'diffusers', 'visdom'} & set(sys.modules), 'heavy imports'"
    )
    subprocess.run(
        [sys.executable, "-c", code, "list", str(outputs)], check=True, stdout=subprocess.DEVNULL
    )


@pytest.mark.parametrize(
    "arguments", [["show", "nowhere"], ["list", "nowhere"], ["show", "README.md"]]
)
def test_what_is_no_archive_is_named(arguments: list[str]) -> None:
    assert arguments[1] in run(*arguments, status=1).stderr


def test_an_unknown_command_lists_the_known_ones() -> None:
    text = run("shwo", status=2).stderr
    assert "shwo" in text and all(name in text for name in COMMANDS)


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_explains_itself_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main([command, "--help"])
    assert stopped.value.code == 0
    text = capsys.readouterr().out
    assert f"python -m sdviz.archive {command}" in text.partition("example:")[2]


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_documented(command: str) -> None:
    text = (Path(__file__).parents[3] / "docs" / "archive.md").read_text(encoding="utf-8")
    assert f"**{command}**" in text and f"python -m sdviz.archive {command}" in text


def test_open_archive_from_python(outputs: Path) -> None:
    import sdviz

    archive = sdviz.open_archive(outputs / "first")
    assert repr(archive).endswith("finished: 2 of 2 cells>")
    assert [row["cfg"] for row in archive.timings] == [7.0, 15.0]
    assert archive.timings.columns[:3] == ["cell", "cfg", "encode_s"]
    assert "denoise_s" in repr(archive.timings)
    assert archive.image(1).size == (16, 16)


def test_a_reader_that_has_seen_enough_costs_no_traceback() -> None:
    """`| head`: the pipe is closed before anything is written."""
    program = [sys.executable, "-m", "sdviz.archive", "--help"]
    read, write_end = os.pipe()
    os.close(read)
    done = subprocess.run(
        program, stdout=write_end, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_misspelt_key_of_a_rule_is_told_its_neighbour(outputs: Path) -> None:
    assert "cfgg: no such key; did you mean cfg?" in run("find", "cfgg>3", outputs, status=2).stderr
