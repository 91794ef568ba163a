"""How soon is everybody else served while somebody harms the board? See README.md beside this file.

python experiments/crowd/run.py
python experiments/crowd/run.py 60      # seconds for each crowd
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
from pathlib import Path
from statistics import quantiles

from sdviz.plan.config import VisdomConfig
from sdviz.web.client.launch import ensure, register, stop
from sdviz.web.client.ports import ask, free_port
from tests.web.crowd import Seen, crowd, outputs


def measure(folder: Path, seconds: float, *, hostile: bool) -> tuple[Seen, int]:
    """What 47 visitors see, beside three hostile ones or alone, and the server's resident bytes."""
    server = ensure(VisdomConfig(port=free_port(20_000)))
    try:
        made = outputs(folder)
        names = [name for name in made if hostile or name == "good"]
        sweep = {name: register(server, made[name], name, 60) for name in names}
        sweep = {**dict.fromkeys(made, ""), **sweep}
        seen = asyncio.run(crowd(server.port, sweep, seconds, pause=1.0, hostile=hostile))
        pid = ask(server.port, "GET", "/sdviz/health", token=server.token)["pid"]
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        return seen, pages * os.sysconf("SC_PAGE_SIZE")
    finally:
        stop(server.port)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 30.0
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    for hostile in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["XDG_STATE_HOME"] = str(Path(folder) / "state")
            seen, resident = measure(Path(folder) / "outputs", seconds, hostile=hostile)
        cuts = [1000 * cut for cut in quantiles(seen.seconds, n=100)]
        print(
            f"{'beside three hostile ones' if hostile else 'alone':26}"
            f" {len(seen.seconds):5} answers {dict(seen.statuses)}  median {cuts[49]:.0f} ms"
            f"  p95 {cuts[94]:.0f} ms  p99 {cuts[98]:.0f} ms  server {resident / 1e6:.0f} MB"
        )


if __name__ == "__main__":
    main()
