"""What pages get of the settings' rows, and that their scripts have no list of their own."""

from __future__ import annotations

import re
from pathlib import Path

import sdviz
from sdviz.plan.settings import SETTINGS
from sdviz.plan.values import values_of
from sdviz.web.setting_rows import setting_rows, typed_texts

ODD = [
    "a, b",
    'a "b"',
    "null",
    "['x']",
    "[a]",
    " a",
    "choice(a)",
    "it's",
    "\\",
    "全，角",
    "a\nb",
    "",
]


def test_every_setting_has_its_row_in_their_order() -> None:
    assert [row["name"] for row in setting_rows()] == list(SETTINGS)


def test_typed_texts_are_read_back_alone_and_in_a_list() -> None:
    for text in ODD:
        alone = typed_texts({"prompt": text, "lora": text}, [])
        for name in ("prompt", "lora"):
            assert values_of(name, alone.get(name, {}).get(text, text)) == [text]
    several = typed_texts({}, [{"prompt": text} for text in ODD])["prompt"]
    assert values_of("prompt", f"[{','.join(several[text] for text in ODD)}]") == ODD


def test_no_script_has_a_list_of_settings() -> None:
    scripts = sorted((Path(sdviz.__file__).parent / "web").rglob("*.js"))
    scripts = [script for script in scripts if "static" not in script.parts]
    assert len(scripts) > 40
    for script in scripts:
        for found in re.findall(r"\[\s*([\"'][^\[\]]*)\]", script.read_text(encoding="utf-8")):
            named = SETTINGS.keys() & set(re.findall(r"[\"'](\w+)[\"']", found))
            assert len(named) < 2, f"{script.name}: [{found}]"
