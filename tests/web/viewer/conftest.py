"""A server of synthetic sweeps and a real Chromium, shared by all tests of the viewer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, Playwright

from tests.web.viewer import synthetic
from tests.web.viewer.server import Sweeps

CHROMIUM = "/usr/bin/chromium"


@pytest.fixture(scope="session")
def sweeps() -> Iterator[Sweeps]:
    server = Sweeps()
    yield server
    server.close()


@pytest.fixture(scope="module")
def sweep() -> dict[str, Any]:
    """Samplers against CFG scales."""
    return synthetic.description({"sampler": synthetic.SAMPLERS, "cfg": synthetic.CFG})


@pytest.fixture(scope="module")
def grid(sweeps: Sweeps, sweep: dict[str, Any]) -> str:
    """The address of `sweep`."""
    return sweeps.add("grid", sweep)


@pytest.fixture(scope="session")
def browser(browsers: Playwright) -> Iterator[Browser]:
    chromium = browsers.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
    yield chromium
    chromium.close()


@pytest.fixture
def open_page(browser: Browser) -> Iterator[Callable[..., Page]]:
    """Opens an address; at the end no page may have had an error, a failed request or a warning."""
    contexts = []
    troubles: list[str] = []

    def opened(
        address: str,
        *,
        width: int = 1280,
        height: int = 800,
        wait: str = ".cell img[src]",
        **more: object,
    ) -> Page:
        context = browser.new_context(viewport={"width": width, "height": height}, **more)  # type: ignore[arg-type]
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(8000)
        page.on(
            "console",
            lambda told: troubles.append(told.text) if told.type in ("error", "warning") else None,
        )
        page.on("pageerror", lambda error: troubles.append(str(error)))
        # A picture that is no longer wanted is not loaded to its end; nobody misses it.
        page.on(
            "requestfailed",
            lambda failed: (
                troubles.append(f"{failed.url} {failed.failure}")
                if failed.failure != "net::ERR_ABORTED"
                else None
            ),
        )
        page.on(
            "response",
            lambda answer: (
                troubles.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None
            ),
        )
        page.troubles = troubles  # type: ignore[attr-defined]
        page.goto(address)
        if wait:
            page.wait_for_selector(wait)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not troubles, troubles
