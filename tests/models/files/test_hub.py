"""Models by hub id, out of the local cache; no hub is asked."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from sdviz import models
from sdviz.errors import ModelError
from sdviz.models.files import places
from sdviz.plan.config import ModelSpec
from tests.models import hub


def test_a_model_in_the_cache(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.use(tmp_path / "hub", monkeypatch)
    snapshot = hub.add(tmp_path / "hub", "some/model", tiny_model, revision="v2")
    by_folder = models.inspect(ModelSpec(name="a", id=str(tiny_model)))
    for revision in ("v2", hub.COMMIT):
        info = models.inspect(ModelSpec(name="a", id="some/model", revision=revision))
        assert info.folder == snapshot
        assert info.identity == by_folder.identity  # a cell's key does not depend on the form
    assert models.load(ModelSpec(name="a", id="some/model", revision="v2")).device == "cpu"
    with pytest.raises(ModelError, match="hf download some/model"):
        models.inspect(ModelSpec(name="a", id="some/model"))  # there is no "main" of it here


def test_a_missing_model_names_what_fetches_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.use(tmp_path / "hub", monkeypatch)
    spec = ModelSpec(name="a", id="some/model", revision="v3", variant="fp16")
    with pytest.raises(ModelError) as caught:
        models.inspect(spec)
    message = str(caught.value)
    assert "model=a: some/model is not here and not in the hub's cache" in message
    assert "hf download some/model --revision v3" in message
    assert '--include "*/*.fp16.safetensors"' in message
    assert "HF_ENDPOINT=" in message


def test_the_command_that_fetches_can_be_typed_as_it_is_printed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.use(tmp_path / "hub", monkeypatch)
    own = tmp_path / "my env"
    own.mkdir()
    (elsewhere := tmp_path / "elsewhere").mkdir()
    for name in ("python", "hf"):
        (own / name).touch(mode=0o755)
    monkeypatch.setattr(sys, "executable", str(own / "python"))
    spec = ModelSpec(name="a", id="some/model")
    for path, folder, program in (
        (own, elsewhere, "hf"),
        (elsewhere, tmp_path, "'my env/hf'"),
        (elsewhere, elsewhere, f"'{own}/hf'"),
    ):
        monkeypatch.setenv("PATH", str(path))
        monkeypatch.chdir(folder)
        with pytest.raises(ModelError) as caught:
            models.inspect(spec)
        assert f"download it with: {program} download some/model" in str(caught.value)


@pytest.mark.parametrize("gone", ["model_index.json", "unet/diffusion_pytorch_model.safetensors"])
def test_a_download_that_was_broken_off(
    gone: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.use(tmp_path / "hub", monkeypatch)
    copy = tmp_path / "copy"
    shutil.copytree(tiny_model, copy)
    (copy / gone).unlink()
    hub.add(tmp_path / "hub", "some/model", copy)
    with pytest.raises(ModelError, match=r"lacks .*hf download some/model"):
        models.inspect(ModelSpec(name="a", id="some/model"))


def test_the_hub_is_asked_only_where_that_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    def download(repo: str, **options: object) -> str:
        asked.append(bool(options["local_files_only"]))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    for local_files_only in (True, False):
        places.find(ModelSpec(name="a", id="some/model", local_files_only=local_files_only))
    assert asked == [True, False]
