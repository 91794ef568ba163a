"""What is read for a setting's value."""

from __future__ import annotations

from typing import Any

import pytest

from sdviz.archive.labels import value_label


@pytest.mark.parametrize(
    ("value", "label"),
    [
        (7.0, "7"),
        (25.5, "25.5"),
        (0.123456, "0.123456"),  # as somebody has typed it
        (1 / 3, "0.3333"),  # of a range such as 0-1 [4]
        (True, "true"),
        (False, "false"),
        (42, "42"),
        ("", "(empty)"),
        (None, "default"),
    ],
)
def test_a_value_is_read_as_it_is_typed(value: Any, label: str) -> None:
    assert value_label(value) == label
