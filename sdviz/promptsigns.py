"""Signs in a prompt that other programs act upon, and that sdviz reads as words and says so."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from sdviz.plan import Plan

# What it is, how it looks, and what to do instead.
_SIGNS = (
    (
        "LoRAs of a prompt are not loaded",
        re.compile(r"<(?:lora|lyco|lycoris|hypernet):[^<>]+>"),
        "give lora=file.safetensors and lora_scale=0.7",
    ),
    (
        "prompts do not alternate from step to step",
        re.compile(r"(?<!\\)\[[^\[\]]*\|[^\[\]]*\]"),
        "sweep the words: sr=red,blue",
    ),
    (
        "prompts do not change on the way",
        re.compile(r"(?<!\\)\[[^\[\]|]*:\s*[-+]?\d*\.?\d+\s*\]"),
        "sweep the words: sr=cat,dog",
    ),
    (
        "AND does not mix prompts",
        re.compile(r"(?<=\s)AND(?=\s)"),
        "write one text, with weights such as (word:1.3)",
    ),
    ("wildcards are not filled in", re.compile(r"\b__[\w/*-]+__\b"), "give prompts=file.txt"),
)


def told(plan: Plan) -> list[str]:
    """A warning for each such sign that occurs in the plan's prompts, with its first occurrence."""
    texts = {text for one in plan.cells for text in (one.recipe.prompt, one.recipe.negative)}
    return list(_told(sorted(texts)))


def _told(texts: Iterable[str]) -> Iterator[str]:
    for fault, sign, remedy in _SIGNS:
        found = next((match for match in map(sign.search, texts) if match), None)
        if found:
            yield f"`{found[0]}` in a prompt is read as text: {fault}; {remedy}"
