"""The words by which posts are found: tags and categories, with how many posts have them."""

from __future__ import annotations

import unicodedata
from typing import Any

from sqlalchemy import func, select

from app.models import Post, PostTag
from app.services.page import Page, Place
from app.services.posts import LIVE


def spelled(text: str) -> str:
    """A tag in its one spelling, whatever the text's case, width and blanks: NFKC and casefold (Unicode §3.13)."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())  # else a name sent back may become another


def tags(limit: int, cursor: Place | None, total: bool) -> Page:
    """The tags of published posts, the most used first: one statement, and one for the total."""
    used = select(PostTag.name.label("name"), func.count().label("posts")).join(Post, Post.id == PostTag.post_id)
    return _counted(used.where(LIVE).group_by(PostTag.name), limit, cursor, total, "tags")


def categories(limit: int, cursor: Place | None, total: bool) -> Page:
    """The categories of published posts, the most used first: one statement, and one for the total."""
    used = select(Post.category.label("name"), func.count().label("posts")).where(LIVE).group_by(Post.category)
    return _counted(used, limit, cursor, total, "categories")


def _counted(used: Any, limit: int, cursor: Place | None, total: bool, sort: str) -> Page:
    counted = used.subquery()
    rows, order = select(counted.c.name, counted.c.posts), [(counted.c.posts, True), (counted.c.name, False)]
    return Page.placed(rows, order, limit=limit, cursor=cursor, total=total, sort=sort)
