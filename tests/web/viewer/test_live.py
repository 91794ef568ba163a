"""A sweep that runs while it is looked at, on a page that is not ours."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.web.viewer import synthetic
from tests.web.viewer.screen import drag_slider, pictures
from tests.web.viewer.server import Sweeps

Open = Callable[..., Page]
pytestmark = pytest.mark.browser

# A page like Visdom's: its styles reach into everything, and it listens to everything.
PANE = """<style>
* {{ font-family: serif; color: #3b5998; font-weight: lighter }}
button {{ border-radius: 1px }}
.window {{ position: relative; width: 1000px; height: 600px }}
.content {{ position: absolute; inset: 14px 0 0 0; overflow: hidden }}
.sdviz {{ height: auto !important }}
</style>
<script>
window.leaked = [];
for (const name of ["keydown", "mousedown", "click", "wheel", "pointerdown"]) {{
  document.addEventListener(name, (event) => {{
    window.leaked.push(name);
    if (name === "keydown") event.preventDefault();
  }});
}}
</script>
<div class="window"><div class="content"><div class="content-text"><div id="inner">
<div class="sdviz" data-src="/s/{name}/description.json"></div>
</div></div></div></div>"""


def running(sweeps: Sweeps, name: str) -> str:
    return sweeps.add(
        name, synthetic.description({"sampler": ["Euler a", "Heun"], "cfg": [1, 7]}, done=False)
    )


def test_frames_appear_and_nothing_jumps(sweeps: Sweeps, open_page: Open) -> None:
    page = open_page(running(sweeps, "live"), wait=".cell")
    expect(page.locator('.cell[data-cell="0"]')).to_contain_text("waiting")
    before = page.locator(".cell").evaluate_all(
        "all => all.map(e => JSON.stringify(e.getBoundingClientRect()))"
    )
    page.wait_for_timeout(200)
    sweeps.change("live", [{"i": 0, "s": "running", "f": 3}])
    page.wait_for_selector('.cell[data-cell="0"] img[data-step="3"]')
    sweeps.change(
        "live",
        [{"i": 0, **synthetic.finished({"steps": 20, "sampler": "Euler a"}, 0)}],
        progress={"done": 1, "total": 4, "seconds_left": 3.0},
    )
    page.wait_for_selector('.cell[data-cell="0"] img[data-step="0"]')
    after = page.locator(".cell").evaluate_all(
        "all => all.map(e => JSON.stringify(e.getBoundingClientRect()))"
    )
    assert after == before


def test_a_held_slider_stays(sweeps: Sweeps, open_page: Open) -> None:
    page = open_page(running(sweeps, "held"), wait=".cell")
    sweeps.change("held", [{"i": 0, "s": "running", "f": 10}])
    page.wait_for_selector('.cell[data-cell="0"] img[data-step="10"]')
    drag_slider(page, page.locator(".slider"), 4 / 20)
    page.wait_for_selector('.cell[data-cell="0"] img[data-step="5"]')
    sweeps.change("held", [{"i": 0, "f": 11}, {"i": 1, "s": "running", "f": 2}])
    page.wait_for_selector('.cell[data-cell="1"] img[data-step="2"]')  # its newest
    assert {one["cell"]: one["step"] for one in pictures(page) if one["step"]} == {0: "5", 1: "2"}
    assert page.locator(".slider").input_value() == "4"


def test_progress_and_the_end(sweeps: Sweeps, open_page: Open) -> None:
    page = open_page(running(sweeps, "ending"), wait=".cell")
    expect(page.locator(".status")).to_contain_text("running · 0/4 cells")
    done = [{"i": i, **synthetic.finished({"steps": 20, "sampler": "Heun"}, i)} for i in range(4)]
    sweeps.change(
        "ending",
        done,
        status="finished",
        progress={"done": 4, "failed": 0, "total": 4, "seconds": 5.25},
    )
    expect(page.locator(".status")).to_have_text("finished · 4/4 cells · 5.25 s")
    page.wait_for_timeout(300)
    asked = [uri for uri in sweeps.requests if "/ending/live" in uri]
    page.wait_for_timeout(300)
    assert [
        uri for uri in sweeps.requests if "/ending/live" in uri
    ] == asked  # an ended sweep is asked no more


def test_reset_loads_the_sweep_anew(sweeps: Sweeps, open_page: Open) -> None:
    page = open_page(running(sweeps, "reset"), wait=".cell")
    page.wait_for_timeout(200)
    sweeps.sweeps["reset"]["cells"][3] |= {"s": "running", "f": 7}
    sweeps.change("reset", [], reset=True)
    page.wait_for_selector('.cell[data-cell="3"] img[data-step="7"]')


def test_a_lost_server_comes_back(sweeps: Sweeps, open_page: Open) -> None:
    page = open_page(running(sweeps, "lost"), wait=".cell")
    page.route("**/live?*", lambda route: route.abort())
    sweeps.change("lost", [])
    expect(page.locator(".status")).to_contain_text("connection lost")
    sweeps.sweeps["lost"]["cells"][2] |= {"s": "running", "f": 4}  # what happened meanwhile
    page.unroute("**/live?*")
    page.troubles.clear()  # type: ignore[attr-defined]
    page.wait_for_selector('.cell[data-cell="2"] img[data-step="4"]')
    expect(page.locator(".status")).not_to_contain_text("connection lost")


def test_it_lives_through_a_pane_that_is_made_anew(sweeps: Sweeps, open_page: Open) -> None:
    address = sweeps.add(
        "pane", synthetic.description({"sampler": [f"S{n}" for n in range(20)], "cfg": [1, 7]})
    )
    sweeps.bodies["pane"] = PANE.format(name="pane")
    page = open_page(address)
    drag_slider(page, page.locator(".slider"), 0.5)
    page.locator(".sheet").evaluate("element => element.scrollTo(0, 700)")
    page.wait_for_timeout(150)
    page.evaluate(
        "document.getElementById('inner').innerHTML = document.getElementById('inner').innerHTML"
    )
    page.wait_for_timeout(300)
    assert page.locator(".slider").input_value() == "10"
    assert page.locator(".sheet").evaluate("element => element.scrollTop") == 700
    page.locator(".cell img").first.wait_for()


def test_nothing_leaks_into_the_page_around(sweeps: Sweeps, open_page: Open) -> None:
    address = sweeps.add("quiet", synthetic.description({"cfg": [1, 7]}))
    sweeps.bodies["quiet"] = PANE.format(name="quiet")
    page = open_page(address)
    page.locator('.cell[data-cell="1"] .pic').click()
    page.keyboard.press("Home")
    expect(page.locator(".inspector .pic img")).to_have_attribute("data-step", "1")
    drag_slider(page, page.locator(".slider"), 0.5)
    page.mouse.wheel(0, 100)
    assert page.evaluate("window.leaked") == []
    box = page.locator(".app").bounding_box()
    assert box and box["width"] == 1000 and box["height"] == 586  # the whole pane, below its bar
    style = page.locator(".name").evaluate(
        "e => [getComputedStyle(e).fontFamily, getComputedStyle(e).color]"
    )
    assert "serif" not in style[0].split(",")[0] and style[1] == "rgb(236, 236, 236)"


def test_a_sweep_taken_up_again_is_noticed(sweeps: Sweeps, open_page: Open) -> None:
    sweep = synthetic.description({"cfg": [1, 7]})
    sweep["status"] = "interrupted"
    sweep["cells"][1] |= {"s": "waiting", "f": 0}
    page = open_page(sweeps.add("again", sweep))
    expect(page.locator(".status")).to_contain_text("interrupted")
    sweeps.change("again", [{"i": 1, "s": "running", "f": 2}], status="running")
    page.mouse.move(300, 300)  # somebody turns to it
    page.wait_for_selector('.cell[data-cell="1"] img[data-step="2"]')
    sweeps.change("again", [{"i": 1, "f": 3}])
    page.wait_for_selector('.cell[data-cell="1"] img[data-step="3"]')
    expect(page.locator(".status")).to_contain_text("running")
