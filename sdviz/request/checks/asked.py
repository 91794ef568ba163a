"""The input of checks: a request as read, and as planned."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sdviz.plan.rules import Rule, matches

if TYPE_CHECKING:
    from sdviz.models import ModelInfo
    from sdviz.plan.cells import Plan
    from sdviz.plan.config import Config, ModelSpec
    from sdviz.plan.settings import Recipe

Values = Mapping[str, Sequence[Any]]  # setting -> its values, None where it has no value


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A request before there is a plan; nothing of it is known to be right."""

    config: Config  # device, dtype and init images settled
    values: Values
    zipped: Sequence[Sequence[str]]
    rules: Sequence[Rule]  # of `exclude`
    infos: Mapping[str, ModelInfo]  # of the models that could be read, by name
    defaults: Mapping[str, Mapping[str, Any]]  # by model, as sdviz.plan.planning.make_plan takes it
    recipes: Sequence[Recipe] = ()  # one for each way of counting steps and pixels

    @property
    def specs(self) -> Mapping[str, ModelSpec]:
        return self.config.models

    @functools.cached_property
    def by_model(self) -> Mapping[str, Values]:
        """{model: {setting: the values that occur with this model}}.

        Zipped values and rules on the model and the setting alone are taken into account; [None]
        if no value remains.
        """
        return {
            str(model): {name: self._values_with(at, model, name) for name in self.values}
            for at, model in enumerate(self.values["model"])
        }

    def _values_with(self, at: int, model: Any, name: str) -> list[Any]:
        several = list(self.values[name])
        together = any({"model", name} <= set(group) for group in self.zipped)
        if together and len(several) == len(self.values["model"]):
            several = [several[at]]
        asked = [rule for rule in self.rules if {term.key for term in rule} <= {"model", name}]
        if not asked:
            return several or [None]
        kept = [one for one in several if not matches(asked, {"model": model, name: one})]
        return kept or [None]


@dataclass(frozen=True, kw_only=True)
class Planned:
    """A request whose plan is made: nothing of it is wrong."""

    config: Config
    plan: Plan
    infos: Mapping[str, ModelInfo]
    seeds: Sequence[int]  # as requested, with the drawn ones in place of -1
    all_seeds: Sequence[int]  # and those that follow them
