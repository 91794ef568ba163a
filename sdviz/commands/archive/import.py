"""Reads the recipe out of a picture of stable-diffusion-webui, ComfyUI, Fooocus and others.

Prints the sweep that makes it again, and warns of what is not done again;
`python -m sdviz.sweep from=image.png` runs it at once.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

from sdviz.plan.settings import typed
from sdviz.request.from_picture import recipe_of_picture

EXAMPLE = """python -m sdviz.archive import picture.png
python -m sdviz.sweep from=picture.png cfg=5,7,9"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("picture", type=Path, nargs="+", help="PNG, JPEG or WebP")
    parser.add_argument("--json", action="store_true", help="a list of objects, one a picture")


def run(options: argparse.Namespace) -> int:
    recipes = [recipe_of_picture(path) for path in options.picture]
    for path, recipe in zip(options.picture, recipes, strict=True):
        for warning in recipe.warnings:
            print(f"warning: {path}: {warning}", file=sys.stderr)
    if options.json:
        print(json.dumps([one.settings for one in recipes], ensure_ascii=False, indent=1))
        return 0
    for recipe in recipes:
        settings = (f"{key}={typed(key, value)}" for key, value in recipe.settings.items())
        print(" ".join(["python -m sdviz.sweep", *map(shlex.quote, settings)]))
    return 0
