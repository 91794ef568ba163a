"""The lines of what each miniature must show: what is asked, what was measured, if it holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

Measures = dict[str, Any]

HEAD = "| | asked | measured | met |\n|---|---|---|---|"
RIVALS = ("Euler", "Euler a", "DDIM")  # behind DPM++ 2M Karras at few steps


@dataclass(frozen=True)
class Line:
    """One row of the table."""

    name: str
    asked: str
    measured: str
    met: bool

    @property
    def row(self) -> str:
        return f"| {self.name} | {self.asked} | {self.measured} | {'yes' if self.met else 'no'} |"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def at_least(name: str, measured: float, asked: float) -> Line:
    return Line(name, f"at least {percent(asked)}", percent(measured), measured >= asked)


def at_most(name: str, measured: float, asked: float, unit: str) -> Line:
    return Line(
        name, f"at most {asked:g}{unit}", f"{measured:.2f}{unit}", round(measured, 2) <= asked
    )


def below(name: str, values: dict[str, float], others: dict[str, float]) -> Line:
    """Every one of `values` below every one of `others`."""
    text = ", ".join(f"{n} {v:.2f}" for n, v in {**values, **others}.items())
    holds = max(values.values()) < min(others.values())
    return Line(name, f"{' and '.join(values)} lowest", text, holds)


def lines(measures: Measures, *, flow: bool = False) -> list[Line]:
    """Every line whose measure was taken; of the flow-matching miniature if `flow`."""
    kinds = (adherence, flow_steps, shift, high_guidance, open_prompt, speed)
    if not flow:
        kinds = (
            reconstruction, adherence, few_steps, order, high_guidance, open_prompt, ranking, speed,
        )  # fmt: skip
    return [line for kind in kinds for line in kind(measures)]


def by_steps(rows: dict[Any, Any]) -> dict[int, Any]:
    """JSON has made the numbers of steps strings."""
    return {int(steps): row for steps, row in rows.items()}


def reconstruction(measures: Measures) -> Iterator[Line]:
    if "reconstruction" in measures:
        psnr = measures["reconstruction"]["psnr"]
        yield Line("autoencoder, fresh pictures", "32 dB", f"{psnr:.2f} dB", psnr >= 32)


def adherence(measures: Measures) -> Iterator[Line]:
    if "adherence" not in measures:
        return
    seen, held_out = measures["adherence"]["seen"], measures["adherence"]["held out"]
    yield at_least("object", seen["kind"], 0.99)
    yield at_least("colour", seen["colour"], 0.98)
    yield at_least("all six facts at once", seen["all six"], 0.95)
    yield at_least("colour of held out pairs", held_out["colour"], 0.85)


def few_steps(measures: Measures) -> Iterator[Line]:
    if "few steps" not in measures:
        return
    named = {name: by_steps(rows) for name, rows in measures["few steps"].items()}
    best = named["DPM++ 2M Karras"]
    for steps, row in best.items():
        yield at_least(f"object, DPM++ 2M Karras, {steps} steps, CFG 7", row["object"], 0.9)
    heun = named["Heun"][5]["object"]
    yield at_least("object, Heun, 5 steps (9 evaluations), CFG 7", heun, 0.9)
    for steps, row in best.items():
        yield below(
            f"median distance to the converged picture, {steps} steps, CFG 7",
            {"DPM++ 2M Karras": row["distance"]},
            {name: named[name][steps]["distance"] for name in RIVALS},
        )


def order(measures: Measures) -> Iterator[Line]:
    named = {name: by_steps(rows) for name, rows in measures.get("order", {}).items()}
    for evaluations in named.get("Euler", {}):
        yield below(
            f"median distance to the converged picture, {evaluations} evaluations, CFG 7",
            {name: named[name][evaluations] for name in ("DPM++ 2M", "UniPC")},
            {name: named[name][evaluations] for name in ("Euler", "DDIM")},
        )


def high_guidance(measures: Measures) -> Iterator[Line]:
    for name, row in measures.get("high guidance", {}).items():
        yield at_least(f"object, {name}, 12 steps, CFG {row['cfg']:g}", row["object"], 0.9)


def open_prompt(measures: Measures) -> Iterator[Line]:
    if "open prompt" not in measures:
        return
    row = measures["open prompt"]
    before, after = row["without"]["pyramid"], row["with"]["pyramid"]
    yield at_least(f"pyramids in `{row['prompt']}`", before, 0.25)
    name = f"the same with negative `{row['negative']}`"
    # Where there was none, a negative prompt has taken none away.
    yield Line(name, "under 3.0 %", percent(after), after < 0.03 and before >= 0.25)
    share = row["without"]["none"]
    yield Line("pictures of it without any object", "few", percent(share), share < 0.2)


def ranking(measures: Measures) -> Iterator[Line]:
    if "ranking" in measures:
        share = measures["ranking"]["first before nine others"]
        yield at_least("CLIP: right caption before nine others", share, 0.95)


def speed(measures: Measures) -> Iterator[Line]:
    if "speed" in measures:
        row = measures["speed"]
        yield at_most("20 steps, CFG 7: an image alone", row["alone"], 0.6, " s")
        yield at_most("the same in a batch of 16", row["in a batch of 16"], 0.19, " s")


def flow_steps(measures: Measures) -> Iterator[Line]:
    if "flow steps" not in measures:
        return
    named = {name: by_steps(rows) for name, rows in measures["flow steps"].items()}
    for steps, row in named["Euler"].items():
        yield at_least(f"object, Euler, {steps} steps", row["object"], 0.9)
    yield below(
        "median distance to the converged picture, 8 steps",
        {"Heun": named["Heun"][8]["distance"]},
        {"Euler": named["Euler"][8]["distance"]},
    )


def shift(measures: Measures) -> Iterator[Line]:
    if "shift" in measures:
        apart = measures["shift"]["8 steps"]
        text = f"{apart:.2f} of 255"
        yield Line("difference of `shift=1,3` at 8 steps", "at least 2", text, apart >= 2)
