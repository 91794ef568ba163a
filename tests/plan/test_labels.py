"""What is read for a setting's value."""

from __future__ import annotations

from typing import Any

import pytest

from sdviz.archive.paths import readable_name
from sdviz.plan.cells import Axis
from sdviz.plan.labels import axis_labels, named_label, position_label, value_label
from sdviz.plan.settings import Recipe


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


def test_what_is_switched_off_is_called_none() -> None:
    axis = Axis(("init", "negative"), (("", ""), ("a.png", "b")))
    assert position_label(axis, 0) == "none · (empty)"
    assert named_label(axis, 0) == "init=none · negative=(empty)"
    assert named_label(axis, 1) == "init=a.png · negative=b"


def test_a_picture_is_named_by_its_settings_as_they_are_typed() -> None:
    settings = {"tiling": True, "cfg": 7.0, "eta": None, "lora": "", "prompt": "a/b: c"}
    axes = [Axis((key,), ((value,),)) for key, value in settings.items()]
    name = readable_name(3, 12, axis_labels(axes, Recipe(**settings)))
    assert name == "0003-tiling=true-cfg=7-eta=default-lora=none-prompt=a_b_ c.png"


def test_paths_are_as_short_as_they_can_be_told_apart() -> None:
    paths = ["/data/a/x.safetensors", "/data/b/x.safetensors", "/data/b/y.ckpt", "owner/name", ""]
    axis = Axis(("lora",), tuple((path,) for path in paths))
    told = [position_label(axis, at) for at in range(len(paths))]
    assert told == ["a/x.safetensors", "b/x.safetensors", "y.ckpt", "owner/name", "none"]
    assert axis_labels([axis], Recipe(lora=paths[2])) == {"lora": "y.ckpt"}
    pyramid = "a/pyramid/or not"
    assert named_label(Axis(("prompt",), ((pyramid,),)), 0) == pyramid
