"""A reverse proxy as rented servers have them: another name, a path in front, WebSockets too."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(65536):
            writer.write(chunk)
            await writer.drain()
    with contextlib.suppress(OSError):
        writer.close()


def _rewritten(head: bytes, prefix: str, *, strip: bool, host: str) -> bytes:
    first, *lines = head.decode().split("\r\n")
    method, path, version = first.split(" ")
    assert path.startswith(prefix), path
    upgrade = any(line.lower() == "connection: upgrade" for line in lines)
    kept = [line for line in lines if not line.lower().startswith(("host:", "connection:"))]
    path = (path[len(prefix) :] or "/") if strip else path
    own = [f"Host: {host}", f"Connection: {'Upgrade' if upgrade else 'close'}"]
    return "\r\n".join([f"{method} {path} {version}", *own, *kept]).encode()


@contextlib.contextmanager
def reverse_proxy(target: int, prefix: str, *, strip: bool, host: str) -> Iterator[int]:
    """Forwards prefix/... to the port `target` under the Host name `host`; yields its own port."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            out_reader, out_writer = await asyncio.open_connection("127.0.0.1", target)
            writers.append(out_writer)
            out_writer.write(_rewritten(head, prefix, strip=strip, host=host))
            await asyncio.gather(_pipe(reader, out_writer), _pipe(out_reader, writer))
        except (OSError, asyncio.IncompleteReadError):
            pass  # one side has left
        finally:
            for one in writers:
                one.close()

    async def main() -> None:
        nonlocal port, loop, stop
        loop, stop = asyncio.get_running_loop(), asyncio.Event()
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            port = server.sockets[0].getsockname()[1]
            ready.set()
            await stop.wait()
            server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

    port = 0
    loop: asyncio.AbstractEventLoop | None = None
    stop: asyncio.Event | None = None
    ready = threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(main()), daemon=True)
    thread.start()
    assert ready.wait(5) and loop is not None and stop is not None
    try:
        yield port
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(5)
