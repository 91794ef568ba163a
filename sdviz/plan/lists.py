"""The values of one setting as a user types them: lists and quotes. No torch, no Hydra.

    7,15,20            a list; a comma at its end is no further value
    [7,15,20]          the same
    choice(7,15)       the same, Hydra's word
    "a, b", 'c'        quotes protect commas

Numbers and their ranges: sdviz.plan.ranges.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from sdviz.errors import ConfigError

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
            told = f"`{text}`: a value between commas is empty; put '' for an empty one"
            raise ConfigError(f"{told}, and quote the whole value for the shell")
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
