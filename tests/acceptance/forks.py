"""A process that has imported what is slow to import, and forks a child for each command.

Run as a program: it reads JSON lines {"program", "argv", "cwd", "log"} and answers each with
{"killed", "status", "seconds"}. With "kill_after" or "full_after" and "filler", a child that still
runs after so many seconds is killed, or meets a disk that the file `filler` has filled.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

PACKAGE = Path(__file__).parents[2] / "sdviz"


def serve() -> None:
    for line in sys.stdin:
        print(json.dumps(attempt(json.loads(line))), flush=True)


def attempt(order: dict[str, Any]) -> dict[str, Any]:
    """Runs one command in a child; disturbs it where it still runs after some seconds."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _command(order)
    disturbed = False
    after = order.get("kill_after", order.get("full_after"))
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        seconds = time.monotonic() - began
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return {"killed": code == -signal.SIGKILL, "status": code, "seconds": seconds}
        if not disturbed and after is not None and seconds >= after:
            disturbed = True
            _disturb(child, order)
        time.sleep(0.0005)


def _disturb(child: int, order: dict[str, Any]) -> None:
    if "filler" not in order:
        os.kill(child, signal.SIGKILL)
        return
    os.kill(child, signal.SIGSTOP)
    fill(Path(order["filler"]))
    os.kill(child, signal.SIGCONT)


def fill(filler: Path) -> None:
    """Makes `filler` as large as there is room."""
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as stream:
        for size in (1 << 20, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while stream.write(bytes(size)) == size:
                    pass


def _command(order: dict[str, Any]) -> None:
    from sdviz.commands.archive import command as archive
    from sdviz.commands.sweep import command as sweep

    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(order["cwd"])
    sys.argv = [f"{order['program']}.py", *order["argv"]]
    status = 70
    try:
        if order["program"] == "archive":
            status = archive.main(order["argv"])
        else:
            sweep.main()
    except SystemExit as ended:
        status = int(ended.code or 0)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


class Forks:
    """That process, from outside. Everything that its children print goes into `log`."""

    def __init__(self, log: Path, temporary: Path) -> None:
        self.log = log
        variables = {
            "PYTHONPATH": str(PACKAGE.parent),
            "OMP_NUM_THREADS": "1",
            "TORCHINDUCTOR_CACHE_DIR": str(log.parent / "torch"),  # made by importing diffusers
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.forks"],
            cwd=PACKAGE.parent, env=os.environ | variables | {"TMPDIR": str(temporary)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip

    def __call__(
        self, folder: Path, argv: Sequence[object], *, program: str = "sweep", **disturbed: Any
    ) -> dict[str, Any]:
        """The answer to an order; `disturbed` are its keys from "kill_after" on."""
        folder.mkdir(exist_ok=True)
        order = {
            "program": program, "argv": [str(word) for word in argv], "cwd": str(folder),
            "log": str(self.log), **{k: v for k, v in disturbed.items() if v is not None},
        }  # fmt: skip
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        self._process.communicate()


if __name__ == "__main__":
    import diffusers  # noqa: F401
    import torch
    import transformers  # noqa: F401

    import sdviz.commands.sweep.conduct
    import sdviz.engine
    import sdviz.models  # noqa: F401

    torch.set_num_threads(1)
    serve()
