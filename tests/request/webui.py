"""What stable-diffusion-webui 1.10 does to read a `parameters` text, step by step.

Written after the description of modules/infotext_utils.py; independent of sdviz's own reader, so
that the two can be held against each other.
"""

from __future__ import annotations

import json
import re

RE_PARAM = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
RE_SIZE = re.compile(r"^(\d+)x(\d+)$")


def unquote(text: str) -> str:
    try:
        return str(json.loads(text))
    except ValueError:
        return text


def parse_generation_parameters(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    prompt = negative = ""
    in_negative = False
    *lines, last = text.strip().split("\n")
    if len(RE_PARAM.findall(last)) < 3:
        lines.append(last)
        last = ""
    for line in lines:
        line = line.strip()
        if line.startswith("Negative prompt:"):
            in_negative = True
            line = line[16:].strip()
        if in_negative:
            negative += ("" if negative == "" else "\n") + line
        else:
            prompt += ("" if prompt == "" else "\n") + line
    found["Prompt"], found["Negative prompt"] = prompt, negative
    for key, value in RE_PARAM.findall(last):
        if not value:
            continue  # an error there, told on its console
        if value[0] == '"' and value[-1] == '"':
            value = unquote(value)
        size = RE_SIZE.match(value)
        if size is not None:
            found[f"{key}-1"], found[f"{key}-2"] = size.group(1), size.group(2)
        else:
            found[key] = value
    return found
