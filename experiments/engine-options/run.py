"""What do the engine's options bring? See README.md beside this file.

python experiments/engine-options/run.py
python experiments/engine-options/run.py model=true-size dtype=bfloat16 width=256 height=256 seed=1
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sdviz import engine
from sdviz.commands.live.keeper import Keeper
from sdviz.events import CellFailed, CellFinished, Event
from sdviz.plan.config import EngineConfig, PreviewConfig
from sdviz.request.compose import prepare
from sdviz.request.request import Request

SWEEP = [
    "prompt='a red pyramid in the desert at sunset with a sun'",
    "seed=1,2,3,4",
    "steps=10",
    "sampler=euler",
    "name=engine-options",
    "visdom.enabled=false",
]
OPTIONS = ("none", "attention_slicing", "vae_tiling", "channels_last", "compile")
_CHILD = "SDVIZ_ENGINE_OPTION"  # in the environment of the process that measures one option


def main() -> None:
    words = list({word.partition("=")[0]: word for word in [*SWEEP, *sys.argv[1:]]}.values())
    words = [with_model(word) for word in words]
    option = os.environ.get(_CHILD)
    own = {word.partition("=")[0]: word.partition("=")[2] for word in words if _is_own(word)}
    request = prepare([word for word in words if not _is_own(word)])
    if option:
        measure(request, option, times=int(own.get("times", 2)))
        return
    folder = Path(request.config.outputs) / request.config.name
    folder.mkdir(parents=True, exist_ok=True)
    told = {}
    for option in own.get("options", ",".join(OPTIONS)).split(","):
        told[option] = in_a_process(option, words, folder)
        print(line(option, told[option], told["none"]), flush=True)
    about = {"device": request.config.device, "dtype": request.config.dtype, "words": words}
    path = folder / f"options-{request.config.dtype}.json"
    path.write_text(json.dumps({**about, "options": told}, indent=1) + "\n")
    print(f"table: {path}")


def _is_own(word: str) -> bool:
    """`options=none,compile` says which are measured, `times=` how often after the first time."""
    return word.startswith(("options=", "times="))


def with_model(word: str) -> str:
    """`model=true-size` made a folder, once."""
    if word != "model=true-size":
        return word
    folder = Path("outputs") / "true-size"
    if not folder.exists():
        maker = importlib.import_module("experiments.engine-options.true_size")
        maker.true_size(folder, torch.bfloat16)
    return f"model={folder.resolve()}"


def in_a_process(option: str, words: list[str], folder: Path) -> dict[str, float]:
    """What one option takes, measured in a process of its own, so that peaks do not mix."""
    done = subprocess.run(
        [sys.executable, __file__, *words],
        env={**os.environ, _CHILD: option},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    told: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    here, plain = (np.load(pixels_file(folder, one)) for one in (option, "none"))
    told["pixels"] = int(np.abs(here.astype(int) - plain).max())
    return told


def measure(request: Request, option: str, *, times: int) -> None:
    """Runs the sweep and prints its figures: the first time pays for warm-up and compiling."""
    chosen: dict[str, Any] = {} if option == "none" else {option: True}
    config = replace(
        request.config,
        engine=EngineConfig(batch=request.config.engine.batch or 8, **chosen),
        preview=PreviewConfig(decoder="none"),
    )
    keeper = Keeper()
    spent = []
    for _ in range(1 + times):
        events: list[Event] = []
        began = time.perf_counter(), time.process_time()
        engine.run(
            request.plan.cells,
            plan=request.plan,
            config=config,
            emit=events.append,
            load=keeper.load,
        )
        spent.append((time.perf_counter() - began[0], time.process_time() - began[1]))
        assert not [event for event in events if isinstance(event, CellFailed)]
    done = {event.cell: event.pixels for event in events if isinstance(event, CellFinished)}
    folder = Path(config.outputs) / config.name
    np.save(pixels_file(folder, option), np.stack([done[i] for i in sorted(done)]))
    # A processor's own seconds tell nearly the same on a machine that is shared; of the times
    # after the first the quickest: what was slower had the machine to share.
    counts = 1 if config.device == "cpu" else 0
    again = min(spent[1:], key=lambda seconds: seconds[counts])
    told = {
        "first": spent[0][counts],
        "first_clock": spent[0][0],
        "again": again[counts],
        "again_clock": again[0],
        "gigabytes": peak(config.device),
    }
    print(json.dumps(told))


def pixels_file(folder: Path, option: str) -> Path:
    return folder / f"{option}.npy"


def peak(device: str) -> float:
    """The most memory that was held: of the GPU, or of this process."""
    if device.startswith("cuda"):
        return torch.cuda.max_memory_allocated(device) / 1e9
    import resource

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e9


def line(option: str, told: dict[str, float], plain: dict[str, float]) -> str:
    return (
        f"{option:18} first {told['first']:7.1f} s (by the clock {told['first_clock']:.1f})   "
        f"again {told['again']:7.1f} s (by the clock {told['again_clock']:.1f}; "
        f"{told['again'] / plain['again']:.2f})   {told['gigabytes']:5.2f} GB "
        f"({told['gigabytes'] / plain['gigabytes']:.2f})   pixels {told['pixels']}"
    )


if __name__ == "__main__":
    main()
