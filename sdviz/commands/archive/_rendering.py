"""Computing archived cells again, and holding the pixels against the archived ones. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sdviz.archive.reader import Archive
from sdviz.archive.records import CellRecord, plan_cell
from sdviz.archive.replay import plan_of
from sdviz.archive.upkeep.verify import Finding
from sdviz.errors import ArchiveError, ConfigError
from sdviz.events import CellFailed, CellFinished, Event
from sdviz.pictures.measures import largest_difference
from sdviz.pictures.pixels import Pixels
from sdviz.plan.config import Config, PreviewConfig, conf_dir


@dataclass(frozen=True)
class Outcome:
    """How one cell's pixels compare; `finding` is None where they are the same but for rounding."""

    path: Path
    cell: int
    result: str
    finding: Finding | None


def render(path: Path, which: str) -> list[Outcome]:
    """Renders the cells that `which` names ("3", "all", "cell 0,5") and compares each.

    Raises ArchiveError where the model cannot be had, or is not the one whose pictures these are.
    """
    from sdviz import engine  # loads torch: not before it is needed

    with Archive(path) as archive:
        chosen = choose([cell for cell in archive.cells if cell.status == "done"], which)
        config = _config(archive, {str(cell.recipe.get("model")) for cell in chosen})
        made: dict[int, Pixels | str] = {}

        def emit(event: Event) -> None:
            if isinstance(event, CellFinished):
                made[event.cell] = event.pixels
            elif isinstance(event, CellFailed):
                made[event.cell] = event.reason

        engine.run(
            [plan_cell(cell) for cell in chosen], plan=plan_of(archive), config=config, emit=emit
        )
        return [_outcome(archive, cell, made.get(cell.i, "was not rendered")) for cell in chosen]


def choose(cells: Sequence[CellRecord], which: str) -> list[CellRecord]:
    """All, the named ones, or a number of them evenly spread from the first to the last."""
    if which == "all":
        return list(cells)
    try:
        if which.startswith("cell"):
            numbers = {int(number) for number in which[4:].replace(",", " ").split()}
            unknown = numbers - {cell.i for cell in cells}
            if unknown:
                raise ArchiveError(f"--render {which}: no finished cell {sorted(unknown)}")
            return [cell for cell in cells if cell.i in numbers]
        count = min(int(which), len(cells))
    except ValueError:
        raise ConfigError(f'--render {which}: a number, "all", or "cell 3,5"') from None
    places = np.linspace(0, len(cells) - 1, max(count, 0)).round()
    return [cells[at] for at in dict.fromkeys(int(place) for place in places)]


def _config(archive: Archive, models: set[str]) -> Config:
    """A configuration that renders without frames, on the archived models where they are now."""
    from sdviz.models import inspect
    from sdviz.request.model_specs import read_spec

    model = archive.config.get("model")
    archived = model if isinstance(model, dict) else {}
    # The archive may be a stranger's: it must neither have a pickle run nor anything downloaded.
    overrides = {**archived, "trust_pickle": False, "local_files_only": True}
    identities = archive.mapping("identities")
    specs = {}
    for name in models:
        specs[name] = read_spec(name, overrides, [conf_dir() / "model"])
        identity = inspect(specs[name]).identity
        if identities.get(name) not in (None, identity):
            raise ArchiveError(
                f"model={name} has other weights now ({identity[:10]}) than when {archive.path} was"
                f" made ({identities[name][:10]}); its pictures cannot be rendered again",
                key="model",
            )
    dtype = str(archive.about("dtype", "float32"))
    return replace(Config(), models=specs, dtype=dtype, preview=PreviewConfig(decoder="none"))


def _outcome(archive: Archive, cell: CellRecord, made: Pixels | str) -> Outcome:
    if isinstance(made, str):
        return Outcome(archive.path, cell.i, made, Finding(f"cell {cell.i}", made))
    kept = np.asarray(archive.image(cell.i))
    if kept.shape != made.shape:
        result = (
            f"rendered {made.shape[1]}x{made.shape[0]}, archived {kept.shape[1]}x{kept.shape[0]}"
        )
        return Outcome(archive.path, cell.i, result, Finding(f"cell {cell.i}", result))
    off = largest_difference(kept, made)
    if off <= 1:
        result = "the same pixels, exactly" if off == 0 else "the same pixels, within 1/255"
        return Outcome(archive.path, cell.i, result, None)
    result = f"rendered again it differs by up to {off}/255"
    dtype = archive.about("dtype")
    if dtype != "float32":
        result += f"; in {dtype} rounding depends on which cells were computed together"
    return Outcome(archive.path, cell.i, result, Finding(f"cell {cell.i}", result))
