"""Typed configuration: what is taken, what is refused and how."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml

from sdviz.errors import ConfigError, SdvizError, nearest
from sdviz.plan.config import Config, ModelSpec, VisdomConfig, conf_dir, keys_of, read
from sdviz.plan.settings import SETTINGS
from sdviz.plan.values import plurals
from sdviz.request.compose import compose


def test_plain_values_become_typed_ones() -> None:
    errors: list[SdvizError] = []
    config = read(
        Config,
        {
            "name": "x",
            "engine": {"batch": "auto"},
            "preview": {"decoder": "rgb", "every": 3},
            "visdom": {"hosts": ["a.example", "b.example"], "port": 7000, "base_url": None},
        },
        errors,
    )
    assert not errors
    assert config.engine.batch == 0 and config.preview.every == 3
    assert config.visdom == VisdomConfig(port=7000, hosts=("a.example", "b.example"))


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"visdom": {"port": 0}}, "visdom.port=0: must be a whole number from 1 to 65535"),
        ({"visdom": {"port": 70000}}, "visdom.port=70000"),
        ({"visdom": {"port": "http"}}, "visdom.port='http'"),
        ({"visdom": {"port": True}}, "visdom.port=True"),
        ({"visdom": {"listen": "yes please"}}, "visdom.listen='yes please': must be true or false"),
        ({"visdom": {"prt": 1}}, "visdom.prt: unknown key; did you mean port"),
        ({"visdom": 3}, "visdom=3: must be a group of keys"),
        ({"visdom": {"base_url": "https://x.example/y"}}, "visdom.base_url='https://x.example/y':"),
        ({"visdom": {"base_url": "//x.example"}}, "visdom.base_url='//x.example': must be a path"),
        ({"visdom": {"base_url": "/a b"}}, "visdom.base_url='/a b': must be a path"),
        ({"visdom": {"hosts": ["a*.x"]}}, "visdom.hosts=['a*.x']: must be names such as"),
        ({"visdom": {"hosts": "*"}}, "visdom.hosts='*': must be names such as"),
        ({"preview": {"of": "x1"}}, "preview.of='x1': must be one of x0, xt, prompt, negative"),
        ({"preview": {"every": 0}}, "preview.every=0"),
        (
            {"engine": {"batch": -1}},
            "engine.batch=-1: must be a whole number from 1 to 4096, or auto",
        ),
        ({"dtype": "int8"}, "dtype='int8': must be one of auto, float32"),
        ({"name": ["a"]}, "name=['a']: must be one word"),
        ({"nonsense": 1}, "nonsense: unknown key; known: name, outputs"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], says: str) -> None:
    errors: list[SdvizError] = []
    read(Config, given, errors)
    assert len(errors) == 1 and isinstance(errors[0], ConfigError)
    assert str(errors[0]).startswith(says)


def test_all_faults_are_collected() -> None:
    errors: list[SdvizError] = []
    read(Config, {"a": 1, "visdom": {"port": 0, "b": 2}, "preview": {"of": ""}}, errors)
    assert len(errors) == 4


def test_nearest_names() -> None:
    assert nearest("eulr", ["Euler", "Heun"]) == "did you mean Euler?"
    assert nearest("zzzz", ["Euler", "Heun"]) == "known: Euler, Heun"


def test_a_configuration_holds_every_key_and_no_other() -> None:
    given, _ = compose([])
    expected = {
        *(set(SETTINGS) - {"model"}), *plurals(), "models", "model", "zip", "exclude", "order",
        "drawn_seeds", "signature", "from", "instead", *keys_of(Config),
    }  # fmt: skip
    assert set(given) == expected
    assert set(given["model"]) == {f.name for f in fields(ModelSpec)} - {"name", "defaults"}
    written = yaml.safe_load((conf_dir() / "sweep.yaml").read_text(encoding="utf-8"))
    assert written.keys() - {"defaults", "hydra", "model"} == expected - {
        *SETTINGS, *plurals(), "models", "engine", "preview", "visdom"
    }  # fmt: skip


@pytest.mark.parametrize("group", ["preview", "visdom", "engine"])
def test_the_yaml_of_a_group_holds_the_defaults_of_its_class(group: str) -> None:
    given = yaml.safe_load((conf_dir() / group / "default.yaml").read_text(encoding="utf-8"))
    errors: list[SdvizError] = []
    assert set(given) == {f.name for f in fields(getattr(Config(), group))}
    assert read(Config, {group: given}, errors) == Config()
    assert not errors


def yaml_files() -> list[Path]:
    return sorted(conf_dir().rglob("*.yaml"))


@pytest.mark.parametrize("path", yaml_files(), ids=lambda path: str(path.relative_to(conf_dir())))
def test_every_yaml_file_says_what_it_is(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "#" in text, "a comment says what it is for"
    assert isinstance(yaml.safe_load(text), dict)
