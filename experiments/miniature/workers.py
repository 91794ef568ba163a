"""Several training processes on one machine, under torchrun; with plain python there is one.

    torchrun --nproc-per-node=2 -m experiments.miniature.run threads=1

Two processes of one thread beat one process of two where other work shares the cores: they wait for
each other once a step instead of once an operation.
"""

import fcntl
import os
import random
import signal
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import numpy as np
import torch
from torch import distributed as dist
from torch import nn


def join() -> None:
    """Joins the other processes, if torchrun started this one."""
    if "RANK" in os.environ and not dist.is_initialized():
        dist.init_process_group("gloo", timeout=timedelta(hours=2))


def rank() -> int:
    """This process's number; 0 is the one that writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def count() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def wait() -> None:
    """Waits for all processes."""
    if dist.is_initialized():
        dist.barrier()


def seed(value: int) -> None:
    """Seeds torch, numpy and random, differently in each process."""
    own = value * 1009 + rank()
    torch.manual_seed(own)
    np.random.seed(own % (1 << 32))
    random.seed(own)


def agree(parameters: Iterable[nn.Parameter]) -> None:
    """Gives every process the weights of process 0."""
    if dist.is_initialized():
        for parameter in parameters:
            dist.broadcast(parameter.data, 0)


def average(parameters: Iterable[nn.Parameter], seconds: float) -> float:
    """Averages gradients over all processes, in place; returns the average of `seconds`."""
    if not dist.is_initialized():
        return seconds
    gradients = [p.grad for p in parameters if p.grad is not None]
    flat = torch.cat([*(g.flatten() for g in gradients), torch.tensor([seconds])])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    at = 0
    for gradient in gradients:
        gradient.copy_(flat[at : at + gradient.numel()].view_as(gradient))
        at += gradient.numel()
    return float(flat[-1])


def stopping() -> threading.Event:
    """An event that is set once this process was sent SIGTERM."""
    event = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: event.set())
    return event


@contextmanager
def alone(work: Path, stages: str) -> Iterator[None]:
    """Keeps a second training of these stages out of the folder; SystemExit if there is a first."""
    if rank():
        yield
        return
    work.mkdir(parents=True, exist_ok=True)
    with (work / f"{stages}.lock").open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            message = f"work={work}: another process trains there; stop it, or name another folder"
            raise SystemExit(message) from None
        yield
