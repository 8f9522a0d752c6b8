"""A variant of an answer: the validated arguments it was made with, in one spelling."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode


class Validated(dict[str, Any]):
    """The validated arguments of a query.

    :ivar text: the query string that says just that; neither order nor defaults nor noise are in it.
    """

    def __init__(self, arguments: Mapping[str, Any], text: str) -> None:
        super().__init__(arguments)
        self.text = text


def text_of(arguments: Mapping[str, Any]) -> str:
    """The query string of a handler's arguments; empty where it takes none."""
    return getattr(arguments.get("query"), "text", "")


def variant_of(arguments: Mapping[str, Any]) -> str:
    """The name of the variant: the path's arguments, then the query's."""
    path = urlencode(sorted((name, value) for name, value in arguments.items() if name != "query"))
    return "&".join(part for part in (path, text_of(arguments)) if part)


def key_of(endpoint: str | None, owner: int | None, variant: str) -> str:
    """The key of an entry: the route, whose it is, the variant."""
    return f"{endpoint}:{variant}" if owner is None else f"{endpoint}:user={owner}:{variant}"
