"""The command `python -m sdviz.serve`: the Visdom server in the foreground, or its end."""

from __future__ import annotations

import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from sdviz.archive.paths import DATABASE
from sdviz.commands.terminal import guarded, say, say_error, say_text
from sdviz.errors import BoardError, ConfigError, ConfigErrors, SdvizError
from sdviz.plan.config import VisdomConfig, patterned

USAGE = """\
sdviz serve: the Visdom page of your sweeps

  python -m sdviz.serve                          serve on visdom.port=6006 until Ctrl-C
  python -m sdviz.serve outputs/<name> ...       show these archives too
  python -m sdviz.serve --stop [visdom.port=N]   end the server that a sweep left in the background

Keys (as in python -m sdviz.sweep):
  visdom.port=6006          the port
  visdom.listen=false       true: other machines can reach the page, with a login
  visdom.hosts=[]           more host names of the page, such as [gpu.example.com]
  visdom.base_url=          path below which a proxy serves the page, such as /proxy/6006
  visdom.username=sdviz     login name with visdom.listen=true
  visdom.password=          login password; a random one is printed if empty
  visdom.max_windows=60     limit for windows of single cells on a page
"""


def main(arguments: list[str] | None = None) -> int:
    """Returns the exit status: 0, or 2 for what cannot be done."""
    with guarded(lasting=True):
        return _main(sys.argv[1:] if arguments is None else arguments)


def _main(arguments: list[str]) -> int:
    if "-h" in arguments or "--help" in arguments:
        say_text(USAGE)
        return 0
    try:
        stop = "--stop" in arguments
        rest = [argument for argument in arguments if argument != "--stop"]
        config, archives = parse(rest)
        if stop:
            return _stop(config.port if any(a.startswith("visdom.port=") for a in rest) else None)
        return _serve(config, archives)
    except SdvizError as error:
        say_error(error)
        return error.exit_status


def parse(arguments: list[str]) -> tuple[VisdomConfig, list[Path]]:
    """The keys and the archives of the command line. Raises ConfigErrors with all that is wrong."""
    values: dict[str, Any] = {}
    archives: list[Path] = []
    errors: list[SdvizError] = []
    for argument in arguments:
        key, sign, value = argument.partition("=")
        try:
            if sign and key.startswith("visdom.") and not Path(argument).exists():
                values[key.removeprefix("visdom.")] = _read(key, value)
            else:
                archives.append(_archive(argument))
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise ConfigErrors(errors)
    return replace(VisdomConfig(), **values), archives


def _read(key: str, text: str) -> Any:
    name = key.removeprefix("visdom.")
    text = text.strip("'\"")
    if name in ("port", "max_windows"):
        least, most = (1, 65535) if name == "port" else (0, 1000)
        if not text.isdigit() or not least <= int(text) <= most:
            raise ConfigError(
                f"{key}={text}: must be a whole number from {least} to {most}", key=key
            )
        return int(text)
    if name in ("listen", "enabled"):
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"{key}={text}: must be true or false", key=key)
        return text.lower() == "true"
    rules = {field.name: field.metadata for field in fields(VisdomConfig)}
    if name == "hosts":
        hosts = [host.strip(" '\"") for host in text.strip("[]").split(",") if host.strip()]
        return tuple(patterned(rules[name], host, text, key) for host in hosts)
    if name in ("base_url", "username", "password"):
        return patterned(rules[name], text, text, key)
    raise ConfigError(f"{key}: no such key; python -m sdviz.serve --help lists them", key=key)


def _archive(argument: str) -> Path:
    path = Path(argument)
    if (path / DATABASE).is_file():
        return path
    if path.name == DATABASE and path.is_file():
        return path.parent
    raise ConfigError(
        f"{argument}: not a key (visdom.port=6006) and not an archive (a folder with sweep.db)"
    )


def _serve(config: VisdomConfig, archives: list[Path]) -> int:
    from sdviz.web.client.launch import register, server_on, settings_of
    from sdviz.web.client.ports import look

    listener = look(config.port)
    if listener.kind == "board":
        server = server_on(config.port)
        say(f"The server is already running: {server.url()}")
        for path in archives:
            name = register(server, path, path.name, config.max_windows)
            say(f"{path}: {server.url(f'/env/{name}')}")
        say(f"To stop it: python -m sdviz.serve --stop visdom.port={config.port}")
        return 0
    if listener.kind == "visdom":
        raise BoardError(
            f"visdom.port={config.port} is used by a Visdom server that sdviz did not start; stop "
            "it, or choose another port",
            key="visdom.port",
        )
    from sdviz.web.server.app import Settings
    from sdviz.web.server.server import run

    values = settings_of(config)
    settings = Settings(**values)

    def ready(application: Any) -> None:
        base = f"http://127.0.0.1:{config.port}{settings.base_url}"
        say(f"Visdom: {base}/   (Ctrl-C ends it)")
        if settings.password:
            say(f"Login: {settings.username} / {settings.password}")
        for path in archives:
            name = application.registry.add(path, path.name)
            application.follow(name, config.max_windows)
            say(f"{path}: {base}/env/{name}")

    run(settings, ready)
    return 0


def _stop(port: int | None) -> int:
    from sdviz.web.client.launch import running, stop

    ports = running() if port is None else [port]
    ended = [port for port in ports if stop(port)]
    for port in ended:
        say(f"Stopped the server on visdom.port={port}.")
    if not ended:
        say(
            "No server is running."
            if port is None
            else f"No server is running on visdom.port={port}."
        )
    return 0
