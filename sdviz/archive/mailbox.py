"""A queue between the engine's thread and the archive's, bounded by the memory that it holds."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Mailbox(Generic[T]):
    """First in, first out. `put` waits while more than `limit` bytes are queued."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._held = 0
        self._items: deque[tuple[T, int]] = deque()
        self._changed = threading.Condition()

    def put(self, item: T, size: int = 0) -> None:
        """Queues an item of `size` bytes; one above the limit goes in when nothing else is."""
        with self._changed:
            while self._held and self._held + size > self._limit:
                self._changed.wait()
            self._items.append((item, size))
            self._held += size
            self._changed.notify_all()

    def get(self, until: float | None = None) -> T | None:
        """The next item; None where none comes before `until` on time.monotonic's clock."""
        with self._changed:
            while not self._items:
                left = None if until is None else until - time.monotonic()
                if left is not None and left <= 0:
                    return None
                self._changed.wait(left)
            item, size = self._items.popleft()
            self._held -= size
            self._changed.notify_all()
            return item
