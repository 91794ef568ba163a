"""A Visdom page in headless Chromium, and clocks inside it that stop when pixels are painted."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from typing import Any

from playwright.sync_api import Page, sync_playwright

from experiments.latency.memory import descendants, proportional

# A frame that an animation callback draws is on the screen when the next message is handled.
_TOOLS = """
window.painted = () => new Promise((done) => requestAnimationFrame(() => {
    const channel = new MessageChannel();
    channel.port1.onmessage = () => done(performance.timeOrigin + performance.now());
    channel.port2.postMessage(0);
}));
window.viewer = () => {
    const element = document.querySelector(".sdviz");
    return element && element.shadowRoot && element.shadowRoot.querySelector(".app");
};
window.settled = () => {
    const app = viewer() && viewer().sdvizApp;
    if (!app || !app.state || app.frame) return false;
    const views = [...app.views.sheet.views.values()];
    return views.length > 0 && views.every((view) => {
        const step = app.stepOf(view.cell);
        const { image } = view;
        return step === null
            || (image.dataset.step === String(step) && image.complete && image.naturalWidth > 0);
    });
};
window.whenSettled = async () => {
    while (!settled()) await new Promise(requestAnimationFrame);
    return painted();
};
"""

# Notes when the page first shows each step of each cell: [cell, step, seconds since the epoch].
_WATCH = """
window.shown = [];
window.watch = () => {
    if (!viewer()) return requestAnimationFrame(watch);
    const known = new Map();
    const look = async () => {
        const fresh = [];
        for (const image of viewer().querySelectorAll(".sheet .cell img[src][data-step]")) {
            if (!image.complete || !image.naturalWidth) continue;
            const cell = Number(image.closest("[data-cell]").dataset.cell);
            const step = Number(image.dataset.step);
            if (known.get(cell) === step) continue;
            known.set(cell, step);
            fresh.push([cell, step]);
        }
        if (fresh.length) {
            const at = (await painted()) / 1000;
            for (const one of fresh) shown.push([...one, at]);
        }
        requestAnimationFrame(look);
    };
    look();
};
watch();
"""


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """A browser without a screen; it can reach this machine alone."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    rules = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox", rules])
        yield browser
        browser.close()


def new_page(browser: Any, *, watch: bool = False) -> Page:
    """An empty page of 1280 x 900 pixels with the clocks in it."""
    page: Page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(120_000)
    page.add_init_script(_TOOLS + (_WATCH if watch else ""))
    return page


def browser_memory(page: Page) -> dict[str, int]:
    """Bytes: `heap` of the page's JavaScript, `processes` of the whole browser."""
    session = page.context.new_cdp_session(page)
    session.send("HeapProfiler.collectGarbage")
    session.send("Performance.enable")
    told = session.send("Performance.getMetrics")["metrics"]
    return {
        "heap": next(int(one["value"]) for one in told if one["name"] == "JSHeapUsedSize"),
        "processes": proportional(descendants(os.getpid())),
    }
