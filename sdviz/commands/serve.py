"""The command `python -m sdviz.serve`: the Visdom server in the foreground, or its end."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from sdviz.errors import BoardError, ConfigError, ConfigErrors, SdvizError
from sdviz.plan.config import VisdomConfig

USAGE = """\
sdviz serve: the Visdom page of your sweeps

  python -m sdviz.serve                          serve until Ctrl-C, on visdom.port=6006
  python -m sdviz.serve outputs/<name> ...       and show these archives
  python -m sdviz.serve --stop [visdom.port=N]   end the server that a sweep left in the background

Keys (as in python -m sdviz.sweep):
  visdom.port=6006          the port
  visdom.listen=false       true: reachable from other machines; the page then asks for a login
  visdom.hosts=[]           further names under which the page is reached, such as [gpu.example.com]
  visdom.base_url=          path below which a proxy puts the page, such as /proxy/6006
  visdom.username=sdviz     asked for when visdom.listen=true
  visdom.password=          drawn and printed when empty
  visdom.max_windows=60     windows of single cells on a sweep's page
"""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 for what cannot be done."""
    given = sys.argv[1:] if arguments is None else arguments
    if "-h" in given or "--help" in given:
        print(USAGE)
        return 0
    try:
        stop = "--stop" in given
        rest = [argument for argument in given if argument != "--stop"]
        config, archives = parse(rest)
        if stop:
            return _stop(config.port if any(a.startswith("visdom.port=") for a in rest) else None)
        return _serve(config, archives)
    except SdvizError as error:
        for one in error.each():
            print(f"error: {one}", file=sys.stderr)
        return error.exit_status


def parse(arguments: list[str]) -> tuple[VisdomConfig, list[Path]]:
    """The keys and the archives of the command line. Raises ConfigErrors with all that is wrong."""
    given: dict[str, Any] = {}
    archives: list[Path] = []
    errors: list[SdvizError] = []
    for argument in arguments:
        key, sign, value = argument.partition("=")
        try:
            if sign and key.startswith("visdom.") and not Path(argument).exists():
                given[key.removeprefix("visdom.")] = _read(key, value)
            else:
                archives.append(_archive(argument))
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise ConfigErrors(errors)
    return replace(VisdomConfig(), **given), archives


def _read(key: str, text: str) -> Any:
    name = key.removeprefix("visdom.")
    text = text.strip("'\"")
    if name in ("port", "max_windows"):
        least, most = (1, 65535) if name == "port" else (0, 1000)
        if not text.isdigit() or not least <= int(text) <= most:
            raise ConfigError(f"{key}={text}: not a whole number from {least} to {most}", key=key)
        return int(text)
    if name in ("listen", "enabled"):
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"{key}={text}: neither true nor false", key=key)
        return text.lower() == "true"
    if name == "hosts":
        return tuple(host.strip(" '\"") for host in text.strip("[]").split(",") if host.strip())
    if name in ("base_url", "username", "password"):
        return text
    raise ConfigError(
        f"{key}: there is no such key; python -m sdviz.serve --help lists them", key=key
    )


def _archive(argument: str) -> Path:
    path = Path(argument)
    if (path / "sweep.db").is_file():
        return path
    if path.name == "sweep.db" and path.is_file():
        return path.parent
    raise ConfigError(
        f"{argument}: neither a key (visdom.port=6006) nor an archive (a folder with a sweep.db)"
    )


def _serve(config: VisdomConfig, archives: list[Path]) -> int:
    from sdviz.web.client.launch import register, server_on, settings_of
    from sdviz.web.client.ports import look

    found = look(config.port)
    if found.kind == "board":
        server = server_on(config.port)
        print(f"A board is running already: {server.url()}")
        for path in archives:
            name = register(server, path, path.name, config.max_windows)
            print(f"{path}: {server.url(f'/env/{name}')}")
        print(f"It ends with: python -m sdviz.serve --stop visdom.port={config.port}")
        return 0
    if found.kind == "visdom":
        raise BoardError(
            f"visdom.port={config.port} is held by a Visdom that sdviz did not start; end it, or "
            "take another port",
            key="visdom.port",
        )
    from sdviz.web.server.app import Settings
    from sdviz.web.server.server import run

    told = settings_of(config)
    settings = Settings(**told)

    def ready(application: Any) -> None:
        base = f"http://127.0.0.1:{config.port}{settings.base_url}"
        print(f"Visdom: {base}/   (Ctrl-C ends it)", flush=True)
        if settings.password:
            print(f"Login: {settings.username} / {settings.password}", flush=True)
        for path in archives:
            name = application.registry.add(path, path.name)
            application.follow(name, config.max_windows)
            print(f"{path}: {base}/env/{name}", flush=True)

    run(settings, ready)
    return 0


def _stop(port: int | None) -> int:
    from sdviz.web.client.launch import running, stop

    ports = running() if port is None else [port]
    ended = [port for port in ports if stop(port)]
    for port in ended:
        print(f"Ended the board on visdom.port={port}.")
    if not ended:
        print(
            "No board is running."
            if port is None
            else f"No board is running on visdom.port={port}."
        )
    return 0
