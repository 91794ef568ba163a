"""What a person sees on the viewer's page, asked of Chromium."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Locator, Page

_PICTURES = """(all) => all.filter((image) => {
    const box = image.getBoundingClientRect();
    return box.width && box.bottom > 0 && box.right > 0
        && box.top < innerHeight && box.left < innerWidth;
}).map((image) => ({
    cell: Number(image.closest("[data-cell]").dataset.cell),
    step: image.dataset.step,
    width: image.complete ? image.naturalWidth : 0,
}))"""


def pictures(page: Page) -> list[dict[str, Any]]:
    """Cell, step (0: the final image) and natural width of every picture in view."""
    return page.locator(".cell img").evaluate_all(_PICTURES)  # type: ignore[no-any-return]


def steps(page: Page) -> dict[int, int]:
    """The step that each cell in view shows, once all are painted."""
    page.wait_for_function(_SETTLED)
    return {one["cell"]: int(one["step"]) for one in pictures(page)}


ROOT = "document.querySelector('.sdviz').shadowRoot"  # what is inside the viewer's element
_SETTLED = """() => {
    const app = document.querySelector(".sdviz").shadowRoot.querySelector(".app").sdvizApp;
    const views = [...app.views.sheet.views.values()];
    return !app.frame && views.every((view) => {
        const step = app.stepOf(view.cell);
        const { image } = view;
        const shown = image.complete && image.naturalWidth > 0;
        return step === null || (image.dataset.step === String(step) && shown);
    });
}"""


def drag_slider(page: Page, slider: Locator, part: float) -> None:
    """Drags the slider's knob with the mouse to `part` (0..1) of its way."""
    box = slider.bounding_box()
    assert box
    value, high = (
        float(slider.evaluate(f"element => element.{name}")) for name in ("value", "max")
    )
    knob = 16
    at = [box["x"] + knob / 2 + share * (box["width"] - knob) for share in (value / high, part)]
    middle = box["y"] + box["height"] / 2
    page.mouse.move(at[0], middle)
    page.mouse.down()
    page.mouse.move(at[1], middle, steps=4)
    page.mouse.up()


def screenshot(part: Page | Locator) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """(height, width, 3) uint8 of what is painted."""
    return np.asarray(Image.open(io.BytesIO(part.screenshot())).convert("RGB"))


def press(page: Page, *keys: str) -> None:
    page.locator(".app").first.focus()
    for key in keys:
        page.keyboard.press(key)
