"""Posts from manuscripts: taken once, changed when the file has changed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from sqlalchemy import delete, select

from app.extensions import db
from app.models import Imported, Post, PostAlias, PostTag, User
from app.services import manuscripts
from app.services.atomic import atomic
from app.services.manuscripts import Manuscript, Unfit
from app.services.usernames import owner

STATES = TAKEN, CHANGED, UNCHANGED, SKIPPED = "taken", "changed", "unchanged", "skipped"


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    :ivar state: `taken`, `changed`, `unchanged` or `skipped`.
    :ivar remark: why it was skipped, or what was altered to make it fit.
    """

    place: str
    state: str
    remark: str = ""


def author(name: str) -> User:
    """The user in whose name posts are imported.

    :raises Unfit: there is none of this name.
    """
    user = owner(name)
    if user is None:
        raise Unfit(f"there is no user {name}")
    return user


def take(user_id: int, path: Path, place: str) -> Outcome:
    """Import one file, whole or not at all. Nobody is told of it: these posts are old news."""
    try:
        manuscript = manuscripts.read(path, place)
    except Unfit as error:
        return Outcome(place, SKIPPED, str(error))
    with atomic():
        imported = db.session.scalar(select(Imported).where(Imported.source == manuscript.source).with_for_update())
        state = _write(user_id, manuscript, imported)
    remark = "in the trash" if state == SKIPPED else "; ".join(manuscript.changes)
    return Outcome(place, state, remark)


def _write(user_id: int, manuscript: Manuscript, imported: Imported | None) -> str:
    fingerprint = _fingerprint(manuscript)
    if imported is None:
        post = Post(user_id=user_id, tags=[PostTag(name=name) for name in manuscript.tags], **_columns(manuscript))
        db.session.add(post)
        db.session.flush()
        db.session.add(Imported(source=manuscript.source, fingerprint=fingerprint, post_id=post.id))
        _give_aliases(post.id, manuscript)
        return TAKEN
    if imported.fingerprint == fingerprint:
        return UNCHANGED
    post = db.session.get_one(Post, imported.post_id, with_for_update=True)
    if post.deleted_at is not None:
        return SKIPPED
    for name, value in _columns(manuscript).items():
        setattr(post, name, value)
    db.session.execute(delete(PostTag).where(PostTag.post_id == post.id))
    db.session.add_all(PostTag(post_id=post.id, name=name) for name in manuscript.tags)
    db.session.execute(delete(PostAlias).where(PostAlias.post_id == post.id))
    _give_aliases(post.id, manuscript)
    imported.fingerprint = fingerprint
    return CHANGED


def _give_aliases(post_id: int, manuscript: Manuscript) -> None:
    """The file's own path and its aliases, but for those that another post has already."""
    wanted = dict.fromkeys((manuscript.source, *manuscript.aliases))
    others = set(db.session.scalars(select(PostAlias.path).where(PostAlias.path.in_(wanted))))
    if others:
        manuscript.changes.append(f"{len(others)} of its addresses belong to another post")
    db.session.add_all(PostAlias(post_id=post_id, path=path) for path in wanted if path not in others)
    db.session.flush()


def _columns(manuscript: Manuscript) -> dict[str, object]:
    return {
        "title": manuscript.title,
        "content": manuscript.content,
        "category": manuscript.category,
        "summary": manuscript.summary,
        "byline": manuscript.byline,
        "draft": manuscript.draft,
        "created_at": manuscript.published_at,
        "updated_at": manuscript.published_at,
    }


def _fingerprint(manuscript: Manuscript) -> str:
    said = asdict(manuscript)
    del said["changes"]
    return hashlib.sha256(json.dumps(said, default=str, sort_keys=True).encode()).hexdigest()


def found(roots: tuple[Path, ...]) -> Iterator[tuple[Path, str]]:
    """Every Markdown file at or below these paths.

    :raises OSError: a folder cannot be read.
    """
    for root in roots:
        yield from manuscripts.files(root)
