"""Reads the recipe out of a PNG of stable-diffusion-webui, sdviz or Fooocus.

Prints the sweep that makes it again; `python -m sdviz.sweep from=image.png` runs it at once.
"""

from __future__ import annotations

import argparse
import json
import shlex
from pathlib import Path

from sdviz.request.from_picture import recipe_from_png

EXAMPLE = """python -m sdviz.archive import picture.png
python -m sdviz.sweep from=picture.png cfg=5,7,9"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("png", type=Path, nargs="+", help="pictures")
    parser.add_argument("--json", action="store_true", help="a list of objects, one a picture")


def run(options: argparse.Namespace) -> int:
    recipes = [recipe_from_png(path) for path in options.png]
    if options.json:
        print(json.dumps(recipes, ensure_ascii=False, indent=1))
        return 0
    for recipe in recipes:
        settings = [shlex.quote(f"{key}={_word(value)}") for key, value in recipe.items()]
        print(" ".join(["python -m sdviz.sweep", *settings]))
    return 0


def _word(value: object) -> str:
    """A value as the command line takes it; text of several words in quotes of its own."""
    if isinstance(value, float):
        return format(value, ".10g")
    return str(value)
