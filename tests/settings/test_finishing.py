"""The safety checker: what becomes of a finished picture, by the real parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import diffusers
import numpy as np
import pytest
import torch
from diffusers.pipelines.stable_diffusion.safety_checker import StableDiffusionSafetyChecker
from transformers import CLIPConfig, CLIPImageProcessor

from sdviz.archive.reader import Archive
from sdviz.archive.upkeep.verify import verify
from sdviz.commands.sweep.conduct import conduct
from sdviz.errors import ModelError
from sdviz.events import CellFailed, CellFinished, Event, Frame
from sdviz.models import inspect
from sdviz.models.addons import checks
from sdviz.plan.config import ModelSpec, PreviewConfig
from sdviz.plan.settings import Recipe
from sdviz.request.compose import prepare
from tests.engine import sweeping
from tests.engine.sweeping import in_cells
from tests.settings.making import Pixels, apart, made, recipe

SIDE = 32


VISION = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1,
          "num_attention_heads": 2, "image_size": SIDE, "patch_size": 8}  # fmt: skip


ASKED = ("none", "mark", "blur", "black")


def processor() -> Any:
    return CLIPImageProcessor(size={"shortest_edge": SIDE}, crop_size=SIDE)


def checker(folder: Path, pictures: Sequence[Pixels]) -> Path:
    """A safety checker that flags the first of two pictures: their second concept tells them."""
    torch.manual_seed(6)
    text = {**VISION, "vocab_size": 10}
    model = StableDiffusionSafetyChecker(
        CLIPConfig(vision_config=VISION, text_config=text, projection_dim=12)
    ).eval()
    seen = processor()(list(pictures), return_tensors="pt")["pixel_values"]
    with torch.no_grad():
        vectors = model.visual_projection(model.vision_model(seen).pooler_output)
        first, second = torch.nn.functional.normalize(vectors)
        model.concept_embeds[1] = first - second
        model.concept_embeds_weights.fill_(2)  # more than a cosine can be
        model.special_care_embeds_weights.fill_(2)
        between = torch.nn.functional.cosine_similarity(first - second, (first + second) / 2, dim=0)
        model.concept_embeds_weights[1] = between
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def plain(tiny_model: Path) -> list[Pixels]:
    """Two pictures; the checker flags the first."""
    return made([recipe(seed=seed) for seed in (1, 2)], tiny_model)


@pytest.fixture(scope="module")
def safe(tmp_path_factory: pytest.TempPathFactory, plain: list[Pixels]) -> Path:
    return checker(tmp_path_factory.mktemp("safety") / "safety_checker", plain)


def detail(pixels: Pixels) -> float:
    """How much a pixel differs from its neighbour."""
    return float(np.abs(np.diff(pixels.astype(int), axis=1)).mean())


def sweep(recipes: Sequence[Recipe], spec: ModelSpec) -> list[Event]:
    return sweeping.sweep(in_cells(recipes), spec=spec, preview=PreviewConfig(decoder="rgb"))


@pytest.mark.parametrize("kind", ["auto", "other"])  # batched, and as a whole pipeline
def test_a_flagged_picture_is_marked_blurred_or_blacked_out(
    kind: str, tiny_model: Path, safe: Path, plain: list[Pixels]
) -> None:
    spec = ModelSpec(name="t", id=str(tiny_model), kind=kind, safety_checker=str(safe))
    told = sweep([recipe(seed=seed, safety=how) for how in ASKED for seed in (1, 2)], spec)
    done = {e.cell: e for e in told if isinstance(e, CellFinished)}
    assert len(done) == 8
    notes = [[note for note in done[i].notes if "flagged" in note] for i in range(8)]
    assert [len(own) for own in notes] == [0, 0, 1, 0, 1, 0, 1, 0]
    assert "blacked out" in notes[6][0]
    for i in (0, 1, 2, 3, 5, 7):
        assert apart(done[i].pixels, plain[i % 2]) <= 1
    assert not done[6].pixels.any()
    assert 0 < detail(done[4].pixels) < detail(plain[0]) / 4
    last = {e.cell: e.pixels for e in told if isinstance(e, Frame) and e.step == e.steps}
    assert all(np.array_equal(last[i], done[i].pixels) for i in range(8))  # nothing is left of it


def test_it_flags_what_diffusers_flags(tiny_model: Path, safe: Path) -> None:
    pipeline = diffusers.StableDiffusionPipeline.from_pretrained(
        tiny_model,
        safety_checker=StableDiffusionSafetyChecker.from_pretrained(safe),
        feature_extractor=processor(),
    )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = diffusers.EulerDiscreteScheduler.from_config(pipeline.scheduler.config)
    recipes = [recipe(seed=seed, sampler="Euler", safety="black") for seed in range(8)]
    spec = ModelSpec(name="t", id=str(tiny_model), safety_checker=str(safe))
    ours = {e.cell: e for e in sweep(recipes, spec) if isinstance(e, CellFinished)}
    flagged = []
    for i, one in enumerate(recipes):
        generator = torch.Generator().manual_seed(one.seed)
        result = pipeline(
            one.prompt, guidance_scale=one.cfg, num_inference_steps=one.steps,
            width=64, height=64, generator=generator,
        )  # fmt: skip
        flagged += result.nsfw_content_detected
        assert bool(ours[i].notes) == flagged[-1]
        assert apart(ours[i].pixels, np.asarray(result.images[0])) <= 1
    assert set(flagged) == {True, False}


def test_the_models_own_checker_is_asked_first(
    tiny_model: Path, safe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "empty"))
    own = tmp_path / "model"
    own.symlink_to(tiny_model)
    spec = ModelSpec(name="t", id=str(own))
    with pytest.raises(ModelError, match="hf download CompVis/stable-diffusion-safety-checker"):
        checks.check_safety("mark", spec, inspect(spec))
    with pytest.raises(ModelError, match=r"has no config\.json"):
        checks.find_checker(ModelSpec(name="t", id=str(own), safety_checker=str(tmp_path)))
    (tmp_path / "both").mkdir()
    (tmp_path / "both" / "safety_checker").symlink_to(safe)
    assert checks.find_checker(ModelSpec(name="t", id=str(tmp_path / "both"))) == (
        tmp_path / "both" / "safety_checker"
    )


def test_a_broken_checker_fails_its_cells_alone(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    spec = ModelSpec(name="t", id=str(tiny_model), safety_checker=str(tmp_path))
    told = sweep([recipe(), recipe(safety="mark")], spec)
    (failed,) = [event for event in told if isinstance(event, CellFailed)]
    assert failed.cell == 1 and "model.safety_checker" in failed.reason
    assert [event.cell for event in told if isinstance(event, CellFinished)] == [0]


def test_in_a_sweep_it_is_an_axis_and_archived(
    tiny_model: Path, safe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [
        f"model={tiny_model}", f"model.safety_checker={safe}", "safety=none,mark,black", "seed=1,2",
        "prompt=a cat", "cfg=5", "steps=4", "width=64", "height=64", "device=cpu", "visdom=off",
        f"outputs={tmp_path}", "name=checked",
    ]  # fmt: skip
    request = prepare(words)
    keys = [cell.key for cell in request.plan.cells]
    assert len(set(keys)) == 6
    assert keys[:2] == [
        cell.key for cell in prepare([w for w in words if "safety" not in w]).plan.cells
    ]  # a sweep without it has the keys that it had
    assert conduct(request) == 0
    with Archive(tmp_path / "checked") as archive:
        assert [len(cell.notes) for cell in archive.cells] == [0, 0, 1, 0, 1, 0]
    assert list(verify(tmp_path / "checked")) == []
    assert "nothing to compute" not in capsys.readouterr().out
    assert conduct(prepare(words)) == 0
    assert "nothing to compute" in capsys.readouterr().out


def test_another_checker_makes_other_cells(
    tiny_model: Path, safe: Path, plain: list[Pixels], tmp_path: Path
) -> None:
    other = checker(tmp_path / "other", plain[::-1])

    def key(where: Path) -> str:
        words = [f"model={tiny_model}", f"model.safety_checker={where}", "safety=black", "prompt=a",
                 "device=cpu", "visdom=off", f"outputs={tmp_path / 'out'}"]  # fmt: skip
        return prepare(words).plan.cells[0].key

    assert key(safe) != key(other)
