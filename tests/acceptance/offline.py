"""What a user does with an installed sdviz on a machine without a network; prints it as JSON.

Run as a program, by the environment's Python, in an empty folder: `offline.py SDVIZ PORT`.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import urllib.request
from typing import Any
from urllib.parse import urljoin, urlsplit

_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)
_REFERENCE = re.compile(r"""(?:src|href)=["']([^"'#]+)["']""")


def main(sdviz: str, port: str) -> dict[str, Any]:
    import sdviz as package

    told: dict[str, Any] = {"file": package.__file__, "torch": "torch" in sys.modules}
    told["help"] = run(sdviz, "--help")
    try:
        told["sweep"] = run(
            sdviz, "sweep", "cfg=7,15", "steps=2", "name=away", f"visdom.port={port}"
        )
        told["list"] = run(sdviz, "archive", "list")
        told["verify"] = run(sdviz, "archive", "verify", "outputs/away")
        told["page"] = visit(f"http://127.0.0.1:{port}/env/away")
    finally:
        told["stop"] = run(sdviz, "serve", "--stop", f"visdom.port={port}")
    return told


def run(*command: str) -> tuple[int, str]:
    """Exit status, and what was printed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def visit(page: str) -> dict[str, int]:
    """The HTTP status of a page and of all scripts, styles and pictures that it names."""
    status, text = get(page)
    found = {page: status}
    for reference in _REFERENCE.findall(_COMMENT.sub("", text)):
        address = urljoin(page, reference)
        if urlsplit(address).scheme in ("http", "https"):
            found[address] = get(address)[0]
    return found


def get(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address, timeout=20) as answer:
            return answer.status, answer.read().decode("utf-8", "replace")
    except OSError as error:
        return getattr(error, "code", 0), ""


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
