"""Writers, and the folding of old moves."""

from __future__ import annotations

from collections.abc import Iterator

from .state import MARGIN, State, World, Writer, put, union, xmin, xor

Step = tuple[str, str, State]


def writer_steps(world: World, state: State, index: int) -> Iterator[Step]:
    """BEGIN and append the moves, COMMIT, wait, answer; killed anywhere; the client's replay if no answer came."""
    writer, who = state.writers[index], f"writer {index}"
    host = world.writers_on[index]
    now = state.clocks[host]

    def becomes(after: Writer, **changes: object) -> State:
        return state._replace(writers=put(state.writers, index, after), **changes)

    if writer.at == "ready":
        xid = state.db.next_xid
        yield who, "appends its moves", becomes(Writer("moved", xid), db=state.db._replace(next_xid=xid + 1))
    elif writer.at == "moved":
        # The clock is noted as COMMIT returns: any later and it only waits for longer.
        yield who, "COMMIT", becomes(committer(world, index, now), db=committed(world, state, index))
        if world.crashes:
            yield who, "rolls back", becomes(Writer("over"))
    elif writer.at == "waiting":
        if may_answer(world, state, host, writer):
            answered = union(state.answered, shown(world, index))
            yield who, "answer sent", becomes(Writer("over"), answered=answered)
        if world.crashes:
            yield who, "killed before its answer", becomes(Writer("lost"))
    elif writer.at == "lost":
        yield who, "replay finds it done", becomes(Writer("replayed" if world.fault == "replay" else "waiting", 0, now))
    elif writer.at == "replayed":
        yield who, "answer sent", becomes(Writer("over"), answered=union(state.answered, shown(world, index)))


def committer(world: World, index: int, now: int) -> Writer:
    return Writer("over") if index in world.beside else Writer("waiting", 0, now)


def shown(world: World, index: int) -> tuple[int, ...]:
    """By slot, the bit of this writer where it changes something."""
    return tuple((slot in world.writers[index]) << index for slot in range(world.slots))


def committed(world: World, state: State, index: int):
    """Its rows and its moves become visible at one moment."""
    db, xid = state.db, state.writers[index].xid
    moves = db.moves | {(xid, slot, 1 << index) for slot in world.writers[index]}
    return db._replace(rows=union(db.rows, shown(world, index)), moves=moves)


def may_answer(world: World, state: State, host: int, writer: Writer) -> bool:
    """No page can be trusted any more that was checked before the commit."""
    if world.mode == "direct" or world.fault == "no wait":
        return True
    waited = state.clocks[host] - writer.since
    if world.many and world.fault != "many as one":
        return waited >= world.lease + (MARGIN if world.fault != "no margin" else 0)
    page = state.pages[host]
    checked = page.checked_at + (world.fault == "check of the same tick")
    return waited >= world.lease or (checked > writer.since and page.boot == state.boots[host])


def fold_steps(world: World, state: State, folder: int) -> Iterator[Step]:
    """One round: one statement, under the lock. Its moves were all over when the round before looked: atomic here."""
    if not state.db.moves:
        return
    db, now = state.db, xmin(state)
    horizon = now if world.fault == "fold by the present xmin" else state.horizons[folder]
    old = {move for move in db.moves if move[0] < horizon}
    upto = horizon if world.fault == "upto goes back" else max(db.upto, horizon)
    after = db._replace(base=xor(db.base, old), moves=db.moves - old, upto=upto)
    folded = state._replace(db=after, horizons=put(state.horizons, folder, now))
    yield f"folder {folder}", "folds moves" if old else "notes its horizon", folded
