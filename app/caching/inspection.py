"""What the cache is doing, and what a write would make stale: for operators."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

from flask import current_app
from sqlalchemy import Table

from app import metrics
from app.caching import triggers
from app.caching.coherence import Coherence
from app.caching.dependencies import FAMILIES, MAP, Stales
from app.caching.extension import CoherentCache
from app.caching.tags import Family
from app.errors import FieldError, Invalid
from app.extensions import db
from app.services.atomic import atomic

HITS = ("hit near", "hit far", "collapsed")
BY_NAME = {family.name: family for family in FAMILIES}
TABLES = {model.__tablename__: rules for model, rules in MAP.items()}  # type: ignore[attr-defined]


def overview(cache: CoherentCache) -> dict[str, Any]:
    """The state of the cache; of what is near, this process's alone."""
    coherence: Coherence = current_app.extensions["coherence"]
    with db.engine.connect() as connection:
        faults = triggers.faults(connection)
    if fault := coherence.source.fault():
        faults.append(fault)
    near = {
        "process": os.getpid(),
        "entries": len(coherence.near),
        "bytes": coherence.near.bytes,
        "most_bytes": current_app.config["CACHE_NEAR_BYTES"],
        "addresses": len(coherence.addresses),
        "tokens": len(coherence.principals),
    }
    return {
        "mode": current_app.config["CACHE_MODE"],
        "faults": faults,
        "lease": coherence.source.lease(),
        "near": near,
        "far": cache.far_state(),
        "slots": sum(len(family.slots) for family in FAMILIES),
        "routes": [_route(route, outcomes) for route, outcomes in sorted(metrics.outcomes().items())],
    }


def slots_named(tag: str) -> tuple[int, ...]:
    """The slots that stand for `posts`, `post:17` or `post` (all of them).

    :raises ValueError: there is no such tag.
    """
    name, colon, id = tag.partition(":")
    family = BY_NAME.get(name)
    if family is None or bool(colon) > bool(family.size):
        raise ValueError(f"{tag} is no tag; these are: {', '.join(_spelled(family) for family in FAMILIES)}")
    if not colon:
        return (family.slot,)
    if not (id.isascii() and id.isdigit()):
        raise ValueError(f"{tag}: say an id, as in {name}:17")
    return family.member(int(id))[1:]


def purge(tags: tuple[str, ...]) -> dict[str, Any]:
    """Make stale whatever depends on one of these tags, near and far, everywhere: how many slots have moved, and the
    generation of each tag from now on.

    :raises Invalid: there is no such tag.
    """
    try:
        slots = {tag: slots_named(tag) for tag in tags}
    except ValueError as error:
        raise Invalid(errors=(FieldError("tags", "invalid", str(error)),)) from None
    moved = sorted({slot for of in slots.values() for slot in of})
    with atomic():
        triggers.move(db.session.connection(), moved)
    current_app.extensions["coherence"].settle()
    return {"slots": len(moved), "generations": {tag: _generation(of) for tag, of in slots.items()}}


def renew() -> dict[str, Any]:
    """Make everything stale, everywhere: how many slots have moved, and the generation of each family from now on."""
    with atomic():
        triggers.rebase(db.session.connection())
    current_app.extensions["coherence"].settle()
    generations = {family.name: _generation((family.slot,)) for family in FAMILIES}
    return {"slots": sum(len(family.slots) for family in FAMILIES), "generations": generations}


def _generation(slots: tuple[int, ...]) -> str | None:
    """In hexadecimal: it has more bits than a number of JavaScript."""
    read = current_app.extensions["coherence"].source.read(slots)
    return f"{read[0]:016x}" if read else None


def effects(table: str, event: str, columns: tuple[str, ...] = (), id: int | None = None) -> dict[str, Any]:
    """What a write would make stale, without doing it: the tags, and the routes whose answers have one of them.

    :param columns: that an update changes; none: all.
    :param id: of the row, where it is known.
    :raises Invalid: there is no such table, event or column.
    """
    if table not in db.metadata.tables:
        raise Invalid(errors=(FieldError("table", "invalid", f"must be one of: {', '.join(sorted(TABLES))}"),))
    strangers = [column for column in columns if column not in db.metadata.tables[table].columns]
    if strangers:
        raise Invalid(errors=(FieldError("columns", "invalid", f"{table} has no {', '.join(strangers)}"),))
    tags: dict[str, Family] = {}
    for changed, rule in _rules(db.metadata.tables[table], event, columns, set()):
        known = id if changed == table and rule.by == "id" else None
        tags.setdefault(_spelled(rule.family, rule.by, changed, known), rule.family)
    families = set(tags.values())
    return {"tags": list(tags), "routes": sorted(_routes(families))}


def _rules(table: Table, event: str, columns: tuple[str, ...], seen: set[str]) -> Iterator[tuple[str, Stales]]:
    """The rules that a write breaks, also by what the database itself does to other tables with it."""
    seen.add(table.name)
    for rule in TABLES.get(table.name, ()):
        if event != "update" or not columns or set(columns) & {*rule.when, rule.by}:
            yield table.name, rule
    if event != "delete":
        return
    for other in db.metadata.tables.values():
        for key in other.foreign_keys:
            if key.column.table is table and key.ondelete and other.name not in seen:
                gone = key.ondelete.upper() == "CASCADE"
                yield from _rules(other, "delete" if gone else "update", () if gone else (key.parent.name,), seen)


def _spelled(family: Family, by: str | None = None, table: str = "", id: int | None = None) -> str:
    if not family.size:
        return family.name
    return f"{family.name}:{id if id is not None else f'<{table}.{by}>' if by else '<id>'}"


def _routes(families: set[Family]) -> Iterator[str]:
    for rule in current_app.url_map.iter_rules():
        view = getattr(current_app.view_functions[rule.endpoint], "view_class", None)
        tags = getattr(getattr(view, "get", None), "tags", ())
        if any(tag.family in families for tag in tags):
            yield rule.rule


def _route(route: str, outcomes: dict[str, int]) -> dict[str, Any]:
    asked, hits = sum(outcomes.values()), sum(outcomes.get(hit, 0) for hit in HITS)
    ratio = round(hits / asked, 4) if asked else None
    return {"route": route, "requests": asked, "hits": hits, "hit_ratio": ratio, "outcomes": outcomes}
