"""Several LoRAs in a cell, and files of a training in their order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sdviz.errors import ConfigError
from sdviz.plan import loras
from sdviz.plan.cells import Axis
from sdviz.plan.labels import axis_labels
from sdviz.plan.settings import Recipe
from sdviz.plan.values import values_of


def touched(folder: Path, *names: str) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"")
    return [str(folder / name) for name in names]


def test_a_plus_sign_joins_two() -> None:
    assert loras.names("") == []
    assert loras.names("a.safetensors") == ["a.safetensors"]
    assert loras.names("a.safetensors + owner/b") == ["a.safetensors", "owner/b"]
    assert loras.pairs("a+b", "1+0.5") == (("a", 1.0), ("b", 0.5))
    assert loras.pairs("a+b", 0.5) == (("a", 0.5), ("b", 0.5))
    assert loras.pairs("a+b", "0+0.5") == (("b", 0.5),)
    assert loras.pairs("a", 0.0) == () == loras.pairs("", 1.0)


def test_a_file_that_has_one_in_its_name_is_one(tmp_path: Path) -> None:
    (name,) = touched(tmp_path, "style+detail.safetensors")
    assert loras.names(name) == [name]


@pytest.mark.parametrize(("lora", "scale"), [("a", "1+0.5"), ("a+b+c", "1+0.5")])
def test_scales_and_loras_must_be_as_many(lora: str, scale: str) -> None:
    with pytest.raises(ConfigError, match=r"lora_scale=.*scales for the"):
        loras.pairs(lora, scale)


@pytest.mark.parametrize(
    ("typed", "values"),
    [
        ("1+0.5", ["1+0.5"]),
        ("1 + .5, 0.8", ["1+0.5", 0.8]),
        ("[1.0+0.50,-1+2]", ["1+0.5", "-1+2"]),
        ("0.5", [0.5]),
        ("0-1 [3]", [0.0, 0.5, 1.0]),
        ("range(0,1,0.5)", [0.0, 0.5]),
    ],
)
def test_scales_as_they_are_typed(typed: str, values: list[Any]) -> None:
    assert values_of("lora_scale", typed) == values


def test_each_of_several_scales_is_checked() -> None:
    with pytest.raises(ConfigError, match="must be a number from -100 to 100"):
        values_of("lora_scale", "1+500")


@pytest.mark.parametrize("as_pattern", [True, False])
def test_epochs_come_in_the_order_of_training(as_pattern: bool, tmp_path: Path) -> None:
    """kohya's scripts number them, and the last has no number."""
    names = touched(
        tmp_path / "out", "cat-000002.safetensors", "cat-000010.safetensors", "cat.safetensors",
        "sample.txt",
    )[:3]  # fmt: skip
    given = str(tmp_path / "out" / "*.safetensors") if as_pattern else str(tmp_path / "out")
    assert loras.expanded(given) == names


def test_numbers_without_zeros_are_numbers(tmp_path: Path) -> None:
    """diffusers' scripts: a folder for each checkpoint."""
    touched(tmp_path, *(f"checkpoint-{n}/pytorch_lora_weights.safetensors" for n in (500, 1000)))
    found = loras.expanded(str(tmp_path / "checkpoint-*"))
    assert [Path(one).name for one in found] == ["checkpoint-500", "checkpoint-1000"]


def test_a_folder_of_one_lora_stays_one(tmp_path: Path) -> None:
    touched(tmp_path / "a", "pytorch_lora_weights.safetensors", "optimizer.safetensors")
    touched(tmp_path / "b", "only.safetensors")
    for name in ("a", "b"):
        assert loras.expanded(str(tmp_path / name)) == [str(tmp_path / name)]


def test_epochs_beside_another(tmp_path: Path) -> None:
    first, second = touched(tmp_path, "cat-1.safetensors", "cat-2.safetensors")
    found = loras.expanded(f"style.safetensors+{tmp_path}/cat-*.safetensors")
    assert found == [f"style.safetensors+{first}", f"style.safetensors+{second}"]


def test_a_pattern_that_matches_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"lora=.*no file matches"):
        loras.expanded(str(tmp_path / "*.safetensors"))


def test_labels_are_short_for_each(tmp_path: Path) -> None:
    values = [("/x/y/a.safetensors+/x/y/b.safetensors",), ("/x/y/a.safetensors",), ("",)]
    axis = Axis(("lora",), tuple(values))
    labels = [axis_labels([axis], Recipe(lora=value))["lora"] for (value,) in values]
    assert labels == ["a.safetensors+b.safetensors", "a.safetensors", "none"]
