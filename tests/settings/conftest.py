from __future__ import annotations

from pathlib import Path

import pytest

from tests.settings.making import Pipelines


@pytest.fixture(scope="session")
def pipelines(tiny_model: Path) -> Pipelines:
    return Pipelines(tiny_model)
