"""Rules over recipes: `sampler=heun steps>20`. Used by `exclude=` and by `archive find`.

    rule  = term { (space | comma) term }     every term must hold
    term  = key operator value                operator: = == != < <= > >= ~ (contains)
    value = word | 'quoted' | "quoted"

Several rules are joined by "or": a recipe matches when any of them holds. The grammar is read by
hand, and nothing in it is ever evaluated as code.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sdviz.errors import ConfigError
from sdviz.plan.grammar import unquote

_TERM = re.compile(
    r"""\s*(?P<key>[A-Za-z_]\w*)\s*(?P<operator>==|!=|<=|>=|=|<|>|~)\s*
        (?P<value>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^\s,'"<>=!~]+)\s*(?:,|(?=\s|$))""",
    re.VERBOSE,
)

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "~": lambda value, part: str(part).casefold() in str(value).casefold(),
}

Read = Callable[[str, str], Any]  # (key, text) -> value; raises ConfigError for an unknown key


@dataclass(frozen=True)
class Term:
    """One comparison. A setting without a value (None) matches no order and no part."""

    key: str
    operator: str
    value: Any

    def holds(self, settings: Mapping[str, Any]) -> bool:
        value = settings.get(self.key)
        if value is None and self.operator not in ("=", "==", "!="):
            return False
        try:
            return _COMPARE[self.operator](value, self.value)
        except TypeError:  # `sampler<3`: a name and a number have no order
            return False


Rule = tuple[Term, ...]


def parse_rule(text: str, read: Read) -> Rule:
    """Read one rule. `read` turns the text of a value into what the setting holds.

    Raises ConfigError that shows where the rule stops making sense.
    """
    terms: list[Term] = []
    position = 0
    text = text.strip()
    while position < len(text):
        term = _TERM.match(text, position)
        if term is None:
            raise ConfigError(
                f"`{text}`: cannot read `{text[position:].strip()}`; "
                "a rule looks like `sampler=heun steps>20`"
            )
        value = term["value"]
        comparison = term["operator"]
        if comparison != "~":
            terms.append(Term(term["key"], comparison, read(term["key"], unquote(value))))
        else:
            terms.append(Term(term["key"], comparison, unquote(value)))
        position = term.end()
    if not terms:
        raise ConfigError("a rule is empty; one looks like `sampler=heun steps>20`")
    return tuple(terms)


def matches(rules: Sequence[Rule], settings: Mapping[str, Any]) -> bool:
    """Does any of the rules hold for these settings?"""
    return any(all(term.holds(settings) for term in rule) for rule in rules)
