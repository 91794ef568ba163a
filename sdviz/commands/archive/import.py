"""Reads the recipe in a picture of stable-diffusion-webui, ComfyUI, Fooocus and others.

Prints the sweep that makes it again, and warns about settings that it ignores.
`python -m sdviz.sweep from=image.png` runs it directly.
"""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from sdviz.commands.terminal import say, say_json, say_text
from sdviz.plan.values import typed
from sdviz.request.from_picture import recipe_of_picture

EXAMPLE = """python -m sdviz.archive import picture.png
python -m sdviz.sweep from=picture.png cfg=5,7,9"""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("picture", type=Path, nargs="+", help="PNG, JPEG or WebP")
    parser.add_argument("--json", action="store_true", help="a list of objects, one per picture")


def run(options: argparse.Namespace) -> int:
    recipes = [recipe_of_picture(path) for path in options.picture]
    for path, recipe in zip(options.picture, recipes, strict=True):
        for warning in recipe.warnings:
            say(f"warning: {path}: {warning}", error=True)
    if options.json:
        say_json([one.settings for one in recipes], indent=1)
        return 0
    for recipe in recipes:
        settings = (f"{key}={typed(key, value)}" for key, value in recipe.settings.items())
        say_text(" ".join(["python -m sdviz.sweep", *map(shlex.quote, settings)]))
    return 0
