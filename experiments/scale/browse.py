"""A report as a person goes through it, in Chromium: opened, scrolled, denoised."""

from __future__ import annotations

import time
from pathlib import Path

_SCREENS = 40  # places along the whole sheet at which it is looked at
_SHEET = "document.querySelector('.sdviz').shadowRoot.querySelector('.sheet')"
_SCROLL = f"""(part) => {{
    const sheet = {_SHEET};
    sheet.scrollTop = (sheet.scrollHeight - sheet.clientHeight) * part;
    sheet.scrollLeft = (sheet.scrollWidth - sheet.clientWidth) * part;
}}"""
_WHOLE = f"""(step) => {{
    const shown = (image) => image.dataset.step === step && image.complete && image.naturalWidth;
    const cells = [...{_SHEET}.querySelectorAll(".cell img")];
    return cells.length && cells.every(shown);
}}"""


def browse(page_file: Path) -> None:
    """Prints how long the page takes to open, and each screen of it at two stops of the slider."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        print("playwright is not installed: the report is not opened")
        return
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox"]
        )
        page = chromium.new_context(offline=True).new_page()
        page.set_default_timeout(120_000)
        began = time.perf_counter()
        page.goto(page_file.as_uri())
        page.wait_for_selector(".cell img")
        page.wait_for_function(_WHOLE, arg="0")
        print(f"{'report opened':<34} {time.perf_counter() - began:8.2f} s")
        for stop, key, step in (("final images", "End", "0"), ("first step", "Home", "1")):
            page.locator(".slider").first.focus()
            page.keyboard.press(key)
            worst = 0.0
            for screen in range(_SCREENS):
                began = time.perf_counter()
                page.evaluate(_SCROLL, screen / (_SCREENS - 1))
                page.evaluate("() => new Promise(requestAnimationFrame)")
                page.wait_for_function(_WHOLE, arg=step)
                worst = max(worst, time.perf_counter() - began)
            print(f"{'  a screen, at the ' + stop:<34} {worst:8.2f} s at most, {_memory()} MB")
        chromium.close()


def _memory() -> int:
    """Megabytes of the largest of the browser's pages that run on this machine."""
    largest = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if b"--type=renderer" in (process / "cmdline").read_bytes():
                pages = int((process / "statm").read_text().split()[1])
                largest = max(largest, pages * 4096 // 1_000_000)
        except OSError:
            continue  # it has ended meanwhile
    return largest
