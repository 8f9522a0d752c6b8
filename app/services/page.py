"""Pages of a list, by number or by a place in it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import ColumnElement, Select, and_, func, or_, select, tuple_

from app.errors import FieldError, Invalid
from app.extensions import db

LAST_PAGE = 1000  # by number: the database walks over all that is before it
BIGGEST = 2**63 - 1
LAST_INSTANT = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)  # where no time is, in an order by time
Value = datetime | int | str
Order = Sequence[tuple[Any, bool]]  # columns, each with whether it descends; together they are unique


@dataclass(frozen=True)
class Place:
    """A place in a sorted list: the values of a row by which the list is sorted, and whether the page is before it.

    Its text is the opaque cursor.
    """

    sort: str
    values: tuple[Value, ...]
    back: bool = False

    def __str__(self) -> str:
        values = [{"at": v.isoformat()} if isinstance(v, datetime) else v for v in self.values]
        return base64.urlsafe_b64encode(orjson.dumps([self.sort, values, self.back])).decode().rstrip("=")

    @classmethod
    def parse(cls, text: str) -> Place:
        """What has this text.

        :raises ValueError: nothing has.
        """
        padded = text + "=" * (-len(text) % 4)
        sort, values, back = orjson.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
        if type(sort) is not str or type(back) is not bool or type(values) is not list:
            raise ValueError
        return cls(sort, tuple(_value(value) for value in values), back)


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

    @classmethod
    def placed(
        cls, rows: Select[Any], order: Order, *, limit: int, cursor: Place | None, total: bool = False, sort: str = ""
    ) -> Page:
        """The rows after (or before) a place, in that order: one statement, and one more where `total` is asked for.

        However far in the list, the database reads no row before the place.

        :param sort: the order's name: a cursor is good for the order that it was made in.
        :raises Invalid: the cursor is of another order.
        """
        count = db.session.scalar(select(func.count()).select_from(rows.subquery())) if total else None
        back = cursor is not None and cursor.back
        ordered = [(column, descends != back) for column, descends in order]
        if cursor is not None:
            rows = rows.where(_beyond(ordered, _fitting(cursor, sort, order)))
        rows = rows.order_by(*(column.desc() if descends else column.asc() for column, descends in ordered))
        values = [column.label(f"place_{n}") for n, (column, _) in enumerate(order)]
        found = list(db.session.execute(rows.add_columns(*values).limit(limit + 1)))
        more, found = len(found) > limit, found[:limit]
        if back:
            found.reverse()
        places = [tuple(row)[-len(values) :] for row in found]
        items = [row[0] if len(row) == len(values) + 1 else row for row in found]
        first, last = (more, True) if back else (cursor is not None, more)
        prev = {"cursor": Place(sort, places[0], back=True)} if found and first else None
        next = {"cursor": Place(sort, places[-1])} if found and last else None
        return cls(items, count, next, prev, limit)


def _value(value: Any) -> Value:
    """A value as it stands in a cursor: bounded, and none that a database refuses."""
    if type(value) is dict and list(value) == ["at"] and type(value["at"]) is str:
        instant = datetime.fromisoformat(value["at"])
        if instant.tzinfo is None:
            raise ValueError
        return instant.astimezone(UTC)
    if type(value) is int and 0 <= value <= BIGGEST:
        return value
    if type(value) is str and "\x00" not in value:
        return value
    raise ValueError


def _fitting(cursor: Place, sort: str, order: Order) -> tuple[Value, ...]:
    kinds = [column.type.python_type for column, _ in order]
    if cursor.sort != sort or [type(value) for value in cursor.values] != kinds:
        raise Invalid(errors=(FieldError("cursor", "invalid", "Is a cursor of another list"),))
    return cursor.values


def _beyond(order: Order, values: tuple[Value, ...]) -> ColumnElement[bool]:
    """The rows after these values. The first column is bounded on its own too, for its index."""
    columns = [column for column, _ in order]
    if len({descends for _, descends in order}) == 1:  # a row value: databases answer it from one index
        here = tuple_(*columns)
        return here < values if order[0][1] else here > values
    beyond: ColumnElement[bool] | None = None
    for (column, descends), value in reversed(list(zip(order, values, strict=True))):
        strictly = column < value if descends else column > value
        beyond = strictly if beyond is None else or_(strictly, and_(column == value, beyond))
    assert beyond is not None
    return and_(columns[0] <= values[0] if order[0][1] else columns[0] >= values[0], beyond)
