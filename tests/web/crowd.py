"""Fifty visitors of a board, three of them hostile, as one program."""

from __future__ import annotations

import asyncio
import json
import os
import random
import sqlite3
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from tests.archive import sweeps
from tests.web.wire import handshake


@dataclass
class Seen:
    """What the visitors without malice were answered."""

    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)


def outputs(folder: Path) -> dict[str, Path]:
    """A good archive, one whose axis is as long as the page takes, and one with FIFOs for images
    and lock: {name: folder}.
    """
    plan = sweeps.make_plan({"cfg": [3, 5, 7, 9], "seed": list(range(8))}, width=128, height=128)
    made = {"good": sweeps.write(folder, "good", plan).path}
    few = sweeps.make_plan({"cfg": [3, 7]}, width=64, height=64)
    for name in ("huge", "fifo"):
        made[name] = sweeps.write(folder, name, few, reuse=False).path
    with sqlite3.connect(made["huge"] / "sweep.db") as database:
        axis = json.dumps([[f"{number:0150}"] for number in range(49_000)])
        database.execute('UPDATE axis SET "values"=?', (axis,))
    database.close()
    for file in (*made["fifo"].glob("images/*"), made["fifo"] / ".lock"):
        file.unlink()
        os.mkfifo(file)
    return made


async def visit(port: int, paths: list[str], until: float, seen: Seen | None, pause: float) -> None:
    """One visitor with one connection, as a browser has: asks for one path after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 28)
    drawn = random.Random(writer.get_extra_info("sockname")[1])
    await asyncio.sleep(drawn.uniform(0, pause))
    while time.monotonic() < until:
        path = drawn.choice(paths)
        began = time.monotonic()
        head = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAccept-Encoding: gzip\r\n\r\n"
        writer.write(head.encode())
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
        length = next(int(line[15:]) for line in lines if line.startswith("content-length:"))
        await reader.readexactly(length)
        if seen is not None:
            seen.statuses[int(lines[0].split()[1])] += 1
            seen.seconds.append(time.monotonic() - began)
        await asyncio.sleep(drawn.uniform(0, 2 * pause))
    writer.close()


async def crowd(
    port: int, sweep: dict[str, str], seconds: float, pause: float = 0.3, *, hostile: bool = True
) -> Seen:
    """What 47 visitors of the good sweep see; if `hostile`, beside one who asks for the huge
    archive, one for that with FIFOs, and a socket that never reads.

    `sweep`: {archive: its name on the page}; `pause`: mean seconds between a visitor's requests.
    """
    seen, until = Seen(), time.monotonic() + seconds
    good = f"/sdviz/sweep/{sweep['good']}"
    pairs = ",".join(f"{cell}.{step}" for cell in range(32) for step in (1, 2, 3))
    paths = [
        f"{good}/description.json", f"{good}/pack?size=small&f={pairs}", f"{good}/image/3.png",
        f"{good}/frame/5/2.webp", f"{good}/cell/4.json", "/sdviz/sweeps", "/sdviz/", "/env/main",
    ]  # fmt: skip
    huge, fifo = (f"/sdviz/sweep/{sweep[name]}" for name in ("huge", "fifo"))
    harm = [
        visit(port, [f"{huge}/description.json", f"{huge}/live?since=-1"], until, None, pause),
        visit(port, [f"{fifo}/{at}" for at in ("image/0.png", "cell/0.json")], until, None, pause),
        _deaf(port, until),
    ]
    visitors = [visit(port, paths, until, seen, pause) for _ in range(47)]
    others = harm if hostile else []
    for one in () if hostile else harm:
        one.close()
    await asyncio.gather(*others, *visitors)
    return seen


async def _deaf(port: int, until: float) -> None:
    """A socket that never reads, and windows of 100 kB for it."""
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(handshake(port).encode())
    window = {"data": [{"type": "text", "content": "x" * 100_000}], "win": "w", "eid": "main"}
    body = json.dumps(window).encode()
    head = f"POST /events HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n"
    while time.monotonic() < until:
        _, other = await asyncio.open_connection("127.0.0.1", port)
        other.write(f"{head}Connection: close\r\n\r\n".encode() + body)
        await asyncio.sleep(0.5)
        other.close()
    writer.close()
