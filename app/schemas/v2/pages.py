"""v2's pages of a list."""

from typing import Any

from marshmallow import fields

from app.schemas.base import Cursor, Truth, WholeNumber
from app.schemas.v2 import SchemaV2


class PageLinksV2(SchemaV2):
    """Where the list goes on."""

    limit = fields.Integer(metadata={"example": 20})
    next = fields.String(allow_none=True, metadata={"description": "the `cursor` of the next page"})
    prev = fields.String(allow_none=True, metadata={"description": "the `cursor` of the page before"})
    total = fields.Integer(metadata={"description": "with `total=true`: how many there are in all", "example": 42})


class PageQueryV2(SchemaV2):
    """Which page of a list."""

    limit = WholeNumber(low=1, high=100, load_default=20)
    cursor = Cursor(
        load_default=None, metadata={"type": "string", "description": "`page.next` or `page.prev` of another page"}
    )
    total = Truth(words=True, load_default=False, metadata={"description": "count them all"})


def page_of(item: type[SchemaV2], name: str) -> Any:
    """The schema of a page of such items, named for Swagger."""
    content = {"items": fields.List(fields.Nested(item)), "page": fields.Nested(PageLinksV2)}
    return type(name, (SchemaV2,), {"__doc__": f"A page: {item.__doc__}"} | content)()
