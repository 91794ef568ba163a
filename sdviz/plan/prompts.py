r"""Prompts as stable-diffusion-webui reads them: weights, BREAK, chunks of 75 tokens. No torch.

    (word)       1.1 times the attention         [word]      1/1.1 times
    (word:1.3)   1.3 times                       ((word))    1.21 times; brackets multiply
    \( \) \[ \]  brackets that are meant         BREAK       the next chunk begins here
    \\           a backslash; one that stands alone is dropped

Source: AUTOMATIC1111/stable-diffusion-webui, its wiki (Features, "Attention/emphasis", "Infinite
prompt length"), modules/prompt_parser.py and modules/sd_hijack_clip.py, version 1.10. One
difference: a BREAK between brackets is a BREAK here, and an odd word there.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

CHUNK = 75  # tokens, between the marks of the beginning and the end of a text
BACKTRACK = 20  # tokens that may move to the next chunk, so that a chunk ends with a comma
ROUND, SQUARE = 1.1, 1 / 1.1

_NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)"
_SIGN = re.compile(rf"\\[()\[\]\\]|:\s*({_NUMBER})\s*\)|[()\[\]]|\\")
_BREAK = re.compile(r"\s*\bBREAK\b\s*")
_WEIGHTED = re.compile(r"[()\[\]\\]|\bBREAK\b")


@dataclass
class Piece:
    """A part of a prompt with one weight; `is_break` parts a prompt into chunks and has no text."""

    text: str
    weight: float = 1.0
    is_break: bool = False
    is_whole: bool = False  # its tokens stay in one chunk


@dataclass(frozen=True)
class Chunk:
    """At most 75 token ids, without marks, and the weight of each."""

    ids: tuple[int, ...]
    weights: tuple[float, ...]


def is_plain(prompt: str) -> bool:
    """Does `prompt` mean the same with emphasis and without, if it fits into one chunk?"""
    return not _WEIGHTED.search(prompt)


def parse(prompt: str) -> list[Piece]:
    """The pieces of a prompt in their order, neighbours of equal weight joined; one at least.

    A bracket that is never closed counts to the end, one that closes nothing is text.
    """
    pieces: list[Piece] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}  # number of the piece that each begins with
    end = 0
    for sign in _SIGN.finditer(prompt):
        _add(pieces, prompt[end : sign.start()])
        end = sign.end()
        text = sign[0]
        if text in opened:
            opened[text].append(len(pieces))
        elif text[0] == "\\":
            pieces.append(Piece(text[1:]))
        elif text == "]" and opened["["]:
            _multiply(pieces[opened["["].pop() :], SQUARE)
        elif text[-1] == ")" and opened["("]:
            _multiply(pieces[opened["("].pop() :], float(sign[1]) if sign[1] else ROUND)
        else:
            _add(pieces, text)
    _add(pieces, prompt[end:])
    for start in opened["("]:
        _multiply(pieces[start:], ROUND)
    for start in opened["["]:
        _multiply(pieces[start:], SQUARE)
    return _joined(pieces)


def _add(pieces: list[Piece], text: str) -> None:
    """`text`, which has no brackets in it, parted at every BREAK."""
    for i, part in enumerate(_BREAK.split(text)):
        if i:
            pieces.append(Piece("", is_break=True))
        if part:
            pieces.append(Piece(part))


def _multiply(pieces: Iterable[Piece], weight: float) -> None:
    for piece in pieces:
        piece.weight *= weight


def _joined(pieces: Sequence[Piece]) -> list[Piece]:
    out: list[Piece] = []
    for piece in pieces:
        last = out[-1] if out else None
        if last and not (last.is_break or piece.is_break) and last.weight == piece.weight:
            last.text += piece.text
        else:
            out.append(piece)
    return out or [Piece("")]


def chunks(pieces: Sequence[tuple[Piece, Sequence[int]]], comma: int | None) -> list[Chunk]:
    """The chunks of pieces, each with its token ids; `comma` is the id of a comma.

    Where a chunk is full and a comma is among its last 20 tokens, what follows the comma moves to
    the next chunk. There is one chunk at least, be it empty.
    """
    out: list[Chunk] = []
    open_: list[tuple[int, float]] = []
    last_comma: int | None = None

    def close(keep: int) -> None:
        nonlocal open_, last_comma
        out.append(Chunk(tuple(i for i, _ in open_[:keep]), tuple(w for _, w in open_[:keep])))
        open_, last_comma = open_[keep:], None

    for piece, ids in pieces:
        if piece.is_break or (piece.is_whole and len(open_) + len(ids) > CHUNK):
            close(CHUNK)
        for token in ids:
            is_full = len(open_) == CHUNK
            if is_full and token != comma and last_comma and CHUNK - last_comma < BACKTRACK:
                close(last_comma)
            elif is_full:
                close(CHUNK)
            open_.append((token, piece.weight))
            if token == comma:
                last_comma = len(open_)  # just behind it
    if open_ or not out:
        close(CHUNK)
    return out


T = TypeVar("T")


def words_used(words: Mapping[str, T], texts: Iterable[str]) -> dict[str, T]:
    """Of `words`, those that a text has, in any case, and not as a part of another; in the order of
    the alphabet.
    """
    texts = list(texts)
    return {word: words[word] for word in sorted(words) if any(map(word_sign(word).search, texts))}


@functools.lru_cache(maxsize=4096)
def words_and_hashes(content: str, *texts: str) -> tuple[tuple[str, str], ...]:
    """Those words that a text has, with their hashes, of the `content` of embeddings."""
    return tuple(words_used(json.loads(content), texts).items())


@functools.lru_cache(maxsize=4096)
def word_sign(*words: str) -> re.Pattern[str]:
    """What finds one of `words` (its group 1), also as ComfyUI writes it, "embedding:word"."""
    any_of = "|".join(map(re.escape, sorted(words, key=len, reverse=True)))
    return re.compile(rf"(?<![\w-])(?:embedding:)?({any_of})(?![\w-])", re.IGNORECASE)
