"""`reference=`: every cell's converged image, and how far the cells are from it."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sdviz.archive.reader import Archive
from sdviz.archive.upkeep.merge import merged_plan
from sdviz.archive.upkeep.verify import verify
from sdviz.archive.writing.writer import ArchiveWriter
from sdviz.commands.archive.command import main
from sdviz.commands.sweep.conduct import conduct
from sdviz.commands.sweep.dry_run import describe as estimate
from sdviz.errors import ConfigErrors
from sdviz.events import CellStarted, SweepFinished, SweepStarted
from sdviz.pictures.measures import normalized_rms
from sdviz.plan.config import conf_dir
from sdviz.plan.reference import SAMPLER, converged, converges, referenced
from sdviz.plan.settings import Recipe
from sdviz.request.request import Request, read_request
from sdviz.web import describe
from tests import families
from tests.archive import sweeps

Reading = Callable[..., Request]


@pytest.fixture
def reading(tiny_model: Path, tmp_path: Path) -> Reading:
    def read(**given: Any) -> Request:
        values = {"models": [str(tiny_model)], "outputs": str(tmp_path), "prompt": "a"}
        values |= {"device": "cpu", "visdom": {"enabled": False}, "preview": {"decoder": "rgb"}}
        seeds = itertools.count(1001)
        return read_request(
            values | given,
            recorded=lambda outputs, name: ("", []),
            draw=lambda: next(seeds),
            model_folders=[conf_dir() / "model"],
        )

    return read


def test_one_reference_for_all_that_share_it(reading: Reading) -> None:
    plan = reading(sampler="euler,ddim", steps="2,4", seed="1,2", eta=0.5, reference=6).plan
    assert len(plan.cells) == 8 and len(plan.references) == 2
    assert [cell.index for cell in plan.references] == [8, 9]
    for cell in plan.cells:
        (reference,) = (one for one in plan.references if one.index == plan.referred[cell.index])
        assert reference.recipe == replace(cell.recipe, sampler=SAMPLER, steps=6, eta=None)
    assert len(reading(cfg="1,7", reference=6).plan.references) == 2, "CFG changes what is reached"


def test_a_cell_of_the_grid_can_be_the_reference(reading: Reading) -> None:
    plan = reading(sampler=f"euler,{SAMPLER}", steps=6, reference=6).plan
    assert not plan.references and plan.referred == (1, 1)


def test_without_it_the_archives_name_stays_what_it_was(reading: Reading) -> None:
    plain, auto = reading(cfg="1,7"), reading(cfg="1,7", reference="auto")
    assert auto.config.reference >= 100 and not plain.plan.references
    assert plain.config.name != auto.config.name
    with pytest.raises(ConfigErrors, match="reference='many'"):
        reading(reference="many")


def test_other_pipelines_choose_their_samplers_themselves(reading: Reading, tmp_path: Path) -> None:
    flow = families.sd3(tmp_path / "sd3")
    with pytest.raises(ConfigErrors, match="reference: the pipeline of"):
        reading(models=[str(flow)], reference=6)


def test_a_dry_run_counts_it(reading: Reading) -> None:
    told = estimate(reading(sampler="euler,ddim", steps=2, cfg=1, reference=6))
    assert "cells: 2 and 1 converged reference\n" in told
    assert f"denoiser evaluations: {2 + 2 + 11}\n" in told  # Heun: twice a step, but for the last


def test_samplers_that_draw_noise_converge_to_no_one_image() -> None:
    assert converges(Recipe(sampler="DPM++ 2M Karras")) and converges(Recipe(sampler="DDIM"))
    assert not converges(Recipe(sampler="Euler a")) and not converges(Recipe(sampler="DDPM"))
    assert not converges(Recipe(sampler="DDIM", eta=0.5))
    assert converges(Recipe(sampler="Euler a", eta=0.0))
    assert converges(converged(Recipe(sampler="Euler a", eta=1.0), 100))


def test_a_sweep_measures_its_cells_and_goes_on(reading: Reading, tmp_path: Path) -> None:
    asked = {"sampler": f"euler,euler_a,{SAMPLER}", "steps": "2,6", "reference": 8}
    assert conduct(reading(**asked, name="first")) == 0
    archive = Archive(tmp_path / "first")
    assert [cell.status for cell in archive.cells] == ["done"] * 6
    (reference,) = archive.everything[6:]
    assert (reference.recipe["sampler"], reference.recipe["steps"]) == (SAMPLER, 8)
    assert archive.steps(6) == [8], "a reference needs no frames on its way"
    assert not list(verify(archive.path))

    converged_to = np.asarray(archive.image(6))
    for i in range(6):
        frames = describe.cell(archive, i)["frames"]
        final = np.asarray(archive.image(i))
        assert frames[-1]["reference"] == pytest.approx(
            normalized_rms(final, converged_to), abs=1e-5
        )
        assert all(0 < frame["reference"] < 1 for frame in frames)
    told = describe.description(archive)
    assert len(told["cells"]) == 6 and all(cell["ref"] for cell in told["cells"])
    assert [cell.get("noisy", False) for cell in told["cells"]] == [False] * 2 + [True] * 2 + [
        False
    ] * 2
    assert told["progress"]["total"] == told["progress"]["done"] == 6

    again = ArchiveWriter.open(
        tmp_path, "first", reading(**asked, name="first").plan, {}, reuse=True
    )
    again.close()
    assert not again.todo
    other = reading(sampler="ddim", steps=2, reference=8, name="other")
    writer = ArchiveWriter.open(tmp_path, "other", other.plan, {}, reuse=True)
    writer.close()
    assert [cell.index for cell in writer.todo] == [0], "the reference is found by its key"


@pytest.fixture
def plan() -> Any:
    return referenced(sweeps.make_plan({"sampler": ["Euler", "DDIM"], "seed": [1, 2]}), 5)


def test_a_killed_sweep_keeps_its_references_and_asks_for_the_rest(
    plan: Any, tmp_path: Path
) -> None:
    writer = ArchiveWriter.open(tmp_path, "killed", plan, {}, reuse=True)
    writer.handle(SweepStarted("killed", plan, {}))
    for cell in (plan.cells[0], plan.references[0]):
        for event in sweeps.cell_events(cell):
            writer.handle(event)
    writer.handle(CellStarted(plan.references[1].index))
    writer.handle(SweepFinished("interrupted", 1.0))
    writer.close()
    assert Archive(tmp_path / "killed").counts() == {"done": 1, "waiting": 3}
    again = ArchiveWriter.open(tmp_path, "killed", plan, {}, reuse=True)
    again.close()
    assert [cell.index for cell in again.todo] == [1, 2, 3, 5]
    assert main(["gc", str(tmp_path), "--yes"]) == 0
    assert Archive(tmp_path / "killed").image_path(4).is_file()


def test_cells_are_told_again_when_their_reference_is_there(plan: Any, tmp_path: Path) -> None:
    writer = ArchiveWriter.open(tmp_path, "late", plan, {}, reuse=True)
    for cell in plan.cells:
        for event in sweeps.cell_events(cell):
            writer.handle(event)
    writer.close()
    archive = Archive(tmp_path / "late")
    before = describe.description(archive)
    assert not any("ref" in cell for cell in before["cells"])
    writer = ArchiveWriter.open(tmp_path, "late", plan, {}, reuse=True)
    begun = describe.current_seq(archive)
    for event in sweeps.cell_events(plan.references[1]):
        writer.handle(event)
    writer.close()
    changes = describe.changes(archive, begun)
    assert [(cell["i"], cell["ref"]) for cell in changes["cells"]] == [(1, True), (3, True)]


def test_a_merged_archive_keeps_them(plan: Any, tmp_path: Path) -> None:
    sweeps.write(tmp_path, "one", plan)
    for cell in plan.references:
        assert Archive(tmp_path / "one").cell(cell.index).status == "done"
    sweeps.write(tmp_path, "two", sweeps.make_plan({"sampler": ["LMS"], "seed": [1]}))
    merged = merged_plan([Archive(tmp_path / "one"), Archive(tmp_path / "two")])
    assert len(merged.cells) == 5 and len(merged.references) == 2
    at = {cell.recipe.sampler + str(cell.recipe.seed): cell.index for cell in merged.cells}
    assert merged.referred[at["LMS1"]] == -1
    assert merged.referred[at["Euler1"]] == merged.referred[at["DDIM1"]] >= 5
    folders = [str(tmp_path / name) for name in ("all", "one", "two")]
    assert main(["merge", *folders]) == 0
    assert not list(verify(tmp_path / "all"))
    assert len(describe.description(Archive(tmp_path / "all"))["cells"]) == 5
