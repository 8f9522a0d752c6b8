"""What this process keeps, bounded in number and in bytes: entries, addresses, verified tokens."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Hashable, Iterator
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)
Value = TypeVar("Value")


class _Kept(Generic[Value]):
    __slots__ = ("asked", "size", "value")

    def __init__(self, value: Value, size: int) -> None:
        self.value, self.size, self.asked = value, size, False


class Clock(Generic[Key, Value]):
    """A map that makes room by CLOCK (Corbató 1968): the oldest goes, unless it was asked for since it was looked at
    last; then it becomes the newest. So a hit takes no lock and moves nothing.

    While it is full, a newcomer is let in when it comes for the second time: a flood of keys that nobody asks for
    again (TinyLFU's doorkeeper, Einziger 2017) drives nothing out.

    :ivar bytes: the sum of the sizes.
    """

    def __init__(self, most: int, most_bytes: int) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._kept: OrderedDict[Key, _Kept[Value]] = OrderedDict()
        self._turned_away: set[int] = set()
        self._lock = threading.Lock()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Value]:
        with self._lock:
            return iter([kept.value for kept in self._kept.values()])

    def get(self, key: Key) -> Value | None:
        """What is kept under the key."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        kept.asked = True
        return kept.value

    def put(self, key: Key, value: Value, size: int) -> None:
        """Keep a value of that many bytes in the place of the key's former one."""
        with self._lock:
            former = self._kept.get(key)
            if size > self._most_bytes or (former is None and self._is_turned_away(key, size)):
                self._drop(key)
                return
            kept = _Kept(value, size)
            kept.asked = former is not None and former.asked
            self.bytes += size - (former.size if former else 0)
            self._kept[key] = kept
            self._kept.move_to_end(key)
            while self._is_over(0, 0):
                self._pass(key)

    def resize(self, key: Key, value: Value, size: int) -> None:
        """The value has grown, if it is still the one that is kept."""
        with self._lock:
            kept = self._kept.get(key)
            if kept is not None and kept.value is value:
                self.bytes += size - kept.size
                kept.size = size
                while self._is_over(0, 0):
                    self._pass(None)

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._kept.clear()
            self._turned_away.clear()
            self.bytes = 0

    def _is_over(self, more: int, bytes: int) -> bool:
        return len(self._kept) + more > self._most or self.bytes + bytes > self._most_bytes

    def _is_turned_away(self, key: Key, size: int) -> bool:
        """Whether a newcomer has to come again."""
        if not self._is_over(1, size) or hash(key) in self._turned_away:
            return False
        if len(self._turned_away) >= self._most:
            self._turned_away.clear()
        self._turned_away.add(hash(key))
        return True

    def _pass(self, newest: Key | None) -> None:
        """Look at the oldest: it goes, or becomes the newest. What has just come stays: there is room for it alone."""
        key, kept = next(iter(self._kept.items()))
        if kept.asked or key == newest:
            kept.asked = False
            self._kept.move_to_end(key)
        else:
            self._drop(key)

    def _drop(self, key: Key) -> None:
        if (kept := self._kept.pop(key, None)) is not None:
            self.bytes -= kept.size
