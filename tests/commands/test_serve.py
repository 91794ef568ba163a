"""The command `python -m sdviz.serve`, as a person types it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from sdviz.commands.serve import main, parse
from sdviz.errors import ConfigErrors
from sdviz.plan.config import VisdomConfig
from sdviz.web.client.ports import ask, look
from tests.archive import sweeps


def test_help_loads_little() -> None:
    command = [sys.executable, "-X", "importtime", "-m", "sdviz.serve", "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "--stop" in done.stdout and "visdom.hosts" in done.stdout
    assert not {"torch", "visdom", "tornado", "numpy"} & set(done.stderr.replace("|", " ").split())


def test_serves_archives_in_the_foreground_until_ctrl_c(port: int, outputs: Path) -> None:
    archive = sweeps.write(outputs, "foreground", sweeps.make_plan({"cfg": [3, 7]})).path
    command = [sys.executable, "-m", "sdviz.serve", f"visdom.port={port}", str(archive)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        assert process.stdout.readline().startswith(f"Visdom: http://127.0.0.1:{port}/")
        assert process.stdout.readline().rstrip().endswith("/env/foreground")
        found = {one["name"]: one for one in ask(port, "GET", "/sdviz/sweeps")["sweeps"]}
        assert found["foreground"]["url"] == "sweep/foreground/"
        process.send_signal(signal.SIGINT)
        assert process.wait(10) == 0
        assert process.stderr.read() == ""


def test_stop_ends_it_with_and_without_the_port(
    port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, "-m", "sdviz.serve", f"visdom.port={port}"]
    for given in ([f"visdom.port={port}"], []):
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            process.stdout.readline()
            if given:
                assert main(["--stop", *given]) == 0
                assert f"visdom.port={port}" in capsys.readouterr().out
            else:  # other boards of this test run must live
                assert main(["--stop", f"visdom.port={port}"]) == 0
            assert process.wait(10) == 0
        assert look(port).kind == "free"
    assert main(["--stop", f"visdom.port={port}"]) == 0
    assert "No server is running" in capsys.readouterr().out


def test_reads_keys_and_archives(outputs: Path) -> None:
    archive = sweeps.write(outputs, "parsed", sweeps.make_plan({"cfg": [3]})).path
    config, archives = parse(
        ["visdom.port=7001", "visdom.hosts=[a.example, b.example]", str(archive)]
    )
    assert config == VisdomConfig(port=7001, hosts=("a.example", "b.example"))
    assert archives == [archive]


def test_reports_everything_that_is_wrong_at_once() -> None:
    with pytest.raises(ConfigErrors) as error:
        parse(["visdom.port=0", "visdom.prot=1", "visdom.listen=maybe", "outputs/nothing"])
    text = str(error.value)
    for part in ("visdom.port=0", "visdom.prot", "visdom.listen=maybe", "outputs/nothing"):
        assert part in text


def test_refuses_with_status_2(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["visdom.port=99999"]) == 2
    assert "from 1 to 65535" in capsys.readouterr().err
