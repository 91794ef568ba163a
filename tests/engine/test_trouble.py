"""Memory that runs out, numbers that overflow, schedulers that fail: the sweep goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from sdviz.engine import preview
from sdviz.errors import ModelError
from sdviz.events import CellFailed, CellFinished, Note, Progress
from sdviz.plan.config import PreviewConfig
from tests.engine import sweeping
from tests.engine.sweeping import cells_of, frames, images, of_type, sweep
from tests.oracle import Oracle


def test_out_of_memory_halves_the_batch_and_changes_no_image(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def at_most_three(rows: int) -> None:
        if rows > 3:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    cells = cells_of(*[{"seed": i} for i in range(5)])
    sweeping.use(monkeypatch, lambda dtype: Oracle())
    plenty = images(sweep(cells))
    sweeping.use(monkeypatch, lambda dtype: Oracle(before=at_most_three))
    events = sweep(cells)
    notes = [note for note in of_type(events, Note) if note.kind == "memory"]
    assert [note.data["rows"] for note in notes] == [8, 4, 2]
    scarce = images(events)
    assert all((scarce[i] == plenty[i]).all() for i in range(5))


def test_too_little_memory_for_one_row_fails_the_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(rows: int) -> None:
        raise RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes")

    sweeping.use(monkeypatch, lambda dtype: Oracle(before=never))
    failed = of_type(sweep(cells_of({}, {"seed": 2}), batch=2), CellFailed)
    assert sorted(event.cell for event in failed) == [0, 1]
    assert "memory" in failed[0].reason


class Overflowing(Oracle):
    """NaN for one prompt, in half precision, or always."""

    def __init__(self, dtype: str, *, always: bool = False) -> None:
        super().__init__(dtype=getattr(torch, dtype))
        self.always = always

    def encode(self, texts):  # type: ignore[no-untyped-def]
        return [{"bad": torch.tensor(float(text.prompt == "bad"))} for text in texts]

    def predict(self, x, timesteps, rows):  # type: ignore[no-untyped-def]
        prediction = super().predict(x, timesteps, rows)
        if self.always or self.dtype != torch.float32:
            prediction[[bool(row["bad"]) for row in rows]] = float("nan")
        return prediction


def test_what_overflows_in_half_precision_is_computed_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cells = cells_of({}, {"prompt": "bad"}, {"seed": 2})
    sweeping.use(monkeypatch, Overflowing)
    events = sweep(cells, dtype="float16")
    notes = {event.cell: event.notes for event in of_type(events, CellFinished)}
    assert notes == {0: (), 2: (), 1: ("recomputed in float32: NaN in float16",)}
    last = of_type(events, Progress)[-1]
    assert last.evaluations == last.total


def test_what_overflows_in_float32_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    cells = cells_of({}, {"prompt": "bad"}, {"seed": 2})
    sweeping.use(monkeypatch, lambda dtype: Overflowing(dtype, always=True))
    events = sweep(cells, dtype="float16")
    (failed,) = of_type(events, CellFailed)
    assert failed.cell == 1
    assert "NaN" in failed.reason
    assert sorted(images(events)) == [0, 2]


def test_what_float32_has_no_room_for_fails_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(dtype: str) -> Overflowing:
        if dtype == "float32":
            raise ModelError("model=tested: does not fit into memory")
        return Overflowing(dtype)

    sweeping.use(monkeypatch, load)
    events = sweep(cells_of({}, {"prompt": "bad"}, {"seed": 2}), dtype="float16")
    (failed,) = of_type(events, CellFailed)
    assert failed.cell == 1
    assert "NaN in float16" in failed.reason and "does not fit into memory" in failed.reason
    assert sorted(images(events)) == [0, 2]
    last = of_type(events, Progress)[-1]
    assert last.evaluations == last.total


def test_a_scheduler_that_fails_takes_no_other_cell_along(tiny_model: Path) -> None:
    cells = cells_of({}, {"sampler": "LCM", "steps": 60}, {"seed": 2})
    events = sweep(cells, folder=tiny_model)
    (failed,) = of_type(events, CellFailed)
    assert failed.cell == 1
    assert "50" in failed.reason  # the scheduler's own words
    assert sorted(images(events)) == [0, 2]
    last = of_type(events, Progress)[-1]
    assert last.evaluations == last.total


def test_memory_that_runs_out_in_the_vae_fails_what_it_decodes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    oracle = Oracle()
    monkeypatch.setattr(oracle, "decode", exhausted)
    sweeping.use(monkeypatch, lambda dtype: oracle)
    failed = of_type(sweep(cells_of({}, {"seed": 2, "steps": 5})), CellFailed)
    assert [event.cell for event in failed] == [0, 1]
    assert "memory" in failed[0].reason


def test_memory_that_runs_out_in_previews_costs_the_good_ones(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "_light_vae", lambda denoiser: exhausted)
    config = PreviewConfig(decoder="vae")
    events = sweep(cells_of({}), folder=tiny_model, preview=config)
    assert [note.data for note in of_type(events, Note) if note.kind == "memory"] == [
        {"decoder": "rgb"}
    ]
    assert all(frame.pixels is not None for frame in frames(events, 0))


def test_auto_goes_on_with_a_cheaper_decoder_where_previews_take_too_long(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was chosen when a step cost more, in a smaller batch. The clock is made to say so."""
    seconds = 0.0

    def costing(name: str, a_decoding: float) -> Callable[[torch.Tensor], torch.Tensor]:
        def decode(latents: torch.Tensor) -> torch.Tensor:
            nonlocal seconds
            seconds += a_decoding
            return latents[:, :3].repeat_interleave(8, 2).repeat_interleave(8, 3)

        return decode

    costs = {"vae": 100.0, "tiny": 50.0, "rgb": 0.0}
    monkeypatch.setattr(preview, "_decoder", lambda name, _: costing(name, costs[name]))
    monkeypatch.setattr(preview, "_seconds_a_frame", lambda *_: 0.0)  # the best seems cheap
    monkeypatch.setattr("sdviz.engine.frames.now", lambda device: seconds)
    given = {"folder": tiny_model, "preview": PreviewConfig(decoder="auto")}
    events = sweep(cells_of({"steps": 8}), **given)
    notes = [note for note in of_type(events, Note) if note.kind == "preview"]
    assert [note.data["decoder"] for note in notes] == ["vae", "tiny", "rgb"]
    assert "previews by vae took" in notes[1].text and "continuing with tiny" in notes[1].text
    assert len(frames(events, 0)) == 8
    named = sweep(cells_of({"steps": 8}), **(given | {"preview": PreviewConfig(decoder="vae")}))
    assert [note for note in of_type(named, Note) if note.kind == "preview"] == []


def test_memory_that_runs_out_in_every_preview_costs_the_frames(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "_tiny", lambda denoiser: exhausted)
    monkeypatch.setattr(preview, "linear_rgb", lambda denoiser: exhausted)
    events = sweep(cells_of({}), folder=tiny_model, preview=PreviewConfig(decoder="tiny"))
    assert [note.data for note in of_type(events, Note) if note.kind == "memory"] == [
        {"decoder": "rgb"},
        {"decoder": "none"},
    ]
    assert [frame.pixels for frame in frames(events, 0)] == [None] * 3
    assert list(images(events)) == [0]


def test_a_decoder_that_memory_is_too_small_for_is_not_chosen(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preview, "_light_vae", lambda denoiser: exhausted)
    monkeypatch.setattr(preview, "_tiny", lambda denoiser: exhausted)
    config = PreviewConfig(decoder="auto")
    events = sweep(cells_of({}), folder=tiny_model, preview=config)
    (note,) = [note for note in of_type(events, Note) if note.kind == "preview"]
    assert note.data["decoder"] == "rgb" and list(note.data["seconds"]) == ["rgb"]
    assert all(frame.pixels is not None for frame in frames(events, 0))


def exhausted(latents: torch.Tensor) -> torch.Tensor:
    raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB")
