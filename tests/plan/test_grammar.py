"""The grammar of values: what a user types, and the values that are computed."""

from __future__ import annotations

import pytest

from sdviz.errors import ConfigError
from sdviz.plan.grammar import parse_numbers, parse_texts, parse_words, split_list


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("7", [7]),
        ("7,15,20", [7, 15, 20]),
        (" 7 , 15 ", [7, 15]),
        ("[7,15,20]", [7, 15, 20]),
        ("choice(3,7)", [3, 7]),
        ("range(0,8)", [0, 1, 2, 3, 4, 5, 6, 7]),
        ("range(3)", [0, 1, 2]),
        ("range(start=1,stop=6,step=2)", [1, 3, 5]),
        ("range(5,0,-2)", [5, 3, 1]),
        ("1-5", [1, 2, 3, 4, 5]),
        ("1-5 (+2)", [1, 3, 5]),
        ("1-5(2)", [1, 3, 5]),
        ("10-5 (-3)", [10, 7]),
        ("10-0 (-5)", [10, 5, 0]),  # stable-diffusion-webui stops at 5
        ("3-1", [3, 2, 1]),
        ("1-10 [5]", [1, 3, 5, 7, 10]),
        ("1-3 [9]", [1, 2, 3]),  # no value twice
        ("4-4", [4]),
        ("5-9 [1]", [5]),
        ("-3--1", [-3, -2, -1]),
        ("-2-2 (+2)", [-2, 0, 2]),
        ("-1", [-1]),
        ("1, 2, .., 6", [1, 2, 3, 4, 5, 6]),
        ("1,3,...,10", [1, 3, 5, 7, 9, 10]),  # the last typed value is always there
        ("10, 8, .., 2, 100", [10, 8, 6, 4, 2, 100]),
        ("1-3, 10, range(20,22)", [1, 2, 3, 10, 20, 21]),
        ("2e1", [20]),
        ("18446744073709551615", [2**64 - 1]),
        ("7，15，20", [7, 15, 20]),
        ("７、１５", [7, 15]),
        ("1–5", [1, 2, 3, 4, 5]),
        ("1－5（＋2）", [1, 3, 5]),
        ("1～3", [1, 2, 3]),
        ("−1", [-1]),
        ("1，2，……，5", [1, 2, 3, 4, 5]),
        ("7,15,", [7, 15]),
        ("[7,15,]", [7, 15]),
        ("choice(7,15,) ,", [7, 15]),
    ],
)
def test_whole_numbers(text: str, values: list[int]) -> None:
    assert parse_numbers(text, whole=True) == values
    assert all(type(value) is int for value in parse_numbers(text, whole=True))


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("7", [7.0]),
        ("1-2 (+0.5)", [1, 1.5, 2]),
        ("1-2 (+0.4)", [1, 1.4, 1.8]),  # stable-diffusion-webui goes on to 2.2
        ("0-1 [6]", [0, 0.2, 0.4, 0.6, 0.8, 1]),
        ("1-20 [5]", [1, 5.75, 10.5, 15.25, 20]),
        ("0.1-0.9 (+0.2)", [0.1, 0.3, 0.5, 0.7, 0.9]),
        ("0.9-0.1 (-0.4)", [0.9, 0.5, 0.1]),
        ("1.5-4", [1.5, 2.5, 3.5]),
        ("range(1,2,0.25)", [1, 1.25, 1.5, 1.75]),
        ("0.1, 0.2, .., 0.5", [0.1, 0.2, 0.3, 0.4, 0.5]),
        ("1e-3", [0.001]),
        (".5,1.", [0.5, 1.0]),
    ],
)
def test_numbers_are_exact(text: str, values: list[float]) -> None:
    assert parse_numbers(text, whole=False) == values


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("abc", "not a number"),
        ("nan", "not a number"),
        ("inf", "not a number"),
        ("", "a number is missing"),
        ("7,,8", "a number is missing"),
        (",7", "a number is missing"),
        (",", "a number is missing"),
        ("7,,", "a number is missing"),
        ("range(1)", "contains only 0"),
        ("range(4,5)", "contains only 4"),
        ("0.1-0.9", "0.1-0.9 (+0.1)"),  # one value only would be a surprise
        ("1-5 (-1)", "leads away"),
        ("1-5 (0)", "above 0"),
        ("1-5 [0]", "count"),
        ("range(5,1)", "no values"),
        ("shuffle(1,2)", "range() and choice()"),
        ("1, .., 3", "two numbers before"),
        ("1, 2, ..", "one after"),
        ("2, 1, .., 5", "never reached"),
        ("1-1000000000", "more than 100,000"),
        ("0-1 (+0.0000001)", "more than 100,000"),
        ("1-9 [999999999]", "count"),
        ("[1,2", "not closed"),
        ("1)", "closes no bracket"),
        ("1e999999999", "too large"),
    ],
)
def test_what_is_no_number_is_refused(text: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_numbers(text, whole=False)
    assert says in str(caught.value)


@pytest.mark.parametrize("text", ["1.5", "1-5 (+0.5)", "range(0,1,0.5)"])
def test_fractions_are_no_whole_numbers(text: str) -> None:
    with pytest.raises(ConfigError, match="whole number"):
        parse_numbers(text, whole=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("euler,heun", ["euler", "heun"]),
        ("DPM++ 2M Karras, Euler a", ["DPM++ 2M Karras", "Euler a"]),
        ("[euler,heun]", ["euler", "heun"]),
        ("choice(euler,heun)", ["euler", "heun"]),
        ("euler, heun,", ["euler", "heun"]),
        ("a，b", ["a，b"]),  # it may be part of a file's name
        ("'a, b',c", ["a, b", "c"]),
        ("/models/it's here", ["/models/it's here"]),
        (r"C:\models\sd15", [r"C:\models\sd15"]),
    ],
)
def test_words(text: str, words: list[str]) -> None:
    assert parse_words(text) == words


HOSTILE = [
    "a castle, sunset, oil painting",
    "(word:1.3), [less], {x|y}",
    "a=b, c: d, $HOME !important",
    "${oc.env:HOME} \\${x}",
    'don\'t "quote" me',
    "一座城堡，日落, 油画",
    "a 🙂, b",
    "two\nlines, here",
    "[cat]",
    "[cat, dog]",
    "choice(red, blue)",
    '["unfinished',
    "<b>bold</b>",
    "range(1,3)",
    "trailing backslash\\",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_prompt_stands_for_itself(text: str) -> None:
    assert parse_texts(text) == [text]


@pytest.mark.parametrize(
    ("text", "prompts"),
    [
        ('["a, b","c"]', ["a, b", "c"]),
        ("['a, b', 'c']", ["a, b", "c"]),
        ('choice("a, b","c")', ["a, b", "c"]),
        ('["one"]', ["one"]),
        ('["say \\"hi\\"", "b"]', ['say "hi"', "b"]),
        ('["it\'s", "[x]"]', ["it's", "[x]"]),
        ('"a, b"', ["a, b"]),
        ("''", [""]),
        ('"a", "b"', ['"a", "b"']),  # no brackets, no list
    ],
)
def test_a_quoted_list_is_several_prompts(text: str, prompts: list[str]) -> None:
    assert parse_texts(text) == prompts


def test_brackets_and_quotes_protect_commas() -> None:
    assert split_list("a,(b,c),[d,e],'f,g'") == ["a", "(b,c)", "[d,e]", "'f,g'"]


def test_a_list_of_prompts_may_end_with_a_comma() -> None:
    assert parse_texts('["a, b", "c",]') == ["a, b", "c"]
    assert parse_texts("a castle, sunset,") == ["a castle, sunset,"], "one prompt, as it stands"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lora", "a, b/c 'd'.safetensors"), ("sampler", "DPM++ 2M Karras"), ("lora", "null"),
        ("model", 'x"y'), ("prompt", '"quoted"'), ("prompt", '["a", "b"]'), ("prompt", " a "),
        ("prompt", "null"), ("prompt", "a, b"), ("cfg", 7.5), ("cfg", 1 / 3), ("cfg", 7.0),
        ("seed", 2**63), ("eta", None), ("tiling", True), ("negative", ""), ("prompt", "a\\"),
        ("init", "[x].png"), ("lora", "trailing,"),
    ],
)  # fmt: skip
def test_a_value_typed_again_is_the_same(name: str, value: object) -> None:
    from sdviz.plan.values import typed, values_of

    assert values_of(name, typed(name, value)) == [value]


def test_full_width_commas_part_the_names_that_sdviz_knows() -> None:
    from sdviz.plan.values import values_of

    assert values_of("sampler", "euler，heun、ddim") == ["Euler", "Heun", "DDIM"]
    assert values_of("resize", "crop，fill，") == ["crop", "fill"]
    assert values_of("tiling", "true，false") == [True, False]
    assert values_of("lora", "墨，水.safetensors") == ["墨，水.safetensors"]
