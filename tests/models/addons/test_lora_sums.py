"""Several LoRAs at once, against diffusers' own pipeline; in the key, the text and the archive."""

from __future__ import annotations

import warnings
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from sdviz.archive.reader import Archive
from sdviz.commands.sweep.conduct import conduct
from sdviz.errors import ConfigErrors
from tests import tiny
from tests.engine.sweeping import by_pipeline, cells_of, pictures, sweep
from tests.models import loras
from tests.parity.test_families import most_different
from tests.reading import reader


def second(folder: Path, file: Path) -> Path:
    """Another LoRA for the same model, of another rank."""
    generator, tensors = torch.Generator().manual_seed(11), {}
    for name, (down, up) in loras.pairs(folder).items():
        one = torch.randn(2, down.shape[1], generator=generator) * 0.3
        other = torch.randn(up.shape[0], 2, generator=generator) * 0.3
        tensors |= {f"unet.{name}.lora_A.weight": one, f"unet.{name}.lora_B.weight": other}
    save_file(tensors, file)
    return file


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.stable_diffusion(tmp_path_factory.mktemp("sums") / "sd1")


def test_two_equal_diffusers_pipeline_with_both(folder: Path, tmp_path: Path) -> None:
    a = loras.kohya(loras.pairs(folder), tmp_path)
    b = second(folder, tmp_path / "b.safetensors")
    both = f"{a}+{b}"
    cells = cells_of({}, {"lora": both, "lora_scale": "1+0.5"}, {"lora": both, "lora_scale": 0.7},
                     {"lora": str(a)}, {"lora": both, "lora_scale": "0+0.5"},
                     {"lora": str(b), "lora_scale": 0.5})  # fmt: skip
    made = pictures(sweep(cells, folder=folder))
    assert made[4].tobytes() == made[5].tobytes()
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(folder, safety_checker=None)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = diffusers.EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of peft, about several adapters
        pipeline.load_lora_weights(str(a), adapter_name="a")
        pipeline.load_lora_weights(str(b), adapter_name="b")
    for number, scales in ((1, [1.0, 0.5]), (2, [0.7, 0.7]), (3, [1.0, 0.0])):
        pipeline.set_adapters(["a", "b"], scales)
        expected = np.asarray(by_pipeline(pipeline, cells[number].recipe))
        assert most_different({number: made[number]}, {number: expected}) <= 1, number
    assert most_different({0: made[1]}, {0: made[2]}) > 8


def test_both_are_in_the_key_and_in_the_pictures_text(folder: Path, tmp_path: Path) -> None:
    a = loras.kohya(loras.pairs(folder), tmp_path)
    b = second(folder, tmp_path / "b.safetensors")
    reading = reader(folder, tmp_path)
    asked = {"steps": 2, "sampler": "euler", "visdom": {"enabled": False}, "reference": 0}
    request = reading(lora=f"{a}+{b}", lora_scale="1+0.5", **asked)
    (cell,) = request.plan.cells
    (tmp_path / "moved").mkdir()
    moved = b.rename(tmp_path / "moved" / "b.safetensors")
    (other,) = reading(lora=f"{a}+{moved}", lora_scale="1+0.5", **asked).plan.cells
    assert other.key == cell.key  # of what they hold
    for changed in ({"lora": f"{a}"}, {"lora": f"{a}+{moved}", "lora_scale": "1+0.6"}):
        assert reading(**asked, **changed).plan.cells[0].key != cell.key
    moved.rename(b)
    assert conduct(request) == 0
    with Archive(tmp_path / "outputs" / request.config.name) as archive:
        file = archive.path / str(archive.cells[0].image)
    with Image.open(file) as picture:
        text = str(picture.info["parameters"])
    assert "<lora:kohya:1> <lora:b:0.5>" in text
    first, last = (request.plan.contents[f"{a}+{b}"].split("+")[i][:12] for i in (0, 1))
    assert f'Lora hashes: "kohya: {first}, b: {last}"' in text


def test_epochs_are_an_axis(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    names = ["cat-000001.safetensors", "cat-000002.safetensors", "cat.safetensors"]
    for name in names:
        second(folder, out / name)
    plan = reader(folder, tmp_path)(lora=f"none,{out}/*.safetensors", reference=0).plan
    (axis,) = plan.axes
    assert [value for (value,) in axis.values] == ["", *(str(out / name) for name in names)]


def test_scales_that_do_not_go_with_the_loras_are_refused(folder: Path, tmp_path: Path) -> None:
    a = loras.kohya(loras.pairs(folder), tmp_path)
    with pytest.raises(ConfigErrors, match="2 scales for the 1 of lora="):
        reader(folder, tmp_path)(lora=str(a), lora_scale="1+0.5", reference=0)
