"""What is known of a model without its weights."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from diffusers.pipelines.kolors import ChatGLMTokenizer

from sdviz import models
from sdviz.errors import ModelError
from sdviz.plan.config import ModelSpec
from tests import families


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "copy"))


def inspect(folder: Path) -> models.ModelInfo:
    return models.inspect(ModelSpec(name="tested", id=str(folder)))


def test_kind_size_and_tokens_are_read_off_the_files(tiny_model: Path) -> None:
    info = inspect(tiny_model)
    assert (info.kind, info.native_width, info.native_height) == ("sd1", 64, 64)
    assert (info.multiple, info.max_tokens) == (8, 77)


def test_identity_is_the_content_not_the_place(tiny_model: Path, copy: Path) -> None:
    assert inspect(copy).identity == inspect(tiny_model).identity


def test_identity_changes_with_weights_and_settings(copy: Path) -> None:
    before = inspect(copy).identity
    weights = copy / "unet" / "diffusion_pytorch_model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    other = inspect(copy).identity
    scheduler = copy / "scheduler" / "scheduler_config.json"
    settings = json.loads(scheduler.read_text())
    scheduler.write_text(json.dumps({**settings, "prediction_type": "v_prediction"}))
    assert len({before, other, inspect(copy).identity}) == 3


def test_what_no_pixel_depends_on_is_not_part_of_the_identity(copy: Path) -> None:
    before = inspect(copy).identity
    (copy / "README.md").write_text("changed")
    shutil.rmtree(copy / "vae_tiny")  # draws previews only
    (copy / "clip").mkdir()  # gives scores only
    (copy / "clip" / "config.json").write_text("{}")
    assert inspect(copy).identity == before


def test_hashes_are_kept_and_not_trusted_for_a_changed_file(copy: Path, own_cache: Path) -> None:
    before = inspect(copy).identity
    (kept,) = own_cache.rglob("hashes.json")
    assert str(copy / "unet") in kept.read_text()
    weights = copy / "vae" / "diffusion_pytorch_model.safetensors"
    stat = weights.stat()
    weights.write_bytes(bytes(stat.st_size))
    os.utime(weights, ns=(stat.st_atime_ns, stat.st_mtime_ns + 1))
    assert inspect(copy).identity != before


def test_a_broken_cache_costs_nothing_but_time(copy: Path, own_cache: Path) -> None:
    before = inspect(copy).identity
    (kept,) = own_cache.rglob("hashes.json")
    kept.write_text("{broken")
    assert inspect(copy).identity == before


def test_the_end_of_a_long_prompt_is_told(tiny_model: Path) -> None:
    info = inspect(tiny_model)  # its tokens are single characters: 75 fit
    assert info.check_prompt("a" * 75) == []
    assert info.check_prompt("a " * 74 + "bcd") == ["cd"]
    assert info.check_prompt("") == []


def test_both_files_of_clips_tokenizer_say_the_same(copy: Path) -> None:
    prompt = "It's a CAT,  sitting (on 12 mats)! " * 4
    before = inspect(copy).check_prompt(prompt)
    (copy / "tokenizer" / "tokenizer.json").unlink()
    assert inspect(copy).check_prompt(prompt) == before != []


def test_kolors_tells_what_it_does_not_see(tmp_path: Path) -> None:
    folder = families.kolors(tmp_path / "kolors")
    words = ChatGLMTokenizer.from_pretrained(folder, subfolder="tokenizer")
    prompt = "一只小猫坐在月亮上, a small cat sitting on the moon, " * 12
    assert len(words(prompt)["input_ids"]) > 256
    (cut,) = inspect(folder).check_prompt(prompt)
    seen = len(prompt) - len(cut)
    assert prompt.endswith(cut) and len(words(prompt[:seen])["input_ids"]) == 256
    assert len(words(prompt[: seen + 1])["input_ids"]) > 256
    assert inspect(folder).check_prompt("一只小猫坐在月亮上") == []


def test_kolors_needs_a_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = families.kolors(tmp_path / "kolors")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install sentencepiece"):
        inspect(folder)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nobody/nothing", "hf download nobody/nothing"),
        ("/nowhere/at/all", "no folder|not there|nowhere"),
    ],
)
def test_a_model_that_is_not_here(name: str, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        models.inspect(ModelSpec(name="tested", id=name))


def test_a_folder_that_is_no_model(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"model_index\.json"):
        inspect(tmp_path / "empty")


def test_no_torch_is_needed(tiny_model: Path) -> None:
    code = (
        "import sys; from sdviz import models; from sdviz.plan.config import ModelSpec;"
        f"models.inspect(ModelSpec(id={str(tiny_model)!r})).check_prompt('cat ' * 99);"
        "sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
