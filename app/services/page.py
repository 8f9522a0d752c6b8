"""A page of a list, as every service returns it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LAST_PAGE = 1000  # by number: the database walks over all that is before it


@dataclass(frozen=True)
class Page:
    """Some rows of a list.

    :ivar items: the models, in order.
    :ivar total: how many there are in all; None where nobody counted.
    :ivar next: the query arguments of the page after it, None at the end.
    :ivar prev: the query arguments of the page before it, None at the start.
    :ivar limit: how many rows were asked for.
    """

    items: list[Any]
    total: int | None = None
    next: dict[str, Any] | None = None
    prev: dict[str, Any] | None = None
    limit: int = 0

    @classmethod
    def numbered(cls, items: list[Any], total: int, page: int, per_page: int) -> Page:
        """A page by its number, from 1."""
        more, some_before = page * per_page < total and page < LAST_PAGE, page > 1
        next, prev = {"page": page + 1}, {"page": page - 1}
        return cls(items, total, next if more else None, prev if some_before else None, per_page)
