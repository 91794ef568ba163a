"""Weights, BREAK and chunks, by the examples in stable-diffusion-webui's documentation."""

from __future__ import annotations

import pytest

from sdviz.plan.prompts import Piece, chunks, is_plain, parse

BREAK = "BREAK"

DOCUMENTED = {
    "normal text": [("normal text", 1.0)],
    "an (important) word": [("an ", 1.0), ("important", 1.1), (" word", 1.0)],
    "(unbalanced": [("unbalanced", 1.1)],
    r"\(literal\]": [("(literal]", 1.0)],
    "(unnecessary)(parens)": [("unnecessaryparens", 1.1)],
    "a (((house:1.3)) [on] a (hill:0.5), sun, (((sky))).": [
        ("a ", 1.0), ("house", 1.573), (" ", 1.1), ("on", 1.0), (" a ", 1.1), ("hill", 0.55),
        (", sun, ", 1.1), ("sky", 1.4641), (".", 1.1),
    ],
}  # fmt: skip
OURS = {
    "": [("", 1.0)],
    "[word]": [("word", 1 / 1.1)],
    "[[word]": [("word", 1 / 1.21)],
    "(a: 1.2 ) b": [("a", 1.2), (" b", 1.0)],
    "(a:+.5)": [("a", 0.5)],
    "(a:-1)": [("a", -1.0)],
    "(a, b, c:1.3), d": [("a, b, c", 1.3), (", d", 1.0)],
    "ratio 3:4, see: this": [("ratio 3:4, see: this", 1.0)],
    "a) b:1.2) c] d": [("a) b:1.2) c] d", 1.0)],
    "(a:1.2.3)": [("a:1.2.3", 1.1)],
    r"back\slash \\ end\\": [("backslash \\ end\\", 1.0)],
    "(mutated hands and fingers:1.4), ugly": [
        ("mutated hands and fingers", 1.4), (", ugly", 1.0),
    ],
    "a BREAK  b": [("a", 1.0), BREAK, ("b", 1.0)],
    "BREAK": [BREAK],
    "a (b BREAK c:1.5)": [("a ", 1.0), ("b", 1.5), (BREAK, 1.5), ("c", 1.5)],
    "a BREAKFAST break": [("a BREAKFAST break", 1.0)],
    "可爱的(猫:1.2)": [("可爱的", 1.0), ("猫", 1.2)],
}  # fmt: skip


@pytest.mark.parametrize("prompt", [*DOCUMENTED, *OURS])
def test_a_prompt_is_read_as_documented(prompt: str) -> None:
    expected = [
        one if isinstance(one, tuple) else (one, 1.0) for one in {**DOCUMENTED, **OURS}[prompt]
    ]
    read = [(BREAK if piece.is_break else piece.text, piece.weight) for piece in parse(prompt)]
    assert [text for text, _ in read] == [text for text, _ in expected]
    assert [weight for _, weight in read] == pytest.approx([weight for _, weight in expected])


@pytest.mark.parametrize("prompt", ["a cat, sitting: 3:4", "猫", ""])
def test_a_plain_prompt_is_one_piece_as_typed(prompt: str) -> None:
    assert is_plain(prompt)
    assert parse(prompt) == [Piece(prompt)]


def test_a_lone_backslash_is_no_text() -> None:
    """As in stable-diffusion-webui, whose expression takes it for the start of an escape."""
    assert parse("a \\ b") == [Piece("a  b")]
    assert parse("a\\") == [Piece("a")]
    assert parse("a \\\\ b") == [Piece("a \\ b")]
    assert parse("(a \\ b:2)") == [Piece("a  b", 2.0)]


COMMA = 9


def cut(*pieces: tuple[list[int], float] | None) -> list[tuple[int, ...]]:
    """The chunks' ids; None is a BREAK."""
    given = [
        (Piece("", is_break=True), []) if one is None else (Piece("x", one[1]), one[0])
        for one in pieces
    ]
    return [chunk.ids for chunk in chunks(given, COMMA)]


def test_chunks_have_75_tokens() -> None:
    assert cut(([1] * 75, 1.0)) == [(1,) * 75]
    assert cut(([1] * 76, 1.0)) == [(1,) * 75, (1,)]
    assert cut(([1] * 151, 1.0)) == [(1,) * 75, (1,) * 75, (1,)]
    assert cut(([], 1.0)) == [()]


def test_a_break_begins_a_chunk() -> None:
    assert cut(([1, 2], 1.0), None, ([3], 1.0)) == [(1, 2), (3,)]
    assert cut(([1], 1.0), None) == [(1,)]
    assert cut(None, ([1], 1.0)) == [(), (1,)]


@pytest.mark.parametrize(("at", "moves"), [(74, 0), (60, 14), (55, 19), (54, 0), (10, 0)])
def test_what_follows_a_late_comma_moves_to_the_next_chunk(at: int, moves: int) -> None:
    """At most 20 tokens back, the comma included; the comma itself stays."""
    ids = [1] * at + [COMMA] + [2] * (74 - at) + [3, 3]
    first, second = cut((ids, 1.0))
    assert len(first) == 75 - moves
    assert second == (2,) * moves + (3, 3)


def test_a_comma_at_the_border_opens_the_next_chunk() -> None:
    assert cut(([1] * 60 + [COMMA] + [1] * 14 + [COMMA, 2], 1.0))[1] == (COMMA, 2)


def test_weights_go_with_their_tokens() -> None:
    one, two = chunks([(Piece("x", 1.0), [1] * 70), (Piece("y", 1.5), [2] * 10)], COMMA)
    assert one.weights == (1.0,) * 70 + (1.5,) * 5
    assert two.weights == (1.5,) * 5
