"""Headers of safetensors and configurations of models: read, or refused with the file's name."""

from __future__ import annotations

import json
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors import safe_open

from sdviz import models
from sdviz.errors import ModelError
from sdviz.models.files import tensors
from sdviz.plan.config import ModelSpec
from tests.fuzzing import fuzzed

NUMBERS = st.integers(-2, 20) | st.sampled_from([2**31, 2**63, 2**64, 10**4000, -1])
ODD = st.none() | st.booleans() | st.floats() | st.text(max_size=4) | NUMBERS | st.just([[]])
TENSORS = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F32", "F16", "U8", "BF16", "F4", "F8_E4M3", "F33"]) | ODD,
        "shape": st.lists(NUMBERS, max_size=4) | ODD,
        "data_offsets": st.lists(NUMBERS, max_size=3) | ODD,
        "more": ODD,
    },
)
HEADERS = st.dictionaries(
    st.sampled_from(["a", "b", "__metadata__", "lora_unet_down_blocks_0.lora_down.weight"]),
    TENSORS | ODD, max_size=4,
) | ODD | st.lists(ODD)  # fmt: skip


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("headers") / "x.safetensors"


def check(file: Path) -> None:
    try:
        shapes = tensors.shapes(file, key="model")
    except ModelError as error:
        assert file.name in str(error)
        return
    tensors.metadata(file)
    with safe_open(file, "numpy") as opened:  # what is let pass here can be read there
        assert set(opened.keys()) == set(shapes)


@fuzzed(300)
@given(header=HEADERS, data=st.integers(0, 40), length=st.none() | NUMBERS)
def test_headers(file: Path, header: object, data: int, length: int | None) -> None:
    text = json.dumps(header).encode("utf-8", "replace")
    length = len(text) if length is None or not 0 <= length < 2**64 else length
    file.write_bytes(struct.pack("<Q", length) + text + bytes(data))
    check(file)


@fuzzed(100)
@given(edits=st.lists(st.tuples(st.integers(0, 150), st.integers(0, 255)), min_size=1, max_size=6))
def test_bytes_of_a_header(file: Path, edits: list[tuple[int, int]]) -> None:
    header = {
        "__metadata__": {"format": "pt"},
        "a": {"dtype": "F32", "shape": [2, 1], "data_offsets": [0, 8]},
        "b": {"dtype": "F16", "shape": [3], "data_offsets": [8, 14]},
    }
    text = json.dumps(header).encode()
    data = bytearray(struct.pack("<Q", len(text)) + text + bytes(14))
    for at, new in edits:
        data[at % len(data)] = new
    file.write_bytes(bytes(data))
    check(file)


CONFIGS = (
    *("model_index.json", "unet/config.json", "vae/config.json", "text_encoder/config.json"),
    *("scheduler/scheduler_config.json", "tokenizer/tokenizer_config.json"),
)
VALUES = st.recursive(
    ODD,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
    ),
    max_leaves=6,
)  # fmt: skip


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path_factory.mktemp("configs") / "fuzzed"))


@fuzzed(150)
@given(name=st.sampled_from(CONFIGS), at=st.integers(0, 60), value=VALUES)
def test_configurations(folder: Path, tiny_model: Path, name: str, at: int, value: object) -> None:
    known: dict[str, Any] = json.loads((tiny_model / name).read_text())
    key = sorted(known)[at % len(known)]
    text = json.dumps({**known, key: value} if at < 55 else value)
    (folder / name).write_text(text, encoding="utf-8", errors="replace")
    try:
        info = models.inspect(ModelSpec(name="x", id=str(folder)))
        assert 0 < info.native_width <= 1 << 16 and info.multiple > 0
        info.check_prompt("a castle " * 60)
        assert len(info.identity) == 64
    except ModelError as error:
        assert "fuzzed" in str(error) or "model=x" in str(error)
    finally:
        shutil.copyfile(tiny_model / name, folder / name)
