"""How soon is a frame on the page, and how large may a page be? See README.md beside this file.

python experiments/latency/run.py
python experiments/latency/run.py visdom.port=6100 outputs=/tmp/latency
"""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

from experiments.latency import live, pages
from sdviz.request.compose import prepare


def main() -> None:
    logging.getLogger("visdom").setLevel(logging.ERROR)
    overrides = sys.argv[1:]
    config = prepare([*overrides, "dry_run=true"]).config
    seen = live.measure(overrides)
    live.report(seen)
    rows = pages.measure(Path(config.outputs), config.visdom.port)
    pages.report(rows)
    path = Path(config.outputs) / "latency" / "latency.json"
    path.write_text(json.dumps({"live": seen, "pages": rows}, indent=1) + "\n")
    print(f"figures: {path}")


if __name__ == "__main__":
    main()
