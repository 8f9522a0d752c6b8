"""Manuscripts: Markdown files with front matter, as Hugo, Jekyll and Zola keep posts."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import frontmatter
import yaml
from frontmatter.default_handlers import BaseHandler, YAMLHandler

from app.models.post import (
    BYLINE_LENGTH,
    CATEGORY_LENGTH,
    CONTENT_LENGTH,
    MOST_TAGS,
    PATH_LENGTH,
    SUMMARY_LENGTH,
    TAG_LENGTH,
    TITLE_LENGTH,
)
from app.services.tags import spelled

SUFFIXES = (".md", ".markdown")
LARGEST_FILE = 4 * CONTENT_LENGTH + 100_000  # bytes
DATE = re.compile(r"(?<!\d)(\d{4})[-/](\d\d)[-/](\d\d)(?!\d)", re.ASCII)
WORDS = ("categories", "category", "tags", "authors", "author", "aliases")
BLANK = re.compile(r"\s+")


class Unfit(Exception):
    """What is no post, or none that can be taken. Its text says why."""


class Toml(BaseHandler):
    """Front matter between `+++`; the library's own handler wants a parser that is not kept any more."""

    FM_BOUNDARY = re.compile(r"^\+{3,}\s*$", re.MULTILINE)
    START_DELIMITER = END_DELIMITER = "+++"

    def load(self, fm: str) -> dict[str, Any]:
        """:raises ValueError: it is no TOML."""
        return tomllib.loads(fm)


HANDLERS: tuple[BaseHandler, ...] = (Toml(), YAMLHandler())


@dataclass(frozen=True)
class Manuscript:
    """A post as a file gives it.

    :ivar source: what the post is known by at the next run: its `path` key, else its place below the folder.
    :ivar changes: what was altered to make it fit, a phrase each.
    """

    source: str
    title: str
    content: str
    published_at: datetime
    category: str
    tags: tuple[str, ...] = ()
    summary: str | None = None
    byline: str | None = None
    draft: bool = False
    aliases: tuple[str, ...] = ()
    changes: list[str] = field(default_factory=list, compare=False)


def files(root: Path) -> Iterator[tuple[Path, str]]:
    """Every Markdown file at or below a path, in order, with its place; each folder once, whatever links to it."""
    if not root.is_dir():
        yield root, root.name
        return
    seen: set[tuple[int, int]] = set()
    for folder, folders, names in os.walk(root, followlinks=True, onerror=_raise):
        status = os.stat(folder)
        if (status.st_dev, status.st_ino) in seen:  # a loop of symbolic links
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(SUFFIXES):
                path = Path(folder, name)
                yield path, path.relative_to(root).as_posix()


def read(path: Path, place: str) -> Manuscript:
    """Read a file.

    :raises Unfit: it is no post, or cannot be taken.
    """
    if path.stem == "_index":
        raise Unfit("a section, not a post")
    metadata, content = _parsed(_text(path))
    changes: list[str] = []
    source = _string(metadata, "path") or place
    words = {name: _words(metadata, name) for name in WORDS}
    categories = [*words["category"], *words["categories"]]
    title = _string(metadata, "title")
    if not title:
        raise Unfit("no title")
    if not content:
        raise Unfit("no text")
    if len(content) > CONTENT_LENGTH:
        raise Unfit(f"its text has {len(content)} characters, {CONTENT_LENGTH} at most")
    byline = ", ".join([*words["author"], *words["authors"]])
    return Manuscript(
        source=_short(source.strip("/"), PATH_LENGTH, "path", changes),
        title=_short(title, TITLE_LENGTH, "title", changes),
        content=content,
        published_at=_published_at(metadata, source, path.name),
        category=_short(categories[0], CATEGORY_LENGTH, "category", changes) if categories else "general",
        tags=_tags([*words["tags"], *categories[1:]], changes),
        summary=_short(_string(metadata, "description") or "", SUMMARY_LENGTH, "description", changes) or None,
        byline=_short(byline, BYLINE_LENGTH, "authors", changes) or None,
        draft=metadata.get("draft") is True,
        aliases=tuple(dict.fromkeys(alias.strip("/")[:PATH_LENGTH] for alias in words["aliases"] if alias.strip("/"))),
        changes=changes,
    )


def _text(path: Path) -> str:
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise Unfit(f"larger than {LARGEST_FILE} bytes")
        data = path.read_bytes()
    except OSError as error:
        raise Unfit(f"cannot be read: {error.strerror}") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Unfit("not UTF-8: a binary file?") from None
    if "\x00" in text:
        raise Unfit("holds the character NUL: a binary file?")
    return text.replace("\r\n", "\n")


def _parsed(text: str) -> tuple[dict[str, Any], str]:
    handler = next((handler for handler in HANDLERS if handler.detect(text.lstrip())), None)
    if handler is None:
        raise Unfit("no front matter")
    try:
        metadata, content = frontmatter.parse(text, handler=handler)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise Unfit(f"broken front matter: {reason[:200]}") from None
    taxonomies = metadata.get("taxonomies")
    return metadata | (taxonomies if isinstance(taxonomies, dict) else {}), content


def _string(metadata: dict[str, Any], name: str) -> str | None:
    value = metadata.get(name)
    if isinstance(value, (int, float)) and not isinstance(value, bool):  # `title: 1984` is a number in YAML
        value = str(value)
    return BLANK.sub(" ", value).strip() if isinstance(value, str) else None


def _words(metadata: dict[str, Any], name: str) -> list[str]:
    value = metadata.get(name)
    listed = value if isinstance(value, list) else [value]
    return [word for each in listed if (word := _string({name: each}, name))]


def _short(text: str, length: int, name: str, changes: list[str]) -> str:
    if len(text) <= length:
        return text
    changes.append(f"{name} cut to {length} characters")
    return f"{text[: length - 1]}…"


def _tags(words: list[str], changes: list[str]) -> tuple[str, ...]:
    names = [spelled(word.replace(",", " "))[:TAG_LENGTH].strip() for word in words]
    distinct = tuple(dict.fromkeys(name for name in names if name and name.isprintable()))
    if len(distinct) > MOST_TAGS:
        changes.append(f"the first {MOST_TAGS} of {len(distinct)} tags")
    return distinct[:MOST_TAGS]


def _published_at(metadata: dict[str, Any], source: str, name: str) -> datetime:
    """The `date`, else what the path or the file's name begins with; midnight in UTC where no time is said."""
    value = metadata.get("date")
    try:
        if isinstance(value, str):
            value = datetime.fromisoformat(value.strip())
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).astimezone(UTC)
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC)
        if value is not None:
            raise ValueError
        for text in (source, name):
            if found := DATE.search(text):
                return datetime(int(found[1]), int(found[2]), int(found[3]), tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Unfit("its date is none") from None
    raise Unfit("no date: neither a `date`, nor one in its path or name")


def _raise(error: OSError) -> None:
    raise error
