"""The page behind proxies that put it below a path, frames and sockets included."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from sdviz.plan.config import VisdomConfig
from sdviz.web.client.launch import ensure, register
from tests.web.proxy import reverse_proxy
from tests.web.visdom.test_page import eventually, finished, sheet_pictures

pytestmark = pytest.mark.browser


@pytest.mark.parametrize("strip", [True, False], ids=["stripped", "left in place"])
def test_whole_page_below_a_path(port: int, outputs: Path, page: Any, strip: bool) -> None:
    config = VisdomConfig(port=port, base_url="/proxy/6006/", hosts=("localhost",))
    path = finished(outputs, f"proxied-{strip}", {"cfg": [3, 7]})
    name = register(ensure(config), path, path.name, 60)
    with reverse_proxy(port, "/proxy/6006", strip=strip, host="127.0.0.1") as proxy:
        # The browser says "localhost", the proxy tells the server "127.0.0.1".
        page.goto(f"http://localhost:{proxy}/proxy/6006/env/{name}")
        page.get_by_text("online").wait_for()
        eventually(lambda: page.locator("img.content-image").count() == 2)
        eventually(lambda: len(sheet_pictures(page)) == 2)
        shown = page.locator("img.content-image").first
        assert shown.get_attribute("src").startswith("/proxy/6006/sdviz/")
        eventually(lambda: shown.evaluate("image => image.complete && image.naturalWidth") == 64)
        page.close()
