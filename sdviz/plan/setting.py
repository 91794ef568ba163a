"""What a row of the table of settings has: sdviz.plan.settings is the table. No torch."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_type_hints

from sdviz.errors import ConfigError, nearest
from sdviz.plan import loras

if TYPE_CHECKING:
    from sdviz.plan.settings import Recipe


@dataclass(frozen=True)
class Idle:
    """Where a setting has no effect, in words, and whether that holds for a recipe."""

    where: str
    holds: Callable[[Recipe], bool]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """One row. The name, the type and the default are those of the field of Recipe."""

    help: str  # one line of `--help`
    name: str = ""
    default: Any = None
    kind: str = ""  # "int", "float": numbers and ranges; "word": names; "text": prompts; "flag"
    nullable: bool = False  # null is a value of its own, and not the model's default

    # What it takes.
    least: float = -math.inf
    most: float = math.inf
    choices: tuple[str, ...] = ()  # of a word, where only these will do
    summed: bool = False  # also several numbers, 1+0.5, one for each part of another setting
    pattern: tuple[str, str] = ("", "")  # of a word: a regular expression, and its meaning in words
    spelling: Callable[[Any], list[Any]] | None = None  # values that a word stands for, or an error
    none: bool = False  # "" switches it off, for which people type "none"

    # What it is called.
    key: str = ""  # at the root of the configuration, where Hydra needs the name for a group
    plural: str = ""  # key for several values at once, a file or a list
    elsewhere: tuple[str, ...] = ()  # in other programs, without signs between the words
    infotext: str = ""  # in stable-diffusion-webui's `parameters`; "": "sdviz <name>"
    infotext_values: Mapping[Any, str] = field(default_factory=dict)  # there, where they differ
    infotext_reads: tuple[str, ...] = ()  # further names of it there, which are read
    composed: bool = False  # sdviz.pictures.infotext writes it together with others
    plot: str = ""  # as an axis of stable-diffusion-webui's X/Y/Z plot
    argument: str = ""  # of a pipeline of diffusers that is not batched; "": its own affair

    # How it is shown.
    always: bool = False  # also at its default
    speaks: bool = False  # its value needs no name beside it
    path: bool = False  # its value may be a path, which is shown as short as possible
    form: int = 0  # place of its field in the live form; 0: one of the further settings

    # What it does.
    absorbed: bool = False  # the prompt or the sampler's name has its effect in it already
    content: str = ""  # what counts for the key, of what it names: "file", "pixels", "words"; or
    # "checker": its value, and the model's safety checker
    counts: str = ""  # what it decides: "steps" and evaluations, "rows" of each, "size" in pixels
    batched_only: bool = False  # other pipelines do not take it
    flow: bool | None = None  # True: for models trained by flow matching alone; False: not for them
    needs: str = ""  # without it there is no use for this: `hires_scale=2`
    idle: Idle | None = None  # from `needs`, or where it has no effect
    idle_alone: bool = False  # worth a warning also where no two cells are alike by it

    @property
    def root(self) -> str:
        """Its key at the root of the composed configuration."""
        return self.key or self.name

    @property
    def pair(self) -> str:
        """Its name in the `parameters` of a PNG."""
        return self.infotext or f"sdviz {self.name}".replace("_", " ")

    @property
    def takes(self) -> str:
        """What it takes, in words."""
        if self.kind == "flag":
            return "true or false"
        if self.choices:
            return "one of " + ", ".join(self.choices)
        if self.kind in ("word", "text"):
            return {"word": "a name", "text": "a text"}[self.kind]
        kind = {"int": "a whole number", "float": "a number"}[self.kind]
        most = "2**64 - 1" if self.most == 2**64 - 1 else f"{self.most:g}"
        return f"{kind} from {self.least:g} to {most}"

    def checked(self, value: Any) -> list[Any]:
        """The values that `value` stands for, in their one spelling; mostly one. Raises ConfigError
        where it is none of this setting.
        """
        if value is None or self.kind == "text":
            return [value]
        if self.kind == "flag":
            if str(value).lower() not in ("true", "false"):
                raise ConfigError(f"{self.name}={value}: must be {self.takes}", key=self.name)
            return [str(value).lower() == "true"]
        if self.kind == "word":
            return self._checked_word(value)
        if self.summed and isinstance(value, str):
            for one in loras.scales(value):
                self.checked(one)
            return [value]
        if not self.least <= value <= self.most:
            typed = f"{value:.10g}" if isinstance(value, float) else value
            raise ConfigError(f"{self.name}={typed}: must be {self.takes}", key=self.name)
        return [value]

    def _checked_word(self, value: str) -> list[Any]:
        if self.none and value == "none":
            return [""]
        if self.choices and value not in self.choices:
            raise ConfigError(f"{self.name}={value}: {nearest(value, self.choices)}", key=self.name)
        expression, meaning = self.pattern
        if expression and not re.fullmatch(expression, value):
            raise ConfigError(f"{self.name}={value}: must be {meaning}", key=self.name)
        return self.spelling(value) if self.spelling else [value]


def row(default: Any, help: str, **known: Any) -> Any:
    """A field of Recipe, with its row."""
    return field(default=default, metadata={"row": Setting(help=help, **known)})


def at(name: str, value: Any) -> Idle:
    return Idle(f"at {name}={value:g}", lambda recipe: bool(getattr(recipe, name) == value))


def without(name: str) -> Idle:
    return Idle(f"without {name}=", lambda recipe: not getattr(recipe, name))


def _setting(name: str, hint: Any, row: Setting) -> Setting:
    """The row, with what the field's annotation says."""
    types = get_args(hint) or (hint,)
    kinds = {int: "int", float: "float", str: "word", bool: "flag"}
    return replace(row, name=name, kind=row.kind or kinds[types[0]], nullable=NoneType in types)


def table(recipe: type[Any]) -> dict[str, Setting]:
    """The rows of a dataclass of such fields, by name; `idle` follows from `needs`."""
    hints = get_type_hints(recipe)
    rows = {
        f.name: replace(_setting(f.name, hints[f.name], f.metadata["row"]), default=f.default)
        for f in fields(recipe)
    }
    for name, row in rows.items():
        needed = row.needs.partition("=")[0]
        if needed:
            off = rows[needed].default
            idle = without(needed) if off == "" else at(needed, off)
            rows[name] = replace(row, idle=idle)
    return rows
