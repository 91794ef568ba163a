"""What changes a model's pixels changes its identity, and with it the keys of its cells."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from sdviz import models
from sdviz.errors import ModelError
from sdviz.models.files import identity
from sdviz.plan.config import ModelSpec
from tests import families, tiny
from tests.models import single

MADE: dict[str, Callable[[Path], Path]] = {
    "sd1": tiny.stable_diffusion,
    "sdxl": families.sdxl,
    "sd3": families.sd3,
}
# Entries of a model_index.json that say who made it, and what no picture depends on.
_IDLE = ("_diffusers_version", "_name_or_path")


def identity_of(folder: Path, **spec: Any) -> str:
    return models.inspect(ModelSpec(name="tested", id=str(folder), **spec)).identity


def edited(file: Path, **changed: Any) -> None:
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, **changed}))


@pytest.fixture(scope="module", params=MADE)
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return MADE[request.param](tmp_path_factory.mktemp("marked") / request.param)


def test_a_byte_of_any_file_changes_the_identity_and_moving_does_not(
    folder: Path, tmp_path: Path
) -> None:
    before = identity_of(folder)
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    assert identity_of(moved) == before
    for file in sorted(path for path in moved.rglob("*") if path.is_file()):
        if file.name == "model_index.json":
            continue  # below
        content = file.read_bytes()
        if file.suffix == ".json":
            file.write_bytes(content + b" ")  # a byte that leaves it readable
        else:
            file.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        assert identity_of(moved) != before, file
        file.write_bytes(content)
        assert identity_of(moved) == before, file


def test_a_template_of_a_tokenizer_counts(folder: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    (moved / "tokenizer" / "chat_template.jinja").write_text("{{ prompt }}")
    assert identity_of(moved) != identity_of(folder)


def test_what_no_picture_depends_on_does_not_count(folder: Path, tmp_path: Path) -> None:
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    edited(moved / "model_index.json", **dict.fromkeys(_IDLE, "another"))
    edited(moved / "model_index.json", requires_safety_checker=True, safety_checker=[None, None])
    assert identity_of(moved) == identity_of(folder)


def test_unmarked_models_keep_the_identity_that_old_archives_have(folder: Path) -> None:
    assert identity_of(folder) == identity.of_folder(folder)


@pytest.mark.parametrize(
    ("made", "changed"),
    [
        ("sdxl", {"force_zeros_for_empty_prompt": False}),
        ("sdxl", {"_class_name": "StableDiffusionPipeline"}),
        ("sdxl", {"_class_name": "StableDiffusionXLPAGPipeline"}),
        ("sd3", {"text_encoder_2": [None, None]}),
        ("sd3", {"tokenizer": ["transformers", "T5Tokenizer"]}),
        ("sd3", {"vae": ["diffusers", "AutoencoderTiny"]}),
        ("sd3", {"_class_name": "StableDiffusion3PAGPipeline"}),
        ("sd3", {"a_new_switch": True}),
    ],
)
def test_every_entry_of_the_index_that_reaches_the_model_counts(
    made: str, changed: dict[str, Any], tmp_path: Path
) -> None:
    folder = MADE[made](tmp_path / made)
    before = identity_of(folder)
    edited(folder / "model_index.json", **changed)
    assert identity_of(folder) != before


def test_every_key_of_a_model_counts(tmp_path: Path) -> None:
    folder = families.sdxl(tmp_path / "sdxl")
    plain = identity_of(folder)
    assert identity_of(folder, prediction="epsilon") == plain  # as its scheduler says
    assert identity_of(folder, prediction="v_prediction") != plain
    assert identity_of(folder, prediction="sample") != plain
    assert identity_of(folder, kind="sdxl") == plain
    assert identity_of(folder, kind="sd1") != plain
    assert identity_of(folder, kind="other") != plain  # takes prompts as typed
    half = folder / "unet" / "diffusion_pytorch_model.fp16.safetensors"
    weights = load_file(folder / "unet" / "diffusion_pytorch_model.safetensors")
    save_file({name: weight * 2 for name, weight in weights.items()}, half)
    assert identity_of(folder) == plain
    assert identity_of(folder, variant="fp16") != plain
    # The rest say where a model is, or count with the files that they name.
    known = {field.name for field in dataclasses.fields(ModelSpec)}
    assert known == {
        "name", "id", "revision", "variant", "kind", "prediction", "trust_pickle",
        "local_files_only", "safety_checker", "config", "base", "defaults",
    }  # fmt: skip


def test_the_configuration_of_a_single_file_counts(tmp_path: Path) -> None:
    folder = families.sdxl(tmp_path / "sdxl")
    file = tmp_path / "xl.safetensors"
    save_file(single.checkpoint(folder, text="both"), file)
    plain = identity_of(file, config=str(folder))
    moved = Path(shutil.copytree(folder, tmp_path / "moved"))
    assert identity_of(file, config=str(moved)) == plain
    assert identity_of(file, config=str(folder), prediction="v_prediction") != plain
    edited(moved / "model_index.json", force_zeros_for_empty_prompt=False)
    assert identity_of(file, config=str(moved)) != plain


def test_flow_matching_has_no_other_prediction(tmp_path: Path) -> None:
    folder = families.sd3(tmp_path / "sd3")
    with pytest.raises(ModelError, match=r"model\.prediction=epsilon: .*flow matching"):
        identity_of(folder, prediction="epsilon")


def test_variants_of_stable_diffusion_are_computed_alike(tiny_model: Path) -> None:
    assert identity_of(tiny_model, kind="sd2") == identity_of(tiny_model)
