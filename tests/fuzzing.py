"""How the fuzz tests run: the same few examples each time, or many new ones on request.

`SDVIZ_FUZZ=20000 python -m pytest -n 0 -m fuzz` draws 20,000 new examples for every test. Without
that variable the examples are those of a fixed seed, so that a failure can be repeated.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

LONGER = int(os.environ.get("SDVIZ_FUZZ", "0"))


def fuzzed(examples: int) -> Callable[[Any], Any]:
    """Marks a hypothesis test as a fuzz test of this many examples, or of SDVIZ_FUZZ's."""

    def mark(test: Any) -> Any:
        run = settings(
            max_examples=LONGER or examples,
            derandomize=not LONGER,
            deadline=None,  # other tests may keep the machine busy
            database=None,  # nothing is written beside the tests
            suppress_health_check=list(HealthCheck),
        )
        return pytest.mark.fuzz(run(test))

    return mark
