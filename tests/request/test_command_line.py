"""What the user types, what Hydra is given, and what comes out of Hydra again."""

from __future__ import annotations

import random
import re
from typing import Any

import pytest
from hydra.core.override_parser.overrides_parser import OverridesParser
from omegaconf import OmegaConf

from sdviz.errors import ConfigErrors
from sdviz.request.command_line import quote, to_hydra


def through_hydra(text: str) -> Any:
    """What a configuration holds after `prompt=text` went through Hydra's parser and OmegaConf."""
    (override,) = OverridesParser.create().parse_overrides([f"prompt={quote(text)}"])
    config = OmegaConf.create({"prompt": override.value()})
    content = OmegaConf.to_container(config, resolve=True)
    assert isinstance(content, dict)
    return content["prompt"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a castle, sunset, oil painting",
        "(word:1.3) [less] {x|y} a=b !",
        "it's \"quoted\" \\'twice\\'",
        "${oc.env:HOME} \\${a} \\\\${b} ${",
        "一座城堡，日落 🙂",
        "two\nlines\r\nand\ttabs",
        "ends with \\",
        "ends with '",
        "\\",
        "'",
        "null",
        "1,2,3",
    ],
)
def test_text_comes_through_hydra_as_it_was_typed(text: str) -> None:
    assert through_hydra(text) == text


def test_random_text_comes_through_hydra_as_it_was_typed() -> None:
    pieces = ["a", ", ", "=", "(", "]", "{", "${", "}", "'", '"', "\\", "\n", "中", "🙂", "$", "|"]
    choose = random.Random(7)
    for _ in range(200):
        text = "".join(choose.choices(pieces, k=choose.randint(1, 8)))
        assert through_hydra(text) == text


def test_settings_are_quoted_and_their_order_is_kept() -> None:
    assert to_hydra(["sampler=euler,heun", "visdom.port=7000", "cfg=1-20 [5]"]) == [
        "sampler='euler,heun'",
        "visdom.port=7000",
        "cfg='1-20 [5]'",
        "order=[sampler,cfg]",
    ]


def test_an_order_that_is_given_counts() -> None:
    assert to_hydra(["cfg=1,2", "order=[seed,cfg]"]) == ["cfg='1,2'", "order=[seed,cfg]"]


def test_a_plural_replaces_its_singular_and_the_reverse() -> None:
    assert to_hydra(["prompts=a b.txt"]) == ["prompts='a b.txt'", "prompt=null", "order=[prompt]"]
    assert to_hydra(["prompt=a"]) == ["prompt='a'", "prompts=null", "order=[prompt]"]


def test_model_does_not_meet_hydras_group_of_that_name() -> None:
    assert to_hydra(["model=sd15,/a/b", "model.revision=main"]) == [
        "models='sd15,/a/b'",
        "model.revision=main",
        "order=[model]",
    ]


def test_flags_go_behind_the_overrides_with_their_values() -> None:
    typed = ["--cfg", "job", "cfg=7", "--config-dir", "a=b", "-i", "all", "steps=3", "--info"]
    assert to_hydra(typed) == [
        "cfg='7'", "steps='3'", "order=[cfg,steps]",
        "--cfg", "job", "--config-dir", "a=b", "-i", "all", "--info",
    ]  # fmt: skip


def test_completion_is_left_alone() -> None:
    assert to_hydra(["-sc", "install=bash"]) == ["-sc", "install=bash"]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        (["cgf=7"], "cgf: unknown key; did you mean cfg?"),
        (["sampelr=heun"], "did you mean sampler"),
        (["visdom.prt=1"], "did you mean visdom.port"),
        (["visdom.port.x=1"], "visdom.port has no keys below it"),
        (["preview=of"], "preview=of: no such preset; did you mean off?"),
        (["experiment=nothing_like_it"], "experiment=nothing_like_it: no such preset"),
        (["foo"], "`foo`: not key=value"),
        (["a castle, sunset"], "such as 'prompt=a castle'"),
        (["zip=cfg,steps"], "such as zip=[[cfg,steps]]"),
        (["cgf=7,15"], "cgf: unknown key; did you mean cfg?"),
        (["CFG_scale=7,15"], "CFG_scale: unknown key; in sdviz it is cfg"),
        (["num_inference_steps=20"], "num_inference_steps: unknown key; in sdviz it is steps"),
        (["size=512x512,768x512"], "size: unknown key; in sdviz it is width= and height="),
        (["Steps=10,20"], "Steps: unknown key; did you mean steps"),
        (["qqqq=1"], "qqqq: unknown key; --help and --cfg job list all keys"),
        (["bar=(x"], "`bar=(x`: not key=value"),
        (["engine.batch=1,2"], "engine.batch cannot be an axis"),
        (["cfg=1", "cfg=2"], "cfg is given twice"),
        (["prompt=a", "prompts=b"], "prompt is given twice"),
    ],
)
def test_slips_are_refused_with_the_nearest_name(typed: list[str], says: str) -> None:
    with pytest.raises(ConfigErrors, match=re.escape(says)):
        to_hydra(typed)


def test_all_slips_are_reported_at_once() -> None:
    with pytest.raises(ConfigErrors) as caught:
        to_hydra(["cgf=7", "visdom.prt=1", "foo", "steps=3"])
    assert len(caught.value.errors) == 3
    assert caught.value.sound == ["steps='3'", "order=[steps]"]


@pytest.mark.parametrize(
    "typed",
    [
        ["hydra.verbose=true"],
        ["+my.own=3"],
        ["visdom=off", "preview=vae", "preview.every=2"],
        ["engine.batch=1,2", "-m"],
        ["model.trust_pickle=true", "model.defaults.cfg=3"],
        ["zip=[[cfg,steps]]"],
        ["dry_run=true", "reuse=false", "device=cpu", "dtype=float32"],
        ["anything=3", "--config-dir", "mine"],
    ],
)
def test_the_rest_is_hydras(typed: list[str]) -> None:
    assert to_hydra(typed) == typed


def test_rules_and_folders_are_taken_as_typed() -> None:
    assert to_hydra(["exclude=sampler=heun steps>20", "outputs=/a b/(c), d"]) == [
        "exclude='sampler=heun steps>20'",
        "outputs='/a b/(c), d'",
    ]
