"""The values of one setting as you type them: lists, quotes, ranges of numbers. No torch, no Hydra.

    7,15,20            a list; a comma at its end is no further value
    [7,15,20]          the same
    choice(7,15)       the same, Hydra's word
    "a, b", 'c'        quotes protect commas
    1-5                1 2 3 4 5                     range(0,8)         0 1 .. 7, Hydra's range
    1-9 (+2)           1 3 5 7 9                     range(1,2,0.25)    the end is left out
    10-0 (-5)          10 5 0                        1, 2, .., 10       goes on as it began
    1-20 [5]           five values from 1 to 20      0.1-0.9 [5]        0.1 0.3 0.5 0.7 0.9

The ranges with `-` are those of stable-diffusion-webui's X/Y/Z plot, with four differences. A range
that goes down reaches its end (`10-0 (-5)` gave 10, 5 there). One that goes up never passes it
(`1-2 (+0.4)` gave 2.2). The sign in `(+2)` may be left out. A range without a step that holds one
value only is refused. Numbers are computed as exact fractions, so that `0-1 [6]` holds 0.6 and not
0.6000000000000001. Full-width signs and dashes mean those of ASCII: `１–９` is `1-9`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from fractions import Fraction

from sdviz.errors import ConfigError, ConfigErrors, SdvizError

FUNCTION = re.compile(r"(\w+)\((.*)\)", re.DOTALL)  # its name, and what is inside
_QUOTES = "'\""
_HALF_WIDTH = {
    **{wide: wide - 0xFEE0 for wide in range(0xFF01, 0xFF5F)},
    **dict.fromkeys(map(ord, "‐‑‒–—―−﹣﹘～〜"), "-"),
    **dict.fromkeys(map(ord, "、﹐､،"), ","),
    ord("\u3000"): " ",
    ord("…"): "..",  # two of them make one Chinese ellipsis
}
_OPENING, _CLOSING = "([{", ")]}"


def split_list(text: str, separator: str = ",") -> list[str]:
    """The parts of `text` between separators that no quote or bracket protects, stripped.

    Raises ConfigError for a quote or bracket that is opened and not closed, or the reverse.
    """
    parts: list[str] = []
    start = 0
    depth = 0
    for position, character in _outside_quotes(text):
        if character in _OPENING:
            depth += 1
        elif character in _CLOSING:
            depth -= 1
            if depth < 0:
                raise ConfigError(f"`{text}`: '{character}' closes no bracket")
        elif character == separator and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    if depth:
        raise ConfigError(f"`{text}`: a bracket is not closed")
    parts.append(text[start:].strip())
    return parts


def without_last_comma(parts: list[str]) -> list[str]:
    """The parts of a list that ends with a comma, without the empty one behind it."""
    return parts[:-1] if len(parts) > 1 and not parts[-1] else parts


def half_width(text: str) -> str:
    """Full-width signs, dashes and commas of any script as those of ASCII: `７，１５` is `7,15`."""
    return text.translate(_HALF_WIDTH)


def _outside_quotes(text: str) -> Iterator[tuple[int, str]]:
    """Each character that is not inside quotes, with its position. A quote opens at the start of a
    value.
    """
    quote = ""
    opened = 0
    fresh = True  # at the start of a value: an apostrophe inside a word opens nothing
    position = 0
    while position < len(text):
        character = text[position]
        if quote:
            if character == "\\":
                position += 1
            elif character == quote:
                quote = ""
        elif character in _QUOTES and fresh:
            quote, opened = character, position
        else:
            yield position, character
        fresh = character in ",([{" or (fresh and character.isspace())
        position += 1
    if quote:
        raise ConfigError(f"`{text}`: the quote {quote} at character {opened + 1} is not closed")


def unquote(text: str) -> str:
    """`text` without the quotes around it, if one pair encloses all of it; `\\'` and `\\\\` inside
    are undone.
    """
    text = text.strip()
    if not is_quoted(text):
        return text
    return re.sub(r"\\([\\'\"])", r"\1", text[1:-1])


def is_quoted(text: str) -> bool:
    """Does one pair of quotes enclose the whole of `text`?"""
    if len(text) < 2 or text[0] not in _QUOTES:
        return False
    return re.fullmatch(rf"{text[0]}(?:\\.|[^\\{text[0]}])*{text[0]}", text, re.DOTALL) is not None


def quoted(word: str) -> str:
    """`word` as it can be typed, so that parse_words has it as one again: in quotes if need be."""
    try:
        stands = word != "null" and parse_words(word) == [word]
    except ConfigError:
        stands = False
    return word if stands else in_quotes(word)


def in_quotes(text: str) -> str:
    """`text` in double quotes, so that `unquote` has it again."""
    return '"' + re.sub(r'([\\"])', r"\\\1", text) + '"'


def parse_words(text: str) -> list[str]:
    """A list of names: `euler,heun`, `[euler,heun]`, `choice(euler,heun)`, `"a, b"`."""
    words: list[str] = []
    for part in flat_list(text):
        if not part:
            message = f"`{text}`: a value between commas is empty; put '' for an empty one"
            raise ConfigError(f"{message}, and quote the whole value for the shell")
        words.append(unquote(part))
    return words


def parse_texts(text: str) -> list[str]:
    """Prompts: the whole text is one, commas and all, unless it is a list of quoted strings.

    `a castle, sunset` is one prompt; `["a castle, sunset", "a ship"]` is two, and so is
    `choice("a castle, sunset", "a ship")`. One pair of quotes around the whole is taken off.
    """
    stripped = text.strip()
    inner = None
    if stripped.startswith("[") and stripped.endswith("]"):
        inner = stripped[1:-1]
    elif stripped.startswith("choice(") and stripped.endswith(")"):
        inner = stripped[len("choice(") : -1]
    if inner is not None:
        try:
            parts = split_list(inner)
        except ConfigError:
            return [text]  # brackets that are the prompt's own
        parts = without_last_comma(parts)
        if parts and all(is_quoted(part) for part in parts):
            return [unquote(part) for part in parts]
    return [unquote(stripped)] if is_quoted(stripped) else [text]


def flat_list(text: str) -> Iterator[str]:
    """The parts of a comma list; lists in brackets and choice() are opened.

    Raises ConfigError as split_list does.
    """
    for part in without_last_comma(split_list(text)):
        function = FUNCTION.fullmatch(part)
        if part.startswith("[") and part.endswith("]"):
            yield from flat_list(part[1:-1])
        elif function and function[1] == "choice":
            yield from flat_list(function[2])
        else:
            yield part


Number = int | float
MOST_VALUES = 100_000  # on one axis; `seed=1-1000000000` is a slip, and would fill the memory
_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_BARE = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"  # ends of a range have no exponent: 1e-3 is a number
_RANGE = re.compile(
    rf"({_BARE})\s*-\s*({_BARE})(?:\s*\(\s*([+-]?)\s*({_BARE})\s*\)|\s*\[\s*(\d+)\s*\])?"
)
_ELLIPSIS = ("..", "...", "....")


def parse_numbers(text: str, *, whole: bool) -> list[Number]:
    """The numbers of `text`, in order; ints if `whole`.

    Raises ConfigError for too many values. Raises ConfigErrors with an error for each part that
    is no number or an endless range, and with the values of the other parts.
    """
    convert: Callable[[Fraction], Number] = int if whole else float
    values: list[Fraction] = []
    errors: list[SdvizError] = []
    parts = list(flat_list(half_width(text)))
    for position, part in enumerate(parts):
        try:
            if part in _ELLIPSIS:
                values.extend(_continued(text, values, parts[position + 1 :], whole))
            else:
                values.extend(_numbers(unquote(part), whole))
        except ConfigError as error:
            errors.append(error)
        if len(values) > MOST_VALUES:
            raise ConfigError(f"`{text}`: more than {MOST_VALUES:,} values")
    numbers = [convert(value) for value in values]
    if errors:
        raise ConfigErrors(errors, numbers)
    return numbers


def _numbers(part: str, whole: bool) -> list[Fraction]:
    if re.fullmatch(_NUMBER, part):
        return [_number(part, whole)]
    function = FUNCTION.fullmatch(part)
    if function and function[1] == "range":
        return _hydra_range(part, function[2], whole)
    if function and re.fullmatch(r"[a-z_]+", function[1]):
        raise ConfigError(f"`{part}`: only range() and choice() can be used here")
    span = _RANGE.fullmatch(part)
    if span:
        return _span(part, span, whole)
    if not part:
        raise ConfigError("a number is missing; add it, or remove the comma")
    kind = "a whole number" if whole else "a number"
    raise ConfigError(f"`{part}` is not {kind}, nor a range such as 1-9, 1-9 (+2) or 1-9 [5]")


def _number(text: str, whole: bool) -> Fraction:
    mantissa, _, exponent = text.lower().partition("e")
    if exponent and abs(int(exponent)) > 300:
        raise ConfigError(f"`{text}` is too large or too small")
    value = Fraction(mantissa) * Fraction(10) ** int(exponent or 0)
    if whole and value.denominator != 1:
        raise ConfigError(f"`{text}` is not a whole number")
    return value


def _hydra_range(part: str, inside: str, whole: bool) -> list[Fraction]:
    """Hydra's range(stop), range(start, stop), range(start, stop, step); the stop is left out."""
    arguments = [re.sub(r"^(start|stop|step)\s*=\s*", "", item) for item in split_list(inside)]
    if not 1 <= len(arguments) <= 3 or not all(re.fullmatch(_NUMBER, item) for item in arguments):
        raise ConfigError(f"`{part}`: range takes range(start, stop) or range(start, stop, step)")
    numbers = [_number(item, whole) for item in arguments]
    start, stop = (Fraction(0), numbers[0]) if len(numbers) == 1 else (numbers[0], numbers[1])
    step = numbers[2] if len(numbers) == 3 else Fraction(1)
    if step == 0 or (stop - start) * step <= 0:
        raise ConfigError(f"`{part}` contains no values")
    values = _steps(part, start, stop, step)
    values = values[:-1] if values[-1] == stop else values
    if len(values) == 1:
        only = f"{float(values[0]):g}"
        raise ConfigError(
            f"`{part}` contains only {only}, because its end is left out; write {only}, or another "
            "end"
        )
    return values


def _span(part: str, span: re.Match[str], whole: bool) -> list[Fraction]:
    """`a-b`, `a-b (+s)`, `a-b [n]`."""
    start, stop = _number(span[1], whole), _number(span[2], whole)
    if span[5] is not None:
        return _spread(part, start, stop, int(span[5]), whole)
    direction = 1 if stop >= start else -1
    step = _number(span[4], whole) if span[4] else Fraction(1)
    if step <= 0:
        raise ConfigError(f"`{part}`: the step must be above 0")
    if span[3] and (span[3] == "-") != (direction < 0) and start != stop:
        raise ConfigError(f"`{part}`: the step leads away from {span[2]}")
    if not span[4] and 0 < abs(stop - start) < 1:
        raise ConfigError(
            f"`{part}`: the step would be 1 and the only value {span[1]}; "
            f"give a step, `{span[1]}-{span[2]} (+0.1)`, or a count, `{span[1]}-{span[2]} [5]`"
        )
    return _steps(part, start, stop, direction * step)


def _spread(part: str, start: Fraction, stop: Fraction, count: int, whole: bool) -> list[Fraction]:
    """`count` values from start to stop, both included; whole ones are cut towards 0, as numpy's
    int is.
    """
    if not 1 <= count <= MOST_VALUES:
        raise ConfigError(f"`{part}`: the count must be 1 to {MOST_VALUES:,}")
    if count == 1:
        return [start]
    values = [start + (stop - start) * i / (count - 1) for i in range(count)]
    if not whole:
        return values
    return list(dict.fromkeys(Fraction(int(value)) for value in values))


def _steps(part: str, start: Fraction, stop: Fraction, step: Fraction) -> list[Fraction]:
    """start, start + step, ... as far as stop, which is there if a step lands on it."""
    count = (stop - start) // step + 1
    if count > MOST_VALUES:
        raise ConfigError(f"`{part}`: {count:,} values, more than {MOST_VALUES:,}")
    return [start + step * i for i in range(count)]


def _continued(text: str, before: list[Fraction], after: list[str], whole: bool) -> list[Fraction]:
    """The values of `..`: those between the two before it and the one after it."""
    if len(before) < 2 or not after or not re.fullmatch(_NUMBER, after[0]):
        raise ConfigError(f"`{text}`: `..` needs two numbers before it and one after: 1, 2, .., 10")
    step = before[-1] - before[-2]
    end = _number(after[0], whole)
    if step == 0 or (end - before[-1]) * step < 0:
        raise ConfigError(f"`{text}`: {after[0]} is never reached in steps of {float(step):g}")
    values = _steps(text, before[-1], end, step)[1:]
    return values[:-1] if values and values[-1] == end else values
