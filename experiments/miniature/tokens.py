"""CLIP's tokenizer for the miniature: every word of its world one token, any other text bytes."""

import json
from itertools import pairwise
from pathlib import Path

from transformers import CLIPTokenizer

from experiments.miniature import captions

START, END = "<|startoftext|>", "<|endoftext|>"
LENGTH = 77  # tokens, as in Stable Diffusion


def byte_letters() -> dict[int, str]:
    """A printable character for each byte, as byte-level BPE has them (GPT-2's table)."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {byte: chr(byte) for byte in printable}
    for byte in range(256):
        table.setdefault(byte, chr(256 + len(table) - len(printable)))
    return table


LETTERS = byte_letters()


def pieces(word: str, end: bool) -> list[str]:
    """A word as byte letters; the last one carries `</w>` where the word ends the run."""
    split = [LETTERS[byte] for byte in word.encode()]
    return [*split[:-1], split[-1] + "</w>"] if end else split


def merge(parts: list[str], ranks: dict[tuple[str, str], int]) -> list[str]:
    """Byte pair encoding: merges the pair of lowest rank until none is left."""
    while True:
        pairs = [pair for pair in pairwise(parts) if pair in ranks]
        if not pairs:
            return parts
        best, merged = min(pairs, key=lambda pair: ranks[pair]), []
        for part in parts:
            if merged and (merged[-1], part) == best:
                merged[-1] += part
            else:
                merged.append(part)
        parts = merged


def learn(forms: list[list[str]]) -> list[tuple[str, str]]:
    """Merges that make each form one token: what earlier merges leave is joined left to right."""
    ranks: dict[tuple[str, str], int] = {}
    for form in forms:
        parts = merge(form, ranks)
        while len(parts) > 1:
            ranks[parts[0], parts[1]] = len(ranks)
            parts = merge(parts, ranks)
    return list(ranks)


def build(folder: Path) -> CLIPTokenizer:
    """Writes vocab.json and merges.txt and returns the tokenizer that reads them."""
    chinese = captions.words_zh()
    letters = sorted({letter for word in chinese for letter in word})
    forms = [pieces(word, end=True) for word in captions.words()]
    for word in [*letters, *chinese]:
        forms += [pieces(word, end=False), pieces(word, end=True)]
    merges = learn(forms)
    alphabet = list(LETTERS.values())
    tokens = [*alphabet, *(letter + "</w>" for letter in alphabet)]
    tokens += [a + b for a, b in merges if a + b not in set(tokens)]
    vocabulary = {token: i for i, token in enumerate(dict.fromkeys([*tokens, START, END]))}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(vocabulary, ensure_ascii=False), "utf-8")
    rows = ["#version: 0.2", *(f"{a} {b}" for a, b in merges)]
    (folder / "merges.txt").write_text("\n".join(rows) + "\n", "utf-8")
    tokenizer = CLIPTokenizer(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        unk_token=END,
        bos_token=START,
        eos_token=END,
        pad_token=END,
        model_max_length=LENGTH,
    )
    tokenizer.save_pretrained(folder)
    return tokenizer
