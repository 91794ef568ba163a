"""Runs studies and puts their figures beside their READMEs.

python -m experiments.figures               # all of them, some minutes on a CPU
python -m experiments.figures cfg steps
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

HERE = Path(__file__).parent
_WIDTH = 1100  # pixels; what a README shows on a wide screen
_SHOWN = re.compile(r"\]\((\w[\w-]*)\.webp\)")


def refresh(study: str) -> None:
    """Runs one study afresh, without a page; every figure that its README shows is made anew."""
    folder = HERE / study
    shown = _SHOWN.findall((folder / "README.md").read_text(encoding="utf-8"))
    if not shown:
        return
    with tempfile.TemporaryDirectory() as outputs:
        # The decoder of the images themselves: only then do frames end in their image.
        given = [f"outputs={outputs}", "visdom.enabled=false", "preview.decoder=vae"]
        subprocess.run([sys.executable, str(folder / "run.py"), *given], check=True)
        for name in shown:
            (made,) = Path(outputs).glob(f"*/figures/{name}.png")
            figure = Image.open(made).convert("RGB")
            figure.thumbnail((_WIDTH, figure.height), Image.Resampling.LANCZOS)
            figure.save(folder / f"{name}.webp", quality=85, method=6)


def main() -> None:
    known = sorted(path.parent.name for path in HERE.glob("*/README.md"))
    known = [study for study in known if (HERE / study / "run.py").is_file()]
    asked = sys.argv[1:] or known
    if unknown := set(asked) - set(known):
        raise SystemExit(f"error: no study {', '.join(sorted(unknown))}; there are {known}")
    for study in asked:
        refresh(study)


if __name__ == "__main__":
    main()
