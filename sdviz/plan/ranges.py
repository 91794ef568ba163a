"""Numbers as a user types them: in lists (sdviz.plan.lists) and in ranges. No torch, no Hydra.

    1-5                1 2 3 4 5                     range(0,8)         0 1 .. 7, Hydra's range
    1-9 (+2)           1 3 5 7 9                     range(1,2,0.25)    the end is left out
    10-0 (-5)          10 5 0                        1, 2, .., 10       goes on as it began
    1-20 [5]           five values from 1 to 20      0.1-0.9 [5]        0.1 0.3 0.5 0.7 0.9

The ranges with `-` are those of stable-diffusion-webui's X/Y/Z plot, with four differences: a range
that goes down reaches its end (`10-0 (-5)` gave 10, 5 there), one that goes up never passes it
(`1-2 (+0.4)` gave 2.2), the sign in `(+2)` may be left out, and a range without a step that holds
one value only is refused. Numbers are computed as exact fractions, so that `0-1 [6]` holds 0.6 and
not 0.6000000000000001. Full-width signs and dashes stand for those of ASCII: `１–９` is `1-9`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fractions import Fraction

from sdviz.errors import ConfigError, ConfigErrors, SdvizError
from sdviz.plan.lists import FUNCTION, flat_list, half_width, split_list, unquote

Number = int | float

MOST_VALUES = 100_000  # on one axis; `seed=1-1000000000` is a slip, and would fill the memory

_NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?"
_BARE = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)"  # ends of a range have no exponent: 1e-3 is a number
_RANGE = re.compile(
    rf"({_BARE})\s*-\s*({_BARE})(?:\s*\(\s*([+-]?)\s*({_BARE})\s*\)|\s*\[\s*(\d+)\s*\])?"
)
_ELLIPSIS = ("..", "...", "....")


def parse_numbers(text: str, *, whole: bool) -> list[Number]:
    """The numbers that `text` stands for, in order; ints if `whole`.

    Raises ConfigError when there are too many, and ConfigErrors with each part that is no number or
    a range that never ends, and with the values of the others.
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
            f"`{part}` holds {only} alone, for its end is left out; write {only}, or another end"
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
    """What `..` stands for: the values between the two before it and the one after it."""
    if len(before) < 2 or not after or not re.fullmatch(_NUMBER, after[0]):
        raise ConfigError(f"`{text}`: `..` needs two numbers before it and one after: 1, 2, .., 10")
    step = before[-1] - before[-2]
    end = _number(after[0], whole)
    if step == 0 or (end - before[-1]) * step < 0:
        raise ConfigError(f"`{text}`: {after[0]} is never reached in steps of {float(step):g}")
    values = _steps(text, before[-1], end, step)[1:]
    return values[:-1] if values and values[-1] == end else values
