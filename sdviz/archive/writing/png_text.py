"""The text chunks of a cell's PNG: webui's `parameters`, and everything as JSON of our own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sdviz.archive.formats import FORMAT
from sdviz.events import CellFinished, Timings
from sdviz.pictures import files, infotext
from sdviz.plan.cells import Cell, Plan, settings_of
from sdviz.plan.labels import shareable
from sdviz.plan.samplers import sampler_pairs

PARTS = ("encode_s", "denoise_s", "preview_s", "decode_s", "save_s")


def timings_json(timings: Timings, save_s: float) -> dict[str, Any]:
    """The timings as archived, in seconds: those of the engine, and `save_s`."""
    values = {**asdict(timings), "save_s": timings.save_s + save_s}
    values["total_s"] = sum(values[part] for part in PARTS)
    return {k: round(v, 6) if isinstance(v, float) else v for k, v in values.items()}


def png_texts(
    cell: Cell, event: CellFinished, *, name: str, plan: Plan, versions: Mapping[str, str]
) -> dict[str, str]:
    """Chunk -> text, for the finished cell of the sweep `name`."""
    recipe = settings_of(cell.recipe)
    identity = plan.identities.get(cell.recipe.model, "")
    timings = timings_json(event.timings, 0.0)
    for key in ("save_s", "total_s"):  # not known before the picture is written
        del timings[key]
    pairs = infotext.cell_pairs(
        recipe,
        sampler_pairs(cell.recipe.sampler),
        identity=identity,
        contents=plan.contents,
        distilled=cell.recipe.model in plan.distilled,
        extra={
            "Init image hash": plan.contents.get(cell.recipe.init, "")[:10] or None,
            "Denoise time": f"{event.timings.denoise_s:.3f}",
            "sdviz cell": cell.index,
            "sdviz key": cell.key[:16],
        },
    )
    pairs["Version"] = f"sdviz {versions.get('sdviz', '')}".strip()
    record = {
        "format": FORMAT,
        "name": name,
        "cell": cell.index,
        "coords": cell.coords,
        "key": cell.key,
        "recipe": shareable(recipe),
        "identity": identity,
        "dtype": plan.dtype,
        "timings": timings,
        "notes": event.notes,
        "versions": dict(versions),
    }
    prompt = infotext.with_lora(cell.recipe.prompt, recipe)
    text = infotext.write(prompt, cell.recipe.negative, pairs)
    return {files.PARAMETERS: text, files.CHUNK: files.record_json(record)}
