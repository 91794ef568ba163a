"""The loop: a killed training goes on as if it had never stopped."""

import signal
from pathlib import Path

import pytest
import torch
from torch import nn

from experiments.miniature import unet, workers
from experiments.miniature.data import read_json, write_json
from experiments.miniature.live import Live, sheet
from experiments.miniature.training import Budget, Stage, fit


class Killed(Exception):
    """Stands for a kill between two steps."""


def train(work: Path, stop: int | None = None, *, peek: bool = False) -> Stage:
    """Forty steps of a small regression, killed before step `stop`."""
    torch.manual_seed(0)
    budget = Budget(minutes=0, steps=40, batch=4, rate=0.01, warmup=5, ema=0.9, save_seconds=-1)
    budget.peek = peek
    stage = Stage("toy", nn.Linear(3, 1), budget)

    def loss_of() -> torch.Tensor:
        if stage.step == stop:
            raise Killed
        x = torch.randn(4, 3)
        return (stage.model(x) - x.sum(1, keepdim=True)).square().mean()

    fit(stage, loss_of, work, Live("localhost", 1, "none"))
    return stage


def test_a_killed_training_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole")
    with pytest.raises(Killed):
        train(tmp_path / "cut", stop=17)
    resumed = train(tmp_path / "cut")
    assert resumed.step == whole.step == 40
    for a, b in zip(whole.best.parameters(), resumed.best.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not list(tmp_path.rglob("*.part"))


def test_a_peek_takes_the_checkpoint_and_leaves_it(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(tmp_path, stop=17)
    written = (tmp_path / "toy.pt").read_bytes()
    assert train(tmp_path, peek=True).step == 17
    assert (tmp_path / "toy.pt").read_bytes() == written


def test_the_rate_warms_up_and_ends_at_zero(tmp_path: Path) -> None:
    stage = Stage("toy", nn.Linear(1, 1), Budget(minutes=0, steps=100, batch=1, rate=1, warmup=10))
    rates = []
    for stage.step in range(101):
        rates.append(stage.rate())
    assert rates[0] < 0.11 and max(rates) > 0.95 and rates[-1] < 1e-6


def test_a_held_rate_falls_at_the_end_only() -> None:
    budget = Budget(minutes=0, steps=100, batch=1, rate=1, warmup=10, hold=0.8)
    stage = Stage("toy", nn.Linear(1, 1), budget)
    rates = []
    for stage.step in range(101):
        rates.append(stage.rate())
    assert rates[10:81] == [1] * 71
    assert 0.4 < rates[90] < 0.6 and rates[100] < 1e-6


def test_a_terminated_training_saves_its_last_step(tmp_path: Path) -> None:
    torch.manual_seed(0)
    budget = Budget(minutes=0, steps=40, batch=4, rate=0.01)
    stage = Stage("toy", nn.Linear(3, 1), budget)

    def loss_of() -> torch.Tensor:
        if stage.step == 7:
            signal.raise_signal(signal.SIGTERM)
        return stage.model(torch.ones(1, 3)).square().mean()

    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit):
            fit(stage, loss_of, tmp_path, Live("localhost", 1, "none"))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert torch.load(tmp_path / "toy.pt", weights_only=False)["step"] == 8


def test_a_folder_is_trained_in_once_at_a_time(tmp_path: Path) -> None:
    with (
        workers.alone(tmp_path, "toy"),
        pytest.raises(SystemExit, match="another folder"),
        workers.alone(tmp_path, "toy"),
    ):
        raise AssertionError("two at once")
    with workers.alone(tmp_path, "toy"):
        pass


@pytest.mark.parametrize("draw", [0.0, 1 - 2**-24])
def test_training_timesteps_stay_within_the_schedule(draw: float, monkeypatch) -> None:  # type: ignore
    monkeypatch.setattr(torch, "rand", lambda count, generator: torch.full((count,), draw))
    steps = unet.training_timesteps(24, torch.Generator())
    assert steps.min() >= 0 and steps.max() <= 999


def test_half_of_the_training_has_much_noise() -> None:
    generator = torch.Generator().manual_seed(0)
    steps = torch.cat([unet.training_timesteps(24, generator) for _ in range(100)])
    assert 0.5 < (steps >= 500).float().mean() < 0.7
    assert (steps < 100).any() and (steps > 990).any()


def test_json_is_written_whole(tmp_path: Path) -> None:
    write_json(tmp_path / "a" / "x.json", {"塔": 1})
    assert read_json(tmp_path / "a" / "x.json", None) == {"塔": 1}
    assert read_json(tmp_path / "none.json", 3) == 3


def test_a_sheet_fills_row_by_row() -> None:
    import numpy as np

    pictures = np.arange(3, dtype=np.uint8)[:, None, None, None] * np.ones((1, 2, 2, 3), np.uint8)
    page = sheet(pictures, 2)
    assert page.shape == (4, 4, 3)
    assert page[0, 0, 0] == 0 and page[0, 2, 0] == 1 and page[2, 0, 0] == 2 and page[3, 3, 0] == 255
