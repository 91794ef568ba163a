"""What is refused before anything is computed, and what is warned of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sdviz.errors import BoardError, ConfigError, ConfigErrors
from tests.reading import Reading, refused


@pytest.mark.parametrize(
    "name", ["<b>x</b>", "a\nb", "../up", ".hidden", "a/b", "x" * 101, "测" * 70, "a b", "con:1",
     "dot.", "名/字", "a\u202eb", "０．５／１"]
)  # fmt: skip
def test_a_name_that_a_folder_or_a_page_cannot_bear_is_refused(reading: Reading, name: str) -> None:
    (message,) = refused(reading, name=name)
    assert message.startswith("name=") and "for example" in message
    assert reading(name=message.rpartition("name=")[2]).config.name


@pytest.mark.parametrize("name", ["测试", "тест-1", "परीक्षा", "اختبار", "café_2", "試験.v2"])
def test_a_name_may_be_of_any_script(reading: Reading, name: str) -> None:
    assert reading(name=name).config.name == name


def test_one_name_has_one_spelling(reading: Reading) -> None:
    assert reading(name="cafe\u0301").config.name == "caf\xe9"


def test_every_fault_names_its_key_as_data(reading: Reading, tmp_path: Path) -> None:
    """So that a form need not read the text to find the field."""
    asked = {
        "models": ["/no/such/folder"], "cfg": "abc", "sampler": "eulr", "steps": 0, "seed": 2**64,
        "prompts": "/no/file.txt", "prompt": None, "name": "<i>", "visdom": {"port": 99999},
        "dtype": "int8", "zip": [["cfg", "nothing"]], "exclude": "steps>>3", "width": 20,
        "lora": "/no/lora", "vae": "/no/vae", "schedule": "no-such",
        "init": "/no/picture.png",
    }  # fmt: skip
    with pytest.raises(ConfigErrors) as caught:
        reading(**asked)
    keys = {error.key for error in caught.value.each()}
    assert keys >= {
        "model", "cfg", "sampler", "steps", "seed", "prompts", "name", "visdom.port", "dtype",
        "zip", "exclude", "schedule", "init",
    }  # fmt: skip
    assert "" not in keys, [str(e) for e in caught.value.each() if not e.key]


def test_prompt_and_prompts_together_are_refused(reading: Reading) -> None:
    assert refused(reading, prompts=["a"], prompt="b") == ["prompts, prompt: give only one of them"]


def test_everything_that_is_wrong_is_reported_at_once(reading: Reading, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    def no_port(config: object) -> None:
        raise BoardError("visdom.port=6006: held by something")

    messages = refused(
        reading,
        models=["/no/such/folder"], cfg="abc", sampler="eulr,heun,nonsense", steps=0, seed=2**64,
        prompts="/no/file.txt", prompt=None, outputs=str(tmp_path / "file" / "x"), name="<i>",
        visdom={"port": 99999}, dtype="int8", zip=[["cfg", "nothing"]], exclude="steps>>3",
        also=no_port,
    )  # fmt: skip
    for part in (
        "model=/no/such/folder", "cfg=abc", "'eulr'", "'nonsense'", "steps=0", "seed=184467",
        "prompts=/no/file.txt", "outputs=", "name='<i>'", "visdom.port=99999", "dtype='int8'",
        "zip: nothing is not a setting", "exclude: `steps>>3`", "held by something",
    ):  # fmt: skip
        assert sum(part in message for message in messages) == 1, (part, messages)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"cfg": "-1"}, "cfg=-1: must be a number from 0 to 1000"),
        ({"cfg": float("nan")}, "`nan` is not a number"),
        ({"cfg": True}, "cfg=True: must be a number"),
        ({"cfg": []}, "cfg=[]: give at least one value"),
        ({"steps": "1.5"}, "not a whole number"),
        ({"seed": -2}, "seed=-2: must be a whole number from -1 to 2**64 - 1"),
        ({"width": 65}, "needs a multiple of 8, such as 64 or 72"),
        ({"cfg": "1,2", "steps": "1,2,3", "zip": ["cfg", "steps"]}, "cfg has 2, steps has 3"),
        ({"steps": 1001}, "allows at most 1000"),
        ({"models": "miniatur"}, "did you mean miniature?"),
        ({"models": "hub"}, "model=hub: name the repository"),
        ({"models": ["a/b", "c/d"], "model": {"id": "e/f"}}, "model.id: is for one model"),
        ({"model": {"kind": "sd9"}}, "model.kind='sd9': must be one of auto, sd1"),
        ({"order": ["cgf"]}, "order: cgf is not a setting; did you mean cfg?"),
    ],
)
def test_bad_values_name_key_value_and_remedy(
    reading: Reading, given: dict[str, Any], says: str
) -> None:
    assert any(says in message for message in refused(reading, **given)), refused(reading, **given)


def test_a_sampler_is_given_no_more_steps_than_it_takes(reading: Reading) -> None:
    assert refused(reading, sampler="lcm,euler", steps="4,60") == [
        "steps=60: LCM allows at most 50"
    ]
    (message,) = refused(reading, sampler="lcm", hires_scale=2, hires_steps=51)
    assert message == "steps=51: LCM allows at most 50"
    paired = {"sampler": "lcm,euler", "steps": "4,60", "zip": ["sampler", "steps"]}
    assert len(reading(**paired).plan.cells) == 2
    assert len(reading(sampler="lcm,euler", steps=60, exclude="sampler=lcm").plan.cells) == 1


def test_what_only_whole_recipes_tell_is_told_with_the_rest(reading: Reading) -> None:
    """Of a setting with one bad value the others still count, and so do `zip` and `exclude`."""
    messages = refused(
        reading, cfg="abc,-1,7,xyz", sampler="lcm,heun,foo", steps="60,0", models=["/no/such"]
    )
    for part in (
        "`abc`",
        "`xyz`",
        "cfg=-1:",
        "'foo'",
        "steps=0",
        "/no/such",
        "LCM allows at most 50",
    ):
        assert sum(part in message for message in messages) == 1, (part, messages)
    assert len(messages) == 7
    paired = {"sampler": "lcm,euler", "steps": "4,60", "zip": ["sampler", "steps"]}
    assert len(refused(reading, cfg="x", **paired)) == 1
    assert len(refused(reading, cfg="x", sampler="lcm,euler", steps=60, exclude="sampler=lcm")) == 1


def test_a_fault_leads_to_no_other(reading: Reading) -> None:
    """A pair whose partner could not be read is not one too few."""
    paired = {"sampler": "lcm,euler", "steps": "60,x", "zip": ["sampler", "steps"]}
    (message,) = refused(reading, **paired)
    assert "`x` is not a whole number" in message
    (message,) = refused(reading, sampler="lcm,euler", steps=60, exclude="sampler>>lcm")
    assert message.startswith("exclude:")


def test_an_eta_without_effect_is_told(reading: Reading) -> None:
    (warning,) = reading(sampler="ddim,heun,euler_a,unipc", eta=0.5).warnings
    assert warning == "eta: has no effect on Heun, UniPC"
    (warning,) = reading(sampler="ddim,heun", eta="0,1").warnings
    assert "no effect on Heun" in warning and "the same picture" in warning
    assert reading(sampler="ddim,euler_a", eta="null,1").warnings == []
    assert reading(sampler="heun").warnings == []


@pytest.mark.parametrize(
    ("prompt", "says"),
    [
        ("a ship <lora:sea:0.7>", "`<lora:sea:0.7>` in a prompt is read as text: LoRAs"),
        ("a [red|blue] house", "`[red|blue]` in a prompt is read as text: prompts do"),
        ("a [cat:dog:0.5]", "`[cat:dog:0.5]` in a prompt is read as text: prompts do not change"),
        ("a cat AND a dog", "`AND` in a prompt is read as text: AND does not mix prompts"),
        ("a __colour__ cat", "`__colour__` in a prompt is read as text: wildcards"),
    ],
)
def test_what_other_programs_read_into_a_prompt_is_told(
    reading: Reading, prompt: str, says: str
) -> None:
    (warning,) = reading(prompt=prompt).warnings
    assert warning.startswith(says)


def test_plain_prompts_are_not_warned_of(reading: Reading) -> None:
    plain = r"a (house:1.3), [quiet], BREAK, time 12:30, \[a|b\], SAND AND, snake_case, (a:b)"
    assert reading(prompt=plain).warnings == []


def test_settings_without_effect_are_told(reading: Reading) -> None:
    assert reading(cfg=1, negative="a cat").warnings == [
        "negative: has no effect at cfg=1 and below"
    ]
    assert reading(cfg="1,7", guidance_rescale=0.7).warnings == [
        "guidance_rescale: has no effect at cfg=1 and below"
    ]
    assert reading(cfg=7, negative="a cat", guidance_rescale=0.7).warnings == []
    assert reading(cfg="0,1,7").warnings == [
        "cfg: 0 and 1 all switch guidance off; cells that differ only in it are the same picture"
    ]
    (warning,) = reading(lora_scale="0.5,1").warnings
    assert warning.startswith(
        "lora_scale: has no effect without lora=; cells that differ only in it"
    )


def test_cells_that_a_setting_without_effect_makes_alike_are_told(reading: Reading) -> None:
    for given, told in (
        ({"variation_seed": "1,2", "variation_strength": "0,0.5"}, "at variation_strength=0"),
        ({"hires_upscaler": "latent,pixel", "hires_scale": "1,2"}, "at hires_scale=1"),
        ({"emphasis": "a1111,none"}, "on short prompts without brackets"),
        ({"seed_resize": "none,64x64"}, "at the picture's own size"),
    ):
        (warning,) = reading(**given).warnings
        assert told in warning and warning.endswith("are the same picture")
    for given in (
        {"variation_seed": "1", "variation_strength": "0,0.5"},
        {"hires_strength": "0.5", "hires_scale": "1,2"},
        {"emphasis": "a1111,none", "prompt": "a (cat:1.3)"},
        {"emphasis": "a1111,none", "prompt": "a cat, " * 30},
        {"seed_resize": "none,32x64"},
        {"seed_resize": "none,64x64", "hires_scale": "2"},
    ):
        told_alike = [one for one in reading(**given).warnings if "same picture" in one]
        assert not told_alike


def test_half_a_character_is_no_text(reading: Reading) -> None:
    messages = refused(reading, prompt="a \udcff cat", negative=["ok", "\ud83d"], cfg="abc")
    assert [message.partition("=")[0] for message in messages] == ["prompt", "negative", "cfg"]
    assert "'a \\udcff cat': contains bytes that are not text" in messages[0]


def test_excluding_everything_is_refused(reading: Reading) -> None:
    with pytest.raises(ConfigError, match="drops all 2 combinations"):
        reading(cfg="7,15", exclude="cfg>1")


def test_a_folder_that_cannot_be_written_is_refused(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # root may write everywhere
    assert "is not writable" in refused(reading)[0]


def test_a_disk_that_is_nearly_full_is_refused(
    reading: Reading, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: (10**9, 10**9 - 1000, 1000))
    assert "the disk is nearly full" in refused(reading)[0]


def test_a_prompt_that_is_too_long_is_a_warning_with_what_is_cut(reading: Reading) -> None:
    request = reading(prompt="x " * 80 + "THE END", emphasis="none")
    (warning,) = request.warnings
    assert "takes 77 tokens" in warning and "THE END" in warning
    assert reading(prompt="short").warnings == []
