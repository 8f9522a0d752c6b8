"""The near cache: the entries that this process used last, bounded in number and in bytes."""

from __future__ import annotations

import threading
from collections import OrderedDict

from app.caching.entry import Entry


class NearCache:
    """A least-recently-used map from key to entry. At most one entry a key: the newest."""

    def __init__(self, most_entries: int, most_bytes: int) -> None:
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._entries: OrderedDict[str, Entry] = OrderedDict()
        self._lock = threading.Lock()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> Entry | None:
        """The entry kept under the key, current or not."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
            return entry

    def put(self, entry: Entry) -> None:
        """Keep an entry in the place of the key's former one; drop the longest unused while it is too much."""
        with self._lock:
            former = self._entries.pop(entry.key, None)
            self.bytes += entry.size - (former.size if former else 0)
            self._entries[entry.key] = entry
            while self.bytes > self._most_bytes or len(self._entries) > self._most_entries:
                _, dropped = self._entries.popitem(last=False)
                self.bytes -= dropped.size

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()
            self.bytes = 0
