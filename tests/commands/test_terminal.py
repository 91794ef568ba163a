"""What a stranger's words can do to a terminal, and what a terminal that goes away does to us."""

from __future__ import annotations

import io
import json
import logging
import sqlite3
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from tqdm import tqdm

from sdviz.archive.reader import Archive
from sdviz.commands import terminal
from sdviz.commands.archive.command import main
from tests.archive.sweeps import make_plan, write
from tests.commands.sweep.test_sweep import environment

# Escape and its 8-bit forms, the end of a bracketed paste, a title, marks of direction, a bell,
# an ending of line of each kind, an invisible tag, a lone surrogate.
EVIL = (
    "a\x1b[31mred\x1b[201~\x1b]0;title\x07\x9b2J\u202egnp.exe\u2066\u2069\r\x85\u2028\x00"
    "\U000e0041\ud800z"
)
COMMANDS = (
    ["show"], ["show", "--json"], ["verify"], ["verify", "--json"], ["find", "steps=3"],
    ["find", "steps=3", "--json"], ["replay", "--terminal"], ["replay", "--json"], ["list"],
    ["list", "--json"], ["gc"], ["export"], ["compare"],
)  # fmt: skip


def obeyed(text: str) -> set[str]:
    """What of a text a terminal would obey, or not show."""
    return {c for c in text if unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")} - {"\n"}


def evil_text() -> str:
    return EVIL.replace("\x00", "").replace("\ud800", "")  # neither can be archived


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("evil")
    words = evil_text()
    write(folder, "a", make_plan({"cfg": [1.0, 2.0], "prompt": [words, "b"]}, negative=words))
    with sqlite3.connect(folder / "a" / "sweep.db") as db:
        db.execute("UPDATE cell SET status='failed', reason=? WHERE i=1", (words,))
        db.execute("UPDATE cell SET image=? WHERE i=2", (f"images/{words}.png",))
        db.execute("UPDATE cell SET notes=?", (json.dumps([words]),))
        for key in ("name", "created", "status"):
            db.execute("UPDATE sweep SET value=? WHERE key=?", (json.dumps(words), key))
        db.execute("UPDATE sweep SET value=? WHERE key='machine'", (json.dumps({"cpu": words}),))
        note = json.dumps({"kind": words, "text": words, "data": {}})
        db.execute("INSERT INTO event VALUES (999, 'note', NULL, ?, 1)", (note,))
        db.execute("UPDATE event SET kind='cell_failed' WHERE kind='cell_finished' AND cell=3")
    db.close()
    return folder


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_no_command_passes_a_strangers_signs_on(
    evil: Path, command: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = evil if command[0] in ("list", "find", "gc") else evil / "a"
    words = [*command[:1], *command[1:], str(target)]
    if command[0] == "find":
        words = [command[0], command[1], str(target), *command[2:]]
    more = {"export": [str(tmp_path / "x.csv")], "compare": ["--by", "cfg=1", "cfg=2"]}
    main([*words, *more.get(command[0], [])])
    told = capsys.readouterr()
    assert obeyed(told.out + told.err) == set()
    if "--json" in command:
        for line in [told.out] if command[0] != "replay" else told.out.splitlines():
            json.loads(line)


def test_what_json_escapes_is_read_back(evil: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["show", str(evil / "a"), "--json"])
    assert json.loads(capsys.readouterr().out)["cells"][0]["negative"] == evil_text()


def test_errors_and_messages_of_third_parties_are_shown_plainly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", str(tmp_path / evil_text())]) == 1
    with pytest.raises(SystemExit):
        main(["show", "--" + evil_text()])
    main([evil_text()])
    with terminal.guarded():
        logger = logging.getLogger("sdviz.test")
        handler = logging.StreamHandler(sys.stderr)
        logger.addHandler(handler)
        logger.propagate = False  # the reports of parallel tests cannot carry a lone surrogate
        logger.warning(EVIL)
        logger.removeHandler(handler)
        logger.propagate = True
        print(EVIL)
    told = capsys.readouterr()
    assert obeyed(told.out + told.err) == set()
    assert r"\x1b[31mred\x1b[201~" in told.out


def test_a_pictures_words_are_shown_plainly(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    info = PngInfo()
    words = evil_text().replace("\r", "")
    info.add_itxt("parameters", f"{words}\nSteps: 3, Sampler: Euler a, CFG scale: 7, Size: 8x8")
    Image.new("RGB", (8, 8)).save(tmp_path / "x.png", pnginfo=info)
    assert main(["import", str(tmp_path / "x.png")]) == 0
    assert obeyed(capsys.readouterr().out) == set()
    assert main(["import", str(tmp_path / "x.png"), "--json"]) == 0
    assert obeyed(told := capsys.readouterr().out) == set() and json.loads(told)


def test_other_scripts_are_left_as_they_are() -> None:
    for text in ("城堡，日落", "שלום", "مرحبا", "👩\u200d🚀", "café", "a\nb"):
        assert terminal.plain(text) == text


def test_progress_bars_still_move(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.guarded():
        with tqdm(total=2, file=terminal.bar_stream()) as bar:
            bar.update(2)
        with tqdm(total=2, file=sys.stderr) as bar:  # a third party's
            bar.update(2)
    assert "\r" in (told := capsys.readouterr().err) and "\\r" not in told and "2/2" in told


def test_a_stream_of_few_letters_takes_all_texts() -> None:
    raw = io.BytesIO()
    stream = terminal._Stream(io.TextIOWrapper(raw, encoding="ascii"), lasting=False)
    stream.write("城堡\n")
    stream.flush()
    assert raw.getvalue() == b"\\u57ce\\u5821\n"


def sweep(tiny_model: Path, cwd: Path, shell: str) -> subprocess.CompletedProcess[str]:
    words = f"-m sdviz.sweep seed=1,2 steps=1 visdom=off name=x model={tiny_model}"
    return subprocess.run(
        ["bash", "-c", f"{sys.executable} {words} {shell}; exit ${{PIPESTATUS[0]}}"],
        cwd=cwd, env=environment(), capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip


@pytest.mark.skipif(sys.platform == "win32", reason="a shell's pipes")
@pytest.mark.parametrize("shell", ["2>&1 | head -0", ">&- 2>&- <&-"])
def test_a_sweep_does_not_depend_on_who_listens(
    tiny_model: Path, tmp_path: Path, shell: str
) -> None:
    result = sweep(tiny_model, tmp_path, shell)
    assert result.returncode == 0 and "Traceback" not in result.stderr + result.stdout
    with Archive(tmp_path / "outputs" / "x") as archive:
        assert archive.status == "finished" and archive.counts() == {"done": 2}
