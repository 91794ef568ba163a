"""Texts as programs, extensions and people leave them; and texts made to be slow to read."""

from __future__ import annotations

import random

import pytest

from sdviz.pictures import infotext

SETTINGS = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 5, Size: 512x512"
PAIRS = {"Steps": "20", "Sampler": "Euler a", "CFG scale": "7", "Seed": "5", "Size": "512x512"}


@pytest.mark.parametrize(
    "text",
    [
        f"a cat\nNegative prompt: dog\n{SETTINGS}",
        f"a cat\r\nNegative prompt: dog\r\n{SETTINGS}\r\n",
        f"a cat\nNegative prompt: dog\n{SETTINGS}\nTemplate: a {{cat|dog}},\nb: c, d: e, f: g",
        f"a cat\nNegative prompt: dog\n{SETTINGS}\nNegative Template: x\nTemplate: y",
        f"a cat\nNegative prompt: dog\n{SETTINGS}\n\nsaved by another program",
        "a cat\nNegative prompt: dog\n" + SETTINGS.replace(", ", "\n"),
        "a cat\nNegative prompt: dog\n" + SETTINGS.replace(" CFG", "\nCFG"),
        "a cat\nNegative prompt: dog\n" + SETTINGS.replace(", Seed", "\nSeed"),
        f"a cat Negative prompt: dog {SETTINGS}",
        f"a cat, Negative prompt: dog, {SETTINGS}",
        f"a cat\nNegative prompt: dog {SETTINGS}",
    ],
)
def test_settings_are_told_from_prompts_wherever_they_stand(text: str) -> None:
    read = infotext.read(text)
    assert (read.prompt, read.negative, dict(read.pairs)) == ("a cat", "dog", PAIRS)


def test_settings_may_begin_with_another_key() -> None:
    text = "a cat\nSampler: Euler a\nSteps: 20\nCFG scale: 7\nSeed: 5\nSize: 512x512"
    assert dict(infotext.read(text).pairs) == PAIRS
    swapped = "a cat\nSampler: Euler a, Steps: 20, CFG scale: 7, Seed: 5, Size: 512x512"
    assert dict(infotext.read(swapped).pairs) == PAIRS
    assert infotext.read(f"a cat, sitting: still, {SETTINGS}").prompt == "a cat, sitting: still"


def test_a_prompt_that_looks_like_settings_stays_a_prompt() -> None:
    fake = "Steps: 1, Sampler: Heun, CFG scale: 1, Seed: 1"
    read = infotext.read(f"{fake}\nTemplate: x\nNegative prompt: {fake}\n{SETTINGS}")
    assert (read.prompt, read.negative) == (f"{fake}\nTemplate: x", fake)
    assert dict(read.pairs) == PAIRS


def test_json_in_the_settings_is_one_value() -> None:
    resources = '[{"type":"lora","weight":0.4,"modelName":"Some, style: Steps: 3"},{"a":[]}]'
    read = infotext.read(
        f'x\n{SETTINGS}, Civitai resources: {resources}, Meta: {{}}, "q": 1, Z z: 2'
    )
    assert dict(read.pairs) == {
        **PAIRS, "Civitai resources": resources, "Meta": "{}", "Z z": "2",
    }  # fmt: skip
    torn = infotext.pairs_of('Civitai resources: [{"type":"lora", Model: x')
    assert torn["Model"] == "x", "what is no JSON ends at the comma"


def test_no_value_holds_what_utf_8_cannot() -> None:
    read = infotext.read(f'a \ud800 cat\n{SETTINGS}, Foo: "\\ud800 b"')
    "".join([read.prompt, *read.pairs.values()]).encode()


EVIL = {
    "letters": "a" * 10**6,
    "colons": ":" * 10**6,
    "keys": "ab:" * 10**6,
    "quotes": 'ab:"' * 10**6,
    "escaped": 'ab:"\\' * 10**6,
    "brackets": "ab:[" * 10**6,
    "deep": "Steps: 1, ab: " + "[" * 10**6,
    "lines": "Steps: 1,\n" * 10**6,
    "going on": "Steps: 1,\n" + "a,\n" * 10**6,
    "negatives": "Negative prompt:" * 10**6,
    "steps": "x Steps: 1, " * 10**6,
    "first keys": "Seed: 1\n" * 10**6 + "Steps: 1",
    "spaces": "Steps: 1, Seed: 2, Size: 3" + " " * 10**6,
    "commas": "," * 10**6,
    "digits": "Steps: " + "9" * 10**6 + ", Seed: 1, Size: 2",
}


@pytest.mark.parametrize("text", EVIL.values(), ids=EVIL)
def test_reading_is_linear_whatever_the_text(text: str) -> None:
    """A quadratic reader would take minutes here."""
    end = infotext.LONGEST
    last = text[-20:] if len(text) > 20 else text
    infotext.read(text[: end - 20] + last)
    with pytest.raises(ValueError, match="characters"):
        infotext.read("a" * (end + 1))


def test_any_text_can_be_read() -> None:
    chance = random.Random(0)
    pieces = [*'":,\\[]{}\n \t-/', "Steps: 2", "Negative prompt:", "Template:", "ab", "é", SETTINGS]
    for _ in range(3000):
        text = "".join(chance.choices(pieces, k=chance.randrange(40)))
        read = infotext.read(text)
        assert len(read.prompt) + len(read.negative) <= len(text)
        assert all(len(key) > 1 for key in read.pairs)
