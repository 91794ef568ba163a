"""`python -m sdviz.archive COMMAND`: find, read, check and share archives. No torch, no Visdom.

Each command is a file, loaded on demand. It has `EXAMPLE` (shown by --help),
`arguments(parser)` and `run(options) -> exit status`.
"""

from __future__ import annotations

COMMANDS = {
    "list": "list the archives in a folder, newest first",
    "show": "show one archive: its axes, cells and times",
    "find": "find cells by their settings in all archives",
    "compare": "compare two archives or two values of an axis: distance, PSNR, SSIM, time",
    "verify": "check files, hashes and database; --render computes cells again",
    "report": "write a page that needs no network: every cell, every frame, one slider",
    "export": "write a contact sheet, a film, a table, a data set or a zip",
    "import": "read the recipe in a picture of stable-diffusion-webui, ComfyUI, Fooocus and others",
    "replay": "play a sweep again, on a Visdom page or in the terminal",
    "merge": "merge several archives into one",
    "migrate": "copy an older archive into the current format",
    "rm": "delete archives",
    "gc": "delete what killed sweeps left behind",
}
