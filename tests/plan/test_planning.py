"""From axes to cells: order, keys, zip, exclude, and the time that a large plan takes."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from typing import Any

import pytest

from sdviz.errors import ConfigError
from sdviz.plan.cells import Axis, Plan, cell_key
from sdviz.plan.planning import make_axes, make_plan
from sdviz.plan.settings import Recipe

FIXED: dict[str, Any] = {
    "model": "m", "prompt": "a", "negative": None, "cfg": 7.0, "sampler": "Euler a", "steps": 20,
    "seed": 1, "width": None, "height": None, "eta": None,
}  # fmt: skip
SIZES = {"m": {"width": 64, "height": 64}, "n": {"width": 128, "height": 128, "cfg": 1.0}}
IDENTITIES = {"m": "aa" * 32, "n": "bb" * 32}


def plan_of(values: dict[str, list[Any]], **options: Any) -> Plan:
    """A plan over FIXED with `values` as its axes."""
    axes = make_axes(values, options.pop("zipped", ()))
    keys = {key for axis in axes for key in axis.keys}
    fixed = {name: value for name, value in FIXED.items() if name not in keys}
    return make_plan(axes, fixed, defaults=SIZES, identities=IDENTITIES, **options)


def test_cells_are_in_row_major_order_of_the_axes_as_given() -> None:
    plan = plan_of({"seed": [5, 3], "cfg": [7.0, 1.0, 15.0]})
    assert [axis.name for axis in plan.axes] == ["seed", "cfg"]
    seen = [(cell.recipe.seed, cell.recipe.cfg) for cell in plan.cells]
    assert seen == [(5, 7), (5, 1), (5, 15), (3, 7), (3, 1), (3, 15)]
    assert [cell.coords for cell in plan.cells][:4] == [(0, 0), (0, 1), (0, 2), (1, 0)]
    assert [cell.index for cell in plan.cells] == list(range(6))
    assert len({cell.key for cell in plan.cells}) == 6


def test_without_axes_there_is_one_cell_of_the_models_size() -> None:
    (cell,) = plan_of({}).cells
    assert cell.coords == () and (cell.recipe.width, cell.recipe.height) == (64, 64)


def test_what_the_user_leaves_open_is_each_models_own() -> None:
    cells = plan_of({"model": ["m", "n"], "cfg": [None, 5.0]}).cells
    assert [(c.recipe.width, c.recipe.cfg) for c in cells] == [
        (64, 7.0), (64, 5.0), (128, 1.0), (128, 5.0),
    ]  # fmt: skip


def test_zip_pairs_settings() -> None:
    values = {"seed": [1, 2], "cfg": [3.0, 7.0], "steps": [10, 30]}
    plan = plan_of(values, zipped=[["cfg", "steps"]])
    assert [axis.name for axis in plan.axes] == ["seed", "cfg+steps"]
    assert plan.axes[1] == Axis(("cfg", "steps"), ((3.0, 10), (7.0, 30)))
    assert [(c.recipe.cfg, c.recipe.steps) for c in plan.cells] == [(3, 10), (7, 30)] * 2


def test_zip_of_unequal_lengths_says_the_lengths() -> None:
    with pytest.raises(ConfigError, match="cfg has 2, steps has 3"):
        make_axes({"cfg": [1, 2], "steps": [1, 2, 3]}, [["cfg", "steps"]])
    with pytest.raises(ConfigError, match="cfg is named twice"):
        make_axes(
            {"cfg": [1, 2], "steps": [1, 2], "seed": [1, 2]}, [["cfg", "steps"], ["seed", "cfg"]]
        )


def test_a_value_given_twice_is_one_cell() -> None:
    assert len(plan_of({"cfg": [7.0, 7.0, 8.0]}).cells) == 2
    assert make_axes({"cfg": [7.0, 7.0]}) == ()
    zipped = make_axes({"cfg": [7.0, 7.0], "steps": [1, 2]}, [["cfg", "steps"]])
    assert len(zipped[0].values) == 2


def test_excluded_combinations_leave_their_place_in_the_grid() -> None:
    plan = plan_of(
        {"cfg": [1.0, 2.0], "steps": [5, 6]},
        excluded=lambda s: s["cfg"] == 1.0 and s["steps"] == 6,
    )
    assert plan.excluded == 1
    assert [(c.index, c.coords) for c in plan.cells] == [(0, (0, 0)), (1, (1, 0)), (2, (1, 1))]


def test_each_model_is_run_once_and_each_size_within_it() -> None:
    plan = plan_of({"seed": [1, 2], "width": [64, 128], "model": ["m", "n"]})
    order = [(c.recipe.model, c.recipe.width) for c in plan.execution_order()]
    assert order == [("m", 64)] * 2 + [("m", 128)] * 2 + [("n", 64)] * 2 + [("n", 128)] * 2
    assert [c.recipe.model for c in plan.cells][:2] == ["m", "n"]


def _another(default: Any) -> Any:
    """A value of the same kind."""
    if isinstance(default, bool):
        return not default
    return f"{default}x" if isinstance(default, str) else (default or 0) + 1


def test_every_setting_but_the_models_name_changes_the_key() -> None:
    recipe = Recipe(model="m", width=64, height=64)
    key = cell_key(recipe, model_identity="x", dtype="float32")
    written_elsewhere = {"sr": "a cat", "schedule": "Beta"}  # in the prompt, in the sampler's name
    other = {
        f.name: _another(f.default)
        for f in fields(Recipe)
        if f.name != "model" and f.name not in written_elsewhere
    }
    keys = {
        cell_key(replace(recipe, **{name: value}), model_identity="x", dtype="float32")
        for name, value in other.items()
    }
    keys |= {cell_key(recipe, model_identity="y", dtype="float32")}
    keys |= {cell_key(recipe, model_identity="x", dtype="bfloat16")}
    assert len(keys) == len(other) + 2 and key not in keys
    assert cell_key(replace(recipe, model="moved"), model_identity="x", dtype="float32") == key
    elsewhere = replace(recipe, **written_elsewhere)
    assert cell_key(elsewhere, model_identity="x", dtype="float32") == key


def test_the_key_is_the_hash_of_plain_json() -> None:
    recipe = Recipe(prompt='一 "castle"\n', cfg=15.0, width=64, height=64, eta=0.5)
    content = {
        "prompt": recipe.prompt, "cfg": 15.0, "width": 64, "height": 64, "eta": 0.5,
        "model": "x", "dtype": "float32",
    }  # fmt: skip
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    expected = hashlib.sha256(text.encode()).hexdigest()
    assert cell_key(recipe, model_identity="x", dtype="float32") == expected


def test_a_hundred_thousand_cells_are_planned() -> None:
    plan = plan_of({"cfg": [i / 10 for i in range(100)], "seed": list(range(1000))})
    plan.execution_order()
    assert len(plan.cells) == 100_000


def test_more_cells_than_anybody_wants_are_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=r"cfg 2000 x seed 2000"):
        plan_of({"cfg": [float(i) for i in range(2000)], "seed": list(range(2000))})
