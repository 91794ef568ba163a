"""What the documents say is there: files, pictures, commands, settings."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sdviz.commands.archive import COMMANDS
from sdviz.plan.config import PACKAGE, conf_dir
from sdviz.plan.settings import SETTINGS
from sdviz.request import setting_keys
from sdviz.request.command_line import to_hydra
from sdviz.request.compose import compose

TOP = PACKAGE.parent
DOCUMENTS = sorted(
    path
    for pattern in ("*.md", "docs/**/*.md", "experiments/**/*.md", "sdviz/**/*.md")
    for path in TOP.glob(pattern)
)
GUIDES = [path for path in DOCUMENTS if path.parent in (TOP, TOP / "docs")]
LINK = re.compile(r"\]\(([^)#\s]+)[^)]*\)")
COMMAND = re.compile(r"python -m (sdviz\.\w+)([^`\n]*)")


def commands(module: str) -> list[str]:
    """The arguments of every command of `module` that a guide shows, without its comment."""
    found = [
        arguments.split("  #")[0].split(" # ")[0].strip()
        for path in GUIDES
        for name, arguments in COMMAND.findall(path.read_text(encoding="utf-8"))
        if name == module
    ]
    return sorted({text for text in found if "..." not in text and "COMMAND" not in text})


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(TOP)))
def test_every_relative_link_and_picture_is_there(path: Path) -> None:
    links = [link for link in LINK.findall(path.read_text(encoding="utf-8")) if "://" not in link]
    assert [link for link in links if not (path.parent / link).exists()] == []


def test_every_sweep_that_is_shown_can_be_composed() -> None:
    from hydra import compose, initialize_config_dir

    setting_keys.register()
    shown = [text for text in commands("sdviz.sweep") if not text.startswith("-")]
    assert len(shown) > 10
    setting_keys.register()
    with initialize_config_dir(config_dir=str(conf_dir()), version_base="1.3"):
        for text in shown:
            typed = [word for word in shlex.split(text, comments=True) if "=" in word]
            compose("sweep", to_hydra(typed))


def test_every_archive_command_that_is_shown_is_one() -> None:
    shown = commands("sdviz.archive")
    assert len(shown) > 5
    assert {text.split()[0] for text in shown if not text.startswith("-")} <= set(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_archive_command_is_described_and_has_an_example(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "sdviz.archive", name, "--help"],
        cwd=TOP, capture_output=True, text=True, check=True,
    )  # fmt: skip
    example = done.stdout.partition("example:\n")[2]
    assert f"python -m sdviz.archive {name}" in example
    text = (TOP / "docs" / "archive.md").read_text(encoding="utf-8")
    assert re.search(rf"\b(sdviz\.archive|archive) {name}\b|`{name}\b", text), name


@pytest.mark.parametrize("name", SETTINGS)
def test_every_setting_is_described(name: str) -> None:
    texts = [path.read_text(encoding="utf-8") for path in GUIDES]
    assert any(re.search(rf"`{name}[`=]", text) for text in texts)


def test_the_readmes_keys_are_keys() -> None:
    known, _ = compose([])
    table = (TOP / "README.md").read_text(encoding="utf-8").partition("| key | what |")[2]
    rows = table.partition("\n\n")[0].splitlines()[2:]
    keys = [key for row in rows for key in re.findall(r"`([a-z_.]+)", row.split("| ")[1])]
    assert len(keys) > 20
    for key in keys:
        group, _, rest = key.partition(".")
        if rest and group != "model":
            text = (conf_dir() / group / "default.yaml").read_text(encoding="utf-8")
            assert rest in yaml.safe_load(text), key
        else:
            assert group in known or group in ("model",), key
