"""Two sweeps beside each other, and commands about them."""

from __future__ import annotations

import pytest

from sdviz.commands.archive.command import main
from tests.archive.sweeps import make_plan

AXES = {"cfg": [7.0, 15.0], "sampler": ["Euler a", "Heun"], "seed": [1, 2]}
PLAN = make_plan(AXES, width=32, height=32)
OTHER = make_plan({**AXES, "cfg": [3.0]}, width=32, height=32, prompt="a tower")


def run(capsys: pytest.CaptureFixture[str], *arguments: object, status: int = 0) -> str:
    """What `python -m sdviz.archive` prints; the status must be `status`."""
    assert main([str(argument) for argument in arguments]) == status
    told = capsys.readouterr()
    return told.err if status else told.out
