"""A cache of the Hugging Face hub, laid out as huggingface_hub does."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests import tiny

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def add(cache: Path, repo: str, files: Path, *, revision: str = "main") -> Path:
    """Puts the folder `files` into the cache as a snapshot of `repo`; returns the snapshot."""
    root = cache / f"models--{repo.replace('/', '--')}"
    snapshot = root / "snapshots" / COMMIT
    shutil.copytree(files, snapshot, dirs_exist_ok=True)
    reference = root / "refs" / revision
    reference.parent.mkdir(parents=True, exist_ok=True)
    reference.write_text(COMMIT)
    return snapshot


def use(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))


def vocabulary(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cache that has CLIP's vocabulary, or rather a small one by its name."""
    words = cache.parent / "words"
    tiny.tokenizer(words)
    add(cache, "openai/clip-vit-large-patch14", words)
    use(cache, monkeypatch)
