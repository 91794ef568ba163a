"""The checks of a request. A check is a small function: it takes what is asked, and gives faults.

To add one, write it into the file of its kind and name it in `FAULTS` or `WARNINGS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from sdviz.errors import SdvizError
from sdviz.models.addons import scores
from sdviz.request.checks import machine, recipes, settings, warnings
from sdviz.request.checks.asked import Asked, Planned

FAULTS: tuple[Callable[[Asked], Iterable[SdvizError]], ...] = (
    machine.outputs,
    settings.sizes,
    settings.samplers,
    settings.files,
    settings.embeddings,
    settings.needs,
    settings.search,
    settings.supported,
    machine.weights,
    machine.compiler,
    lambda asked: scores.check(asked.config),
    settings.reference,
    recipes.steps,
    recipes.images,
    recipes.watermarks,
    machine.pictures,
)
WARNINGS: tuple[Callable[[Planned], Iterable[str]], ...] = (
    warnings.prompts,
    warnings.prompt_signs,
    warnings.eta,
    warnings.schedules,
    warnings.embeddings,
    warnings.unguided,
    warnings.idle,
    warnings.alike,
    warnings.ignored_prompts,
    warnings.overlap,
    warnings.bundled,
)


def faults(asked: Asked) -> list[SdvizError]:
    """Everything that is wrong with a request."""
    errors: list[SdvizError] = []
    for check in FAULTS:
        try:
            errors.extend(check(asked))
        except SdvizError as error:
            errors.extend(error.each())
    return errors


def remarks(planned: Planned) -> list[str]:
    """Everything that the user should know of a request in which nothing is wrong."""
    return [text for check in WARNINGS for text in check(planned)]
