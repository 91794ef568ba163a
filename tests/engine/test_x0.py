"""x0 after every step of every sampler, against a denoiser that knows the answer."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
import torch

from sdviz.events import CellFailed, CellFinished
from sdviz.models.denoiser import Conditioning, Text
from sdviz.plan import samplers
from sdviz.plan.config import PreviewConfig
from tests.engine import sweeping
from tests.oracle import Oracle


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_every_frame_shows_the_predicted_clean_latent(
    prediction: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle = Oracle(prediction)
    sweeping.use(monkeypatch, lambda dtype: oracle)
    cells = sweeping.cells_of(
        *[
            {"sampler": name, "steps": 4, "cfg": (1.0, 5.0)[i % 2]}
            for i, name in enumerate(samplers.names())
        ]
    )
    events = sweeping.sweep(cells)
    assert not sweeping.of_type(events, CellFailed)
    answer = oracle.answer
    for cell in cells:
        frames = sweeping.frames(events, cell.index)
        assert [frame.step for frame in frames] == [1, 2, 3, 4]
        for frame in frames[:-1]:
            assert frame.stats is not None
            # Some schedulers round a timestep and not its sigma: the answer is off by as much.
            name = f"{cell.recipe.sampler}, step {frame.step}"
            assert frame.stats.mean == pytest.approx(float(answer.mean()), abs=1e-2), name
            assert frame.stats.std == pytest.approx(float(answer.std()), abs=1e-2), name
            assert frame.stats.max == pytest.approx(float(answer.max()), abs=1e-1), name
        sigmas = [frame.sigma for frame in frames]
        assert all(later < sooner for sooner, later in pairwise(sigmas)), (cell, sigmas)
        assert sigmas[-1] == 0


class Divided(Oracle):
    """The prompt's answer lies 1 above, the negative prompt's 1 below."""

    def encode(self, texts: Sequence[Text]) -> list[Conditioning]:
        return [{"side": torch.tensor(1.0 if text.prompt == "a cat" else -1.0)} for text in texts]

    def predict(
        self, x: torch.Tensor, timesteps: torch.Tensor, rows: Sequence[Conditioning]
    ) -> torch.Tensor:
        between = self.answer
        predictions = []
        for i, row in enumerate(rows):
            self.answer = between + row["side"]
            predictions.append(super().predict(x[i : i + 1], timesteps[i : i + 1], [row]))
        self.answer = between
        return torch.cat(predictions)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
@pytest.mark.parametrize(("of", "beside"), [("x0", 5), ("prompt", 1), ("negative", -1)])
def test_prompt_and_negative_can_be_shown_alone(
    prediction: str, of: str, beside: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    oracle = Divided(prediction)
    sweeping.use(monkeypatch, lambda dtype: oracle)
    cells = sweeping.cells_of({"cfg": 3}, {"cfg": 1})
    events = sweeping.sweep(cells, preview=PreviewConfig(decoder="none", of=of))
    middle = float(oracle.answer.mean())
    for cell, expected in zip(cells, (beside, 1), strict=True):  # at CFG 1 there is the prompt only
        first = sweeping.frames(events, cell.index)[0]
        assert first.stats is not None
        assert first.stats.mean == pytest.approx(middle + expected, abs=1e-2)
    finals = [event.pixels for event in sweeping.of_type(events, CellFinished)]
    plain = sweeping.sweep(cells, preview=PreviewConfig(decoder="none"))
    for final, same in zip(finals, sweeping.of_type(plain, CellFinished), strict=True):
        assert (final == same.pixels).all()


def test_the_noisy_latent_itself_can_be_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    sweeping.use(monkeypatch, lambda dtype: Oracle())
    cells = sweeping.cells_of({"sampler": "Euler", "steps": 4}, {"sampler": "DDIM", "steps": 4})
    events = sweeping.sweep(cells, preview=PreviewConfig(decoder="none", of="xt"))
    for cell in cells:
        first = sweeping.frames(events, cell.index)[0]
        assert first.stats is not None
        assert first.stats.std == pytest.approx(1.0, abs=0.1)  # as the model sees it: nearly noise
    assert len(sweeping.of_type(events, CellFinished)) == 2
