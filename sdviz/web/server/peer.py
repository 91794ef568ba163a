"""Which user of this machine is at the other end of a connection."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))  # proc(5)
_ESTABLISHED = "01"
_ROOT = 0


def is_ours(connection: socket.socket) -> bool:
    """Whether the other end is a process of this user, or of root, on this machine.

    Linux names the user of each socket. A system that does not tell lets everybody of this machine
    pass, as docs/security.md says. Another machine is never ours.
    """
    try:
        near, far = connection.getsockname(), connection.getpeername()
    except OSError:  # it is gone
        return False
    if not (_is_loopback(far[0]) or far[0] == near[0]):
        return False
    if not any(table.exists() for table in _TABLES):
        return True
    return _user(far, near) in (os.getuid(), _ROOT)


def _user(local: tuple[str, int], remote: tuple[str, int]) -> int | None:
    """Who owns the open socket with these two ends; None where there is none.

    A socket that its process has closed belongs to nobody, and the table then says root: only open
    ones count.
    """
    wanted = {_ends(local, remote, mapped=False), _ends(local, remote, mapped=True)}
    for table in _TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            _, one, other, state, _, _, _, user, _, inode = line.split()[:10]
            if (one, other) in wanted and state == _ESTABLISHED and inode != "0":
                return int(user)
    return None


def _ends(local: tuple[str, int], remote: tuple[str, int], *, mapped: bool) -> tuple[str, str]:
    return _as_listed(local, mapped=mapped), _as_listed(remote, mapped=mapped)


def _as_listed(end: tuple[str, int], *, mapped: bool) -> str:
    """An address and port as the tables have them: 32-bit words in native byte order."""
    address = ipaddress.ip_address(end[0].partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    packed = address.packed
    if mapped and len(packed) == 4:
        packed = bytes(10) + b"\xff\xff" + packed
    words = (packed[at : at + 4] for at in range(0, len(packed), 4))
    digits = "".join(f"{int.from_bytes(word, sys.byteorder):08X}" for word in words)
    return f"{digits}:{end[1]:04X}"


def _is_loopback(host: str) -> bool:
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
