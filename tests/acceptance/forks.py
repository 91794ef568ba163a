"""A process that has imported what is slow to import, and forks a child for each sweep.

Run as a program: it reads JSON lines {"argv", "cwd", "log", "kill_after"} and answers each with
{"killed", "status", "seconds"}.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from typing import Any


def serve() -> None:
    for line in sys.stdin:
        print(json.dumps(attempt(json.loads(line))), flush=True)


def attempt(order: dict[str, Any]) -> dict[str, Any]:
    """Runs one sweep in a child; kills it where it still runs after `kill_after` seconds."""
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        _sweep(order)
    killed = False
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        seconds = time.monotonic() - began
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return {"killed": code == -signal.SIGKILL, "status": code, "seconds": seconds}
        if not killed and order["kill_after"] is not None and seconds >= order["kill_after"]:
            killed = True
            os.kill(child, signal.SIGKILL)
        time.sleep(0.001)


def _sweep(order: dict[str, Any]) -> None:
    from sdviz import sweep

    log = os.open(order["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(log, stream)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.chdir(order["cwd"])
    sys.argv = ["sweep.py", *order["argv"]]
    status = 70
    try:
        sweep.main()
    except SystemExit as ended:
        status = int(ended.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(status)


if __name__ == "__main__":
    import diffusers  # noqa: F401
    import torch
    import transformers  # noqa: F401

    import sdviz.commands.sweep.conduct
    import sdviz.engine
    import sdviz.models  # noqa: F401

    torch.set_num_threads(1)
    serve()
