"""How much of a prompt the text encoder takes, by the model's own tokenizer. No torch."""

from __future__ import annotations

import bisect
import importlib.util
import json
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from sdviz.models.files.refusal import refusing

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_MARKS = 2  # the begin and end of text, or ChatGLM's two at the begin


def beyond(text: str, *, tokenizer: Path, limit: int) -> str:
    """The end of `text` that a text encoder of `limit` tokens does not see; "" if it sees all."""
    if not limit or len(text.encode()) <= limit - _MARKS:  # a token is a byte at least
        return ""
    with refusing(f"the tokenizer in {tokenizer}"):
        seen = _reader(tokenizer)
        return text[seen(text, limit - _MARKS) :] if seen else ""


@lru_cache(maxsize=8)
def _reader(folder: Path) -> Callable[[str, int], int] | None:
    """How many characters of a text are its first so many tokens, by the tokenizer in `folder`."""
    if (folder / "tokenizer.json").is_file() or (folder / "vocab.json").is_file():
        return _by_tokenizers(folder)
    if (folder / "tokenizer.model").is_file() and importlib.util.find_spec("sentencepiece"):
        return _by_sentencepiece(folder / "tokenizer.model")
    return None


def _by_tokenizers(folder: Path) -> Callable[[str, int], int]:
    """CLIP's two files, or the one file of newer tokenizers."""
    from tokenizers import Tokenizer

    whole = folder / "tokenizer.json"
    words = Tokenizer.from_file(str(whole)) if whole.is_file() else _clip(folder)
    words.no_truncation()

    def seen(text: str, count: int) -> int:
        offsets = words.encode(text, add_special_tokens=False).offsets
        return offsets[count][0] if len(offsets) > count else len(text)

    return seen


def _by_sentencepiece(file: Path) -> Callable[[str, int], int]:
    """ChatGLM's; the package tells no offsets in a way that lasted, so the end is searched for."""
    import sentencepiece

    words = sentencepiece.SentencePieceProcessor(model_file=str(file))

    def seen(text: str, count: int) -> int:
        ends = range(len(text) + 1)
        return bisect.bisect_right(ends, count, key=lambda end: len(words.encode(text[:end]))) - 1

    return seen


def _clip(folder: Path) -> Tokenizer:
    """CLIP's byte-level BPE (Radford et al. 2021, section 2.4), as transformers composes it."""
    from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers
    from tokenizers.models import BPE

    vocabulary = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    lines = (folder / "merges.txt").read_text(encoding="utf-8").splitlines()
    merges = [(a, b) for a, _, b in (line.partition(" ") for line in lines[1:]) if a and b]
    words = Tokenizer(BPE(vocabulary, merges, end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    words.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    pieces = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pieces), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    return words
