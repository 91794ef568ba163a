"""What a file of one model says of its training: its pictures are those of the folder that says so,
or it is refused.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from sdviz import models
from sdviz.errors import ModelError
from sdviz.plan.config import ModelSpec
from tests import families, tiny
from tests.engine.sweeping import cells_of, pictures, sweep
from tests.models import single
from tests.parity.test_families import most_different

EMPTY = torch.empty(0)


@pytest.fixture(scope="module")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return families.sdxl(tmp_path_factory.mktemp("marks") / "sdxl")


def saying(folder: Path, place: Path, **scheduler: Any) -> Path:
    """The folder, with a scheduler's configuration that says so."""
    made = Path(shutil.copytree(folder, place))
    file = made / "scheduler" / "scheduler_config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **scheduler}))
    return made


def saved(folder: Path, file: Path, marks: single.Tensors, **metadata: str) -> Path:
    save_file(single.checkpoint(folder, text="both") | marks, file, metadata=metadata)
    return file


MARKS: dict[str, tuple[single.Tensors, dict[str, str], dict[str, Any]]] = {
    "v_pred": ({"v_pred": EMPTY}, {}, {"prediction_type": "v_prediction"}),
    "ztsnr": ({"ztsnr": EMPTY}, {}, {"rescale_betas_zero_snr": True}),
    "v_pred and ztsnr": (
        {"v_pred": EMPTY, "ztsnr": EMPTY}, {},
        {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True},
    ),
    "predict_key": ({}, {"modelspec.predict_key": "v"}, {"prediction_type": "v_prediction"}),
    "prediction_type": (
        {}, {"modelspec.prediction_type": "v"}, {"prediction_type": "v_prediction"},
    ),
    "epsilon": ({}, {"modelspec.predict_key": "epsilon"}, {"prediction_type": "epsilon"}),
}  # fmt: skip


@pytest.mark.parametrize("mark", MARKS)
def test_a_mark_of_the_file_goes_before_model_config(mark: str, sdxl: Path, tmp_path: Path) -> None:
    marks, metadata, scheduler = MARKS[mark]
    file = saved(sdxl, tmp_path / "xl.safetensors", marks, **metadata)
    folder = saying(sdxl, tmp_path / "says", **scheduler)
    # Of noise without a picture in it, which DDIM starts from, epsilon tells nothing.
    second = "Euler a" if mark == "ztsnr" else "DDIM SGM Uniform"
    cells = cells_of({"sampler": "Euler"}, {"sampler": second})
    spec = ModelSpec(name="tested", id=str(file), config=str(sdxl))
    expected = pictures(sweep(cells, folder=folder))
    assert most_different(pictures(sweep(cells, spec=spec)), expected) <= 1
    if mark != "epsilon":
        assert most_different(pictures(sweep(cells, folder=sdxl)), expected) > 8


def test_the_user_goes_before_the_file(sdxl: Path, tmp_path: Path) -> None:
    file = saved(sdxl, tmp_path / "xl.safetensors", {"v_pred": EMPTY})
    spec = ModelSpec(name="tested", id=str(file), config=str(sdxl), prediction="epsilon")
    made = pictures(sweep(cells_of({}), spec=spec))
    assert most_different(made, pictures(sweep(cells_of({}), folder=sdxl))) <= 1


@pytest.mark.parametrize("mark", ["edm_mean", "edm_vpred.sigma_max"])
def test_edm_in_one_file_is_refused(mark: str, sdxl: Path, tmp_path: Path) -> None:
    file = saved(sdxl, tmp_path / "xl.safetensors", {mark: torch.ones(1)})
    spec = ModelSpec(name="tested", id=str(file), config=str(sdxl))
    with pytest.raises(ModelError, match=f"trained with EDM's noise levels .it has {mark}"):
        models.inspect(spec)


def test_an_unknown_prediction_is_refused(sdxl: Path, tmp_path: Path) -> None:
    metadata = {"modelspec.prediction_type": "flow"}
    file = saved(sdxl, tmp_path / "xl.safetensors", {}, **metadata)
    with pytest.raises(ModelError, match=r"it predicts flow.*model\.prediction="):
        models.inspect(ModelSpec(name="tested", id=str(file), config=str(sdxl)))
    spec = ModelSpec(name="tested", id=str(file), config=str(sdxl), prediction="epsilon")
    assert models.inspect(spec).kind == "sdxl"


def test_a_folder_whose_weights_are_not_all_there_is_refused(tmp_path: Path) -> None:
    """The libraries would go on with random numbers."""
    from safetensors.torch import load_file

    for component in ("unet", "vae", "text_encoder"):
        folder = tiny.stable_diffusion(tmp_path / component)
        (file,) = (folder / component).glob("*.safetensors")
        tensors = load_file(file)
        tensors.pop(sorted(tensors)[-1])
        save_file(tensors, file, metadata={"format": "pt"})
        with pytest.raises(ModelError, match=r"lacks .* download the model again"):
            models.load(ModelSpec(name="tested", id=str(folder)))
