"""One random picture and twenty small ones on a Visdom page: the first thing that everybody tries.

The server is sdviz's own, so that the page opens with no internet; client and server are told
the same port.
"""

from __future__ import annotations

import numpy as np
import visdom

from experiments.study import arguments
from sdviz.plan.config import VisdomConfig
from sdviz.web.client.launch import ensure


def main() -> None:
    given = [a for a in arguments() if a.startswith("visdom.port=")]
    port = int(given[0].partition("=")[2]) if given else VisdomConfig().port
    server = ensure(VisdomConfig(port=port))
    page = visdom.Visdom(port=port, env="visdom-hello", use_incoming_socket=False)
    random = np.random.default_rng(0)
    page.image(random.integers(0, 256, (3, 512, 256), dtype=np.uint8), win="one")
    page.images(random.integers(0, 256, (20, 3, 64, 64), dtype=np.uint8), win="twenty")
    print(f"page {server.url('/env/visdom-hello')}")


if __name__ == "__main__":
    main()
