"""How much of a prompt the text encoder takes, by the model's own tokenizer. No torch."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_MARKS = 2  # the begin and end of text


def beyond(text: str, *, tokenizer: Path, limit: int) -> str:
    """The end of `text` that a text encoder of `limit` tokens does not see; "" if it sees all."""
    if not limit or len(text.encode()) <= limit - _MARKS:  # a token is a byte at least
        return ""
    words = _load(tokenizer)
    if words is None:
        return ""
    words.no_truncation()
    offsets = words.encode(text, add_special_tokens=False).offsets
    taken = limit - _MARKS
    return text[offsets[taken][0] :] if len(offsets) > taken else ""


@lru_cache(maxsize=8)
def _load(folder: Path) -> Tokenizer | None:
    """The tokenizer in a diffusers folder: CLIP's two files, or the one file of newer ones."""
    from tokenizers import Tokenizer

    whole = folder / "tokenizer.json"
    if whole.is_file():
        return Tokenizer.from_file(str(whole))
    if (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        return _clip(folder)
    return None


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
