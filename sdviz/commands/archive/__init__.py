"""`python -m sdviz.archive COMMAND`: find, read, check and share archives. No torch, no Visdom.

Each command is a file, loaded when it is asked for. It has `EXAMPLE` (shown by --help),
`arguments(parser)` and `run(options) -> exit status`.
"""

from __future__ import annotations

COMMANDS = {
    "list": "the archives below a folder, newest first",
    "show": "one archive: its axes, cells and times",
    "find": "cells by their settings, in all archives",
    "compare": "two archives, or two values of an axis: distance, PSNR, SSIM, time",
    "verify": "is it what was written? files, hashes, database; --render computes again",
    "report": "a page that needs no network: every cell, every frame, one slider",
    "export": "a contact sheet, a film, a table, a data set, a zip",
    "import": "the recipe in a picture of stable-diffusion-webui, ComfyUI, Fooocus and others",
    "replay": "play a sweep again: on a Visdom page, or in the terminal",
    "merge": "several archives as one",
    "migrate": "a copy in today's format of an older archive",
    "rm": "delete archives",
    "gc": "clear away what killed sweeps left behind",
}
