"""Configurations read as requests, for tests of what is understood and what is refused."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sdviz.errors import ConfigErrors
from sdviz.plan.config import conf_dir
from sdviz.request.request import Request, read_request

Reading = Callable[..., Request]


def reader(model: Path, folder: Path) -> Reading:
    """Reads a configuration over `model`, into `folder`; the seeds drawn are 1001, 1002 ..."""
    seeds = itertools.count(1001)

    def read(**given: Any) -> Request:
        options = {
            name: given.pop(name) for name in ("recorded", "also", "preset") if name in given
        }
        options.setdefault("recorded", lambda outputs, name: ("", []))
        values = {"models": [str(model)], "outputs": str(folder / "outputs"), "prompt": "a"}
        values |= {"device": "cpu"}
        return read_request(
            values | given,
            draw=lambda: next(seeds),
            model_folders=[conf_dir() / "model"],
            **options,
        )

    return read


def refused(reading: Reading, **given: Any) -> list[str]:
    with pytest.raises(ConfigErrors) as caught:
        reading(**given)
    return [str(error) for error in caught.value.errors]
