"""From the engine's tick to the pixels in the browser: one real sweep, watched on its page."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from experiments.latency.browsing import browser_memory, chromium, new_page
from experiments.latency.memory import resident
from sdviz.request.compose import prepare
from sdviz.web.client import launch
from sdviz.web.client.ports import ask
from sdviz.web.client.state import page_name

SWEEP = ["sampler=euler_a,heun,dpmpp_2m_karras,ddim", "cfg=3,7,15", "steps=20", "name=latency"]


def measure(overrides: list[str]) -> dict[str, Any]:
    """Seconds of the frames of one sweep, and memory at its end."""
    by_key = {text.partition("=")[0]: text for text in [*SWEEP, "reuse=false", *overrides]}
    typed = list(by_key.values())  # Hydra refuses a key that is given twice
    config = prepare([*typed, "dry_run=true"]).config
    server = launch.ensure(config.visdom)
    with tempfile.TemporaryDirectory() as folder, chromium() as browser:
        notes = Path(folder) / "ticks.json"
        page = new_page(browser, watch=True)
        command = [sys.executable, "-m", "experiments.latency.ticks", str(notes), *typed]
        sweep = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert sweep.stdout is not None
        while " to compute" not in sweep.stdout.readline():
            pass  # as a person does, the page is opened when the sweep says where it is
        page.goto(server.url(f"/env/{page_name(config.name)}"))
        opened = time.time()
        while sweep.poll() is None:
            page.wait_for_timeout(200)  # lets the page's own messages be handled
        if sweep.returncode:
            raise SystemExit(sweep.returncode)
        ticked = [one for one in json.loads(notes.read_text()) if one[2] > opened]
        page.wait_for_function("() => settled()")
        page.wait_for_timeout(500)
        delays = delays_of(ticked, page.evaluate("() => shown"))
        facts = ask(server.port, "GET", "/sdviz/health")
        assert isinstance(facts, dict)
        return {
            "frames": len(ticked),
            "seconds": delays,
            "server": resident(int(facts["pid"])),
            **browser_memory(page),
        }


def delays_of(ticked: list[Any], shown: list[Any]) -> list[float]:
    """Seconds from each step's tick until the page shows that step of the cell, or a later one."""
    seen: dict[int, list[tuple[float, float]]] = {}
    for cell, step, at in shown:
        # step 0 is the final image, which is behind every step
        seen.setdefault(cell, []).append((step or float("inf"), at))
    delays = []
    for cell, step, at in ticked:
        later = [when for reached, when in seen.get(cell, ()) if reached >= step and when >= at]
        if later:
            delays.append(min(later) - at)
    return delays


def report(found: dict[str, Any]) -> None:
    seconds = sorted(found["seconds"])
    at = statistics.quantiles(seconds, n=20)
    print(
        f"live: {found['frames']} frames, {len(seconds)} of them seen; from tick to paint "
        f"{statistics.median(seconds):.3f} s median, {at[18]:.3f} s in 95 of 100, "
        f"{seconds[-1]:.3f} s at most"
    )
    sizes = {name: found[name] >> 20 for name in ("server", "heap", "processes")}
    print(f"memory, MB: {sizes}")
