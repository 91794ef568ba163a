"""Memory of processes, as Linux tells it."""

from __future__ import annotations

from pathlib import Path


def resident(pid: int) -> int:
    """Bytes of a process that are in memory, shared pages in full."""
    return _bytes(Path(f"/proc/{pid}/status"), "VmRSS:")


def proportional(pids: list[int]) -> int:
    """Bytes of several processes, pages that they share counted once in all."""
    return sum(_bytes(Path(f"/proc/{pid}/smaps_rollup"), "Pss:") for pid in pids)


def descendants(pid: int) -> list[int]:
    """The processes that `pid` has started, and theirs."""
    parents: dict[int, int] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            # The name before the parent's number may hold spaces, but ends with a bracket.
            told = (folder / "stat").read_text().rpartition(")")[2].split()
            parents[int(folder.name)] = int(told[1])
        except OSError:
            continue  # ended meanwhile
    found, fresh = [], [pid]
    while fresh:
        fresh = [child for child, parent in parents.items() if parent in fresh]
        found += fresh
    return found


def _bytes(file: Path, field: str) -> int:
    try:
        lines = file.read_text().splitlines()
    except OSError:
        return 0
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
