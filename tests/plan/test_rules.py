"""Rules over recipes, as exclude= and `archive find` have them."""

from __future__ import annotations

import pytest

from sdviz.errors import ConfigError
from sdviz.plan.rules import matches, parse_rule
from sdviz.plan.values import one_value

RECIPE = {"sampler": "Heun", "steps": 30, "cfg": 7.0, "prompt": "a red pyramid", "eta": None}


@pytest.mark.parametrize(
    ("rule", "holds"),
    [
        ("sampler=heun", True),
        ("sampler=k_heun steps>20", True),
        ("sampler=heun, steps>20", True),
        ("sampler=heun steps>30", False),
        ("steps>=30 steps<=30 steps!=31", True),
        ("sampler != 'DPM++ 2M Karras' cfg < 8", True),
        ("cfg==7", True),
        ("prompt~PYRAMID", True),
        ("prompt='a red pyramid'", True),
        ("prompt~'red, pyramid'", False),
        ("eta>0.5", False),
        ("eta=0", False),
        ("eta!=0.5", True),
    ],
)
def test_rules(rule: str, holds: bool) -> None:
    assert matches([parse_rule(rule, one_value)], RECIPE) is holds


def test_several_rules_are_joined_by_or() -> None:
    rules = [parse_rule(text, one_value) for text in ("steps<5", "cfg=7")]
    assert matches(rules, RECIPE)
    assert not matches([], RECIPE)


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("", "is empty"),
        ("steps", "cannot read `steps`"),
        ("steps>>20", "cannot read"),
        ("sampler=heun steps>", "cannot read `steps>`"),
        ("samplr=heun", "did you mean sampler?"),
        ("sampler=nonsense_xyz", "no such sampler"),
        ("steps=many", "not a whole number"),
        ("steps=1-5", "one value"),
        ("__import__('os')", "cannot read"),
    ],
)
def test_what_is_no_rule_is_refused(rule: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_rule(rule, one_value)
    assert says in str(caught.value)
