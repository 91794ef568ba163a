"""Models whose maker wants to harm: lying headers, broken folders, FIFOs. Refused, never run."""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdviz import models
from sdviz.errors import ConfigError, ModelError
from sdviz.models.files import tensors
from sdviz.plan.config import ModelSpec
from sdviz.request.compose import prepare
from tests.commands.sweep.test_sweep import sdviz

ONE = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}


def safetensors(path: Path, header: object, data: bytes = bytes(8)) -> Path:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)
    return path


LIES: dict[str, object] = {
    "depth": b'{"a":' * 20_000 + b"1" + b"}" * 20_000,
    "a list": [1, 2],
    "offsets beyond the end": {"a": {**ONE, "data_offsets": [0, 1 << 60]}},
    "offsets before the beginning": {"a": {**ONE, "data_offsets": [-8, 0]}},
    "offsets that overlap": {"a": ONE, "b": ONE},
    "offsets with a hole": {"a": {**ONE, "data_offsets": [4, 12]}},
    "offsets of text": {"a": {**ONE, "data_offsets": ["0", "8"]}},
    "one offset": {"a": {**ONE, "data_offsets": [0]}},
    "more bytes than tensors": {"a": {**ONE, "shape": [1], "data_offsets": [0, 4]}},
    "an unknown kind of numbers": {"a": {**ONE, "dtype": "F33"}},
    "a list as the kind": {"a": {**ONE, "dtype": [[]]}},
    "a shape of another size": {"a": {**ONE, "shape": [3]}},
    "a negative shape": {"a": {**ONE, "shape": [-1, -2]}},
    "a shape of booleans": {"a": {**ONE, "shape": [True, 2]}},
    "a shape that is none": {"a": {**ONE, "shape": None}},
    "a tensor that is none": {"a": None},
    "digits without end": b'{"a":{"dtype":"F32","shape":['
    + b"9" * 5000
    + b'],"data_offsets":[0,8]}}',
    "no UTF-8": b'{"\xff": 1}',
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lying_header_is_refused_with_the_files_name(tmp_path: Path, lie: str) -> None:
    path = safetensors(tmp_path / "x.safetensors", LIES[lie])
    with pytest.raises(ModelError, match=r"x\.safetensors"):
        tensors.shapes(path, key="model")
    with pytest.raises(ModelError, match=r"x\.safetensors"):
        models.inspect(ModelSpec(name="x", id=str(path)))


def set_json(file: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def apply(folder: Path) -> None:
        path = folder / file
        path.write_text(json.dumps(change(json.loads(path.read_text()))))

    return apply


BROKEN: dict[str, Callable[[Path], object]] = {
    "deep JSON": lambda folder: (folder / "unet/config.json").write_text("[" * 100_000),
    "a list": set_json("model_index.json", lambda index: [index]),
    "a class that is a list": set_json("model_index.json", lambda i: {**i, "_class_name": [1]}),
    "a size of text": set_json("unet/config.json", lambda c: {**c, "sample_size": "x"}),
    "a size of three": set_json("unet/config.json", lambda c: {**c, "sample_size": [1, 2, 3]}),
    "a huge size": set_json("unet/config.json", lambda c: {**c, "sample_size": 10**30}),
    "levels without end": set_json(
        "vae/config.json", lambda c: {**c, "block_out_channels": [1] * 100_000}
    ),
    "levels that are none": set_json("vae/config.json", lambda c: {**c, "block_out_channels": 3}),
    "tokens of text": set_json(
        "tokenizer/tokenizer_config.json", lambda c: {**c, "model_max_length": "x"}
    ),
    "no denoiser": lambda folder: shutil.rmtree(folder / "unet"),
    "a file as the denoiser": lambda folder: (
        shutil.rmtree(folder / "unet"),
        (folder / "unet").write_text("x"),
    ),
    "another's words": lambda folder: [
        (folder / "tokenizer" / name).write_text('{"model": [1]}')
        for name in ("vocab.json", "tokenizer.json")
    ],
    "a header that lies": lambda folder: safetensors(
        next((folder / "unet").glob("*.safetensors")), LIES["offsets that overlap"]
    ),
    "weights of another shape": lambda folder: safetensors(
        next((folder / "unet").glob("*.safetensors")), {"conv_in.weight": ONE}
    ),
    "a configuration of another": set_json(
        "unet/config.json", lambda c: {**c, "block_out_channels": "x"}
    ),
}


@pytest.mark.parametrize("how", BROKEN)
def test_a_broken_folder_is_refused_with_its_name(
    tiny_model: Path, tmp_path: Path, how: str
) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "broken"))
    BROKEN[how](folder)
    with pytest.raises(ModelError, match=r"broken|model=x"):
        spec = ModelSpec(name="x", id=str(folder))
        info = models.inspect(spec)
        info.check_prompt("cat " * 99)
        assert info.identity
        models.load(spec)


def test_the_command_refuses_it_without_a_traceback(tiny_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "broken"))
    BROKEN["weights of another shape"](folder)
    result = sdviz(f"model={folder}", "steps=1", "visdom=off", cwd=tmp_path)
    assert result.returncode == 2 and "Traceback" not in result.stderr, result.stderr
    assert "broken" in result.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="FIFOs")
@pytest.mark.parametrize(
    "file",
    [
        *("unet/config.json", "unet/WEIGHTS", "tokenizer/vocab.json", "model_index.json"),
        "unet/more.safetensors",
    ],
)
def test_a_fifo_in_a_model_is_refused(tiny_model: Path, tmp_path: Path, file: str) -> None:
    folder = Path(shutil.copytree(tiny_model, tmp_path / "broken"))
    weights = next((folder / "unet").glob("*.safetensors")).name
    path = folder / file.replace("WEIGHTS", weights)
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    with pytest.raises(ModelError, match="is a FIFO"):
        models.inspect(ModelSpec(name="x", id=str(folder)))


@pytest.mark.skipif(sys.platform == "win32", reason="FIFOs")
@pytest.mark.parametrize("key", ["model", "lora", "vae", "embedding", "init", "from"])
def test_a_fifo_in_the_place_of_a_file_is_refused(
    tiny_model: Path, tmp_path: Path, key: str
) -> None:
    path = tmp_path / ("x.png" if key in ("init", "from") else "x.safetensors")
    os.mkfifo(path)
    others = [] if key == "model" else [f"model={tiny_model}"]
    with pytest.raises(ConfigError, match=path.name):
        prepare([f"{key}={path}", *others])


@pytest.mark.parametrize("library", ["os", "antigravity", "evil", "..", "../evil", 3, "sdviz"])
def test_a_component_of_another_library_is_refused(
    tiny_model: Path, tmp_path: Path, library: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Importing it would run what lies beside the model, in the folder that the user is in."""
    folder = Path(shutil.copytree(tiny_model, tmp_path / "broken"))
    (tmp_path / "evil.py").write_text("raise SystemExit('code of the model ran')")
    monkeypatch.syspath_prepend(tmp_path)
    set_json("model_index.json", lambda index: {**index, "tokenizer": [library, "X"]})(folder)
    with pytest.raises(ModelError, match="diffusers and transformers only"):
        models.inspect(ModelSpec(name="x", id=str(folder)))
