"""docs/architecture.md walks with `cfg=7,15,20` from the command line to a pixel: by these files.

The walk is measured: a real sweep with values that occur nowhere else, and the files in which a
function is given one of them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
MOST = 25  # files before the engine starts

TRACED = """
import json, sys
from pathlib import Path
PACKAGE = str(Path("sdviz").resolve()) + "/"
MARKS = (7.125, 15.125, 20.125)

def holds(value, depth=0):
    if isinstance(value, float):
        return value in MARKS
    if isinstance(value, str):
        return len(value) < 4000 and "15.125" in value
    if depth > 2:
        return False
    if isinstance(value, dict):
        value = list(value.values())
    elif type(value).__module__.startswith("sdviz") and hasattr(value, "__dict__"):
        value = list(vars(value).values())
    if isinstance(value, (list, tuple, set)):
        return any(holds(one, depth + 1) for one in list(value)[:100])
    return False

passed, over = {}, False

def look(frame, event, argument):
    global over
    code = frame.f_code
    if event != "call" or over or not code.co_filename.startswith(PACKAGE):
        return
    file = code.co_filename.removeprefix(PACKAGE)
    over = file.startswith("engine/")
    if over or file in passed or not code.co_flags & 2:  # 2: not the body of a class or module
        return
    count = code.co_argcount + code.co_kwonlyargcount + 2
    names = [name for name in code.co_varnames[:count] if name != "self"]
    if any(holds(frame.f_locals[name]) for name in names if name in frame.f_locals):
        passed[file] = None

from sdviz.commands.sweep.command import main
sys.argv = ["sweep", "cfg=7.125,15.125,20.125", *sys.argv[1:]]
sys.setprofile(look)
try:
    main()
except SystemExit:
    pass
sys.setprofile(None)
print("PASSED " + json.dumps(list(passed)))
"""


def walked(tiny_model: Path, outputs: Path) -> list[str]:
    words = [f"model={tiny_model}", f"outputs={outputs}", "visdom=off", "device=cpu", "steps=1"]
    done = subprocess.run(
        [sys.executable, "-c", TRACED, *words],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("PASSED ")]
    return re.findall(r'"([^"]+)"', line)


def test_the_walk_of_the_architecture_is_the_one_that_values_take(
    tiny_model: Path, tmp_path: Path
) -> None:
    passed = walked(tiny_model, tmp_path / "outputs")
    assert len(passed) <= MOST, passed
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    walk = text.partition("## A walk")[2].partition("The engine starts here")[0]
    told = re.findall(r"^\|[^|]*\| `((?:\w+/)+\w+\.py)`", walk, re.M)
    assert set(passed) <= set(told), f"the page lacks {set(passed) - set(told)}"
    assert set(told) <= set(passed), f"{set(told) - set(passed)} is not passed"
