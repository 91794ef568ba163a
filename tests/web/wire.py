"""HTTP and WebSockets byte by byte, for what no decent client would send."""

from __future__ import annotations

import json
import os
import socket
import struct
from contextlib import closing
from typing import Any


def raw(port: int, head: str, body: bytes = b"", timeout: float = 30) -> tuple[int, str]:
    """Status and text of the answer to these very bytes; 0 where none came."""
    with closing(socket.create_connection(("127.0.0.1", port), timeout=timeout)) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode("latin-1") + body)
        return read_answer(connection, body=not head.startswith("HEAD "))


def read_answer(connection: socket.socket, *, body: bool = True) -> tuple[int, str]:
    """The same of what a connection has been sent; without a `body`, of its headers."""
    data = b""
    while b"\r\n\r\n" not in data:
        more = connection.recv(1 << 16)
        if not more:
            return 0, ""
        data += more
    head, _, content = data.partition(b"\r\n\r\n")
    claimed = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    length = int(claimed[0].split(b":")[1]) if claimed else 0
    while body and len(content) < length:
        more = connection.recv(1 << 16)
        if not more:
            break
        content += more
    return int(head.split()[1]), content.decode(errors="replace")


def handshake(port: int, path: str = "/socket") -> str:
    return (
        f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        "Sec-WebSocket-Version: 13\r\n\r\n"
    )


class WebSocket:
    """A client of RFC 6455 that can say anything."""

    def __init__(self, port: int, path: str = "/socket") -> None:
        self.connection = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.connection.sendall(handshake(port, path).encode())
        self._data = b""
        head = self._until(b"\r\n\r\n")
        self.status = int(head.split()[1])

    def send(self, message: Any, code: int = 1) -> None:
        """A frame with text, bytes, or anything else as JSON."""
        if not isinstance(message, str | bytes):
            message = json.dumps(message)
        data = message.encode("utf-8", "surrogatepass") if isinstance(message, str) else message
        if len(data) < 126:
            size = bytes([0x80 | len(data)])
        elif len(data) < 1 << 16:
            size = struct.pack("!BH", 0x80 | 126, len(data))
        else:
            size = struct.pack("!BQ", 0x80 | 127, len(data))
        mask = os.urandom(4)
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(data))
        self.connection.sendall(bytes([0x80 | code]) + size + mask + masked)

    def read(self) -> dict[str, Any]:
        """The next message. Raises EOFError where the server has hung up."""
        while True:
            code, data = self._frame()
            if code == 1:
                message: dict[str, Any] = json.loads(data)
                return message
            if code == 8:
                raise EOFError

    def _frame(self) -> tuple[int, bytes]:
        first, size = self._take(2)
        length = size & 127
        if length == 126:
            (length,) = struct.unpack("!H", self._take(2))
        elif length == 127:
            (length,) = struct.unpack("!Q", self._take(8))
        return first & 15, self._take(length)

    def until(self, **fields: Any) -> dict[str, Any]:
        """The next message that has these fields."""
        while True:
            message = self.read()
            if fields.items() <= message.items():
                return message

    def settle(self) -> None:
        """Waits until the server has seen all that was sent."""
        self.send("", code=9)
        while self._frame()[0] != 10:
            continue

    def close(self) -> None:
        self.connection.close()

    def _take(self, count: int) -> bytes:
        while len(self._data) < count:
            self._more()
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def _until(self, end: bytes) -> bytes:
        while end not in self._data:
            self._more()
        head, _, self._data = self._data.partition(end)
        return head

    def _more(self) -> None:
        more = self.connection.recv(1 << 16)
        if not more:
            raise EOFError
        self._data += more
