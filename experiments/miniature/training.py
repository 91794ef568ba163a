"""One training loop for all stages: a budget, a schedule over it, checkpoints to resume from."""

import copy
import logging
import math
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from experiments.miniature import workers
from experiments.miniature.live import Live

log = logging.getLogger(__name__)


@dataclass
class Budget:
    """How long a stage trains, and how: minutes of training, or steps if minutes is 0."""

    minutes: float
    steps: int
    batch: int  # of each process
    rate: float  # peak learning rate of AdamW
    warmup: int = 200  # steps
    decay: float = 0.01  # weight decay
    ema: float = 0.0  # 0: none
    hold: float = 0.0  # the share of the budget at the peak rate, before it falls
    peek: bool = False  # train nothing: the checkpoint as it is
    save_seconds: float = 180.0
    show_seconds: float = 120.0


@dataclass
class Stage:
    """A stage's model and what it has been through; all of it is in the checkpoint."""

    name: str
    model: nn.Module
    budget: Budget
    step: int = 0
    seconds: float = 0.0
    losses: list[tuple[int, float]] = field(default_factory=list)
    average: nn.Module | None = None
    processes: int = field(default_factory=workers.count)

    def __post_init__(self) -> None:
        workers.agree(self.model.parameters())
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(),
            lr=self.budget.rate,
            betas=(0.9, 0.99),
            weight_decay=self.budget.decay,
            fused=True,
        )
        if self.budget.ema:
            self.average = copy.deepcopy(self.model).requires_grad_(False)

    @property
    def progress(self) -> float:
        """The share of the budget that is spent, 0..1."""
        b = self.budget
        return min(1.0, self.seconds / (b.minutes * 60) if b.minutes else self.step / b.steps)

    @property
    def best(self) -> nn.Module:
        """The moving average of the weights if there is one, else the weights."""
        return self.average if self.average is not None else self.model

    def rate(self) -> float:
        """Linear warm-up, the peak for `hold` of the budget, half a cosine to 0 at its end.

        While it is held, the budget can be changed and nothing that was learned is lost.
        """
        b = self.budget
        warm = min(1.0, (self.step + 1) / b.warmup)
        fallen = max(0.0, self.progress - b.hold) / (1 - b.hold)
        return b.rate * warm * (0.5 + 0.5 * math.cos(math.pi * fallen))

    def update(self, loss: torch.Tensor) -> None:
        """One optimizer step, and the moving average after it."""
        loss.backward()
        self.seconds = workers.average(self.model.parameters(), self.seconds)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.step += 1
        if self.average is not None:
            keep = min(self.budget.ema, (1 + self.step) / (10 + self.step))
            with torch.no_grad():
                torch._foreach_lerp_(
                    list(self.average.parameters()), list(self.model.parameters()), 1 - keep
                )

    def save(self, path: Path) -> None:
        """Writes the checkpoint aside and renames it."""
        if workers.rank():
            return
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "average": self.average.state_dict() if self.average is not None else None,
            "step": self.step,
            "seconds": self.seconds,
            "losses": self.losses,
            "processes": self.processes,
            "random": (torch.get_rng_state(), random.getstate(), np.random.get_state()),
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_name(f"{path.name}.part")
        with aside.open("wb") as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())  # the machine may stop too
        aside.replace(path)

    def record(self) -> dict[str, object]:
        """What the training record keeps of it."""
        thinned = self.losses[:: max(1, len(self.losses) // 40)]
        return {
            "steps": self.step,
            "batch": self.budget.batch,
            "processes": self.processes,
            "minutes": round(self.seconds / 60, 1),
            "loss": [[step, round(loss, 5)] for step, loss in thinned],
        }

    def load(self, path: Path) -> None:
        """Takes up the checkpoint, if there is one."""
        if not path.exists():
            return
        state = torch.load(path, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.average is not None and state["average"] is not None:
            self.average.load_state_dict(state["average"])
        self.step, self.seconds, self.losses = state["step"], state["seconds"], state["losses"]
        if self.progress >= 1:
            self.processes = state.get("processes", 1)
        torch_state, python_state, numpy_state = state["random"]
        if workers.rank():  # the checkpoint has process 0's: go on with numbers of one's own
            workers.seed(self.step)
        else:
            torch.set_rng_state(torch_state)
            random.setstate(python_state)
            np.random.set_state(numpy_state)
        log.info("%s: goes on at step %d, %.1f minutes", self.name, self.step, self.seconds / 60)


def fit(
    stage: Stage,
    loss_of: Callable[[], torch.Tensor],
    work: Path,
    live: Live,
    show: Callable[[], None] | None = None,
) -> None:
    """Trains a stage to the end of its budget; killed, it goes on from its last checkpoint.

    On SIGTERM it saves before it ends.
    """
    path = work / f"{stage.name}.pt"
    stage.load(path)
    if stage.budget.peek:
        return
    stopping = workers.stopping()
    stage.model.train()
    saved = shown = clock = time.monotonic()
    recent: list[float] = []
    while stage.progress < 1:
        loss = loss_of()
        now = time.monotonic()
        stage.seconds, clock = stage.seconds + now - clock, now
        stage.update(loss)
        recent.append(float(loss.detach()))
        if len(recent) == 50:
            mean = sum(recent) / len(recent)
            stage.losses.append((stage.step, mean))
            recent.clear()
            if not workers.rank():
                live.loss(stage.name, stage.step, mean)
                minutes = stage.seconds / 60
                log.info("%s %d %.1f min loss %.5f", stage.name, stage.step, minutes, mean)
        if now - saved > stage.budget.save_seconds or stopping.is_set():
            stage.save(path)
            saved = time.monotonic()
        if stopping.is_set():
            raise SystemExit(143)
        if show and not workers.rank() and now - shown > stage.budget.show_seconds:
            show()
            shown = time.monotonic()
    stage.save(path)
    if show and not workers.rank():
        show()
