"""Archives to look at, and copies to be damaged."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.archive import twins
from tests.archive.sweeps import make_plan, write

PLAN = make_plan({"cfg": [7.0, 15.0], "sampler": ["Euler a", "Heun"]}, width=32, height=32)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    write(folder, "a", PLAN)
    return folder / "a"


@pytest.fixture
def root(whole: Path, tmp_path: Path) -> Path:
    """A copy of the whole archive, to be damaged."""
    return Path(shutil.copytree(whole, tmp_path / "a"))


@pytest.fixture(scope="module")
def outputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the archives of twins.PLAN and twins.OTHER, a and b."""
    folder = tmp_path_factory.mktemp("outputs")
    write(folder, "a", twins.PLAN)
    write(folder, "b", twins.OTHER)
    return folder
