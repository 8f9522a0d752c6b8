"""Requests: near cache, far cache, flights, and where the current generations come from."""

from __future__ import annotations

from collections.abc import Iterator

from .state import Connection, Flight, Process, Reader, State, World, current, put, union

Step = tuple[str, str, State]
IDLE = Reader()


def reader_steps(world: World, state: State, index: int) -> Iterator[Step]:
    """What one thread of a web process can do next; it asks for the same address again and again."""
    reader = state.readers[index]
    steps = {
        "idle": arrives,
        "looking": looks,
        "selecting": looks,
        "lapsed": lapses,
        "found": finds,
        "filling": fills,
        "filled": keeps,
    }
    if reader.at in steps:
        yield from ((f"reader {index}", what, after) for what, after in steps[reader.at](world, state, index))


def becomes(state: State, index: int, reader: Reader, **changes: object) -> State:
    return state._replace(readers=put(state.readers, index, reader), **changes)


def arrives(world: World, state: State, index: int) -> Iterator[tuple[str, State]]:
    """What was answered before now must be in its answer (I1); directly, also what anyone was shown (I2)."""
    floor = union(state.answered, state.seen) if world.mode == "direct" else state.answered
    yield "request begins", looking(world, state, index, Reader(floor=floor))


def looking(world: World, state: State, index: int, reader: Reader) -> State:
    """The clock is taken here, as early as can be: any later and a page is trusted for less long."""
    now = state.clocks[world.processes[world.readers[index]]] if world.mode == "leased" else 0
    return becomes(state, index, Reader("looking", now, reader.floor))


def looks(world: World, state: State, index: int) -> Iterator[tuple[str, State]]:
    """Directly: one SELECT. Leased: checked_at, then the generations one after the other."""
    reader = state.readers[index]
    if world.mode == "direct":
        yield from looks_directly(world, state, index)
        return
    order = ["checked_at", *range(world.slots)]
    if world.fault == "checked_at read last":
        order = [*order[1:], "checked_at"]
    what = order[len(reader.noted)]
    host = world.processes[world.readers[index]]
    page = state.pages[host]
    if what != "checked_at":
        noted = (*reader.noted, page.generations[what])
    elif trusted(world, state, host, reader):
        noted = (*reader.noted, NO_GENERATION)
    elif world.only_generations:
        yield "lease has lapsed", becomes(state, index, IDLE)
        return
    else:
        yield "lease has lapsed", becomes(state, index, Reader("lapsed", 0, reader.floor))
        return
    step = "reads checked_at" if what == "checked_at" else "reads a generation"
    if len(noted) == len(order):
        found = tuple(number for number in noted if number != NO_GENERATION)
        if world.only_generations:
            yield step, answers(world, state, index, found)
        else:
            yield step, becomes(state, index, Reader("found", 0, reader.floor, found))
    else:
        yield step, becomes(state, index, reader._replace(noted=noted))


def looks_directly(world: World, state: State, index: int) -> Iterator[tuple[str, State]]:
    """PostgreSQL: one SELECT. SQLite: the stamp, and a SELECT only if the last one was under another."""
    reader, number = state.readers[index], world.readers[index]
    if not world.stamps:
        yield "reads the generations", becomes(state, index, reader._replace(at="found", noted=current(state.db)))
        return
    process = state.processes[number]
    late = world.fault == "stamp read last"
    if reader.at == "looking":
        state, stamp = stamped(world, state, index)
        if process.validated and process.validated[0] == stamp:
            after = reader._replace(at="found", noted=process.validated[1])
            yield "nothing was committed since", becomes(state, index, after)
        else:
            noted = current(state.db) if late else ()
            yield "reads the stamp", becomes(state, index, reader._replace(at="selecting", stamp=stamp, noted=noted))
        return
    state, stamp = stamped(world, state, index) if late else (state, reader.stamp)
    noted = reader.noted if late else current(state.db)
    processes = put(state.processes, number, process._replace(validated=(stamp, noted)))
    after = reader._replace(at="found", noted=noted, stamp=None)
    yield "reads the generations", becomes(state, index, after, processes=processes)


def stamped(world: World, state: State, index: int) -> tuple[State, object]:
    """Another one after every commit; a connection's own count of changes is none, unless kept with the connection."""
    if world.fault != "data_version compared between connections":
        return state, state.db.rows
    connection = state.connections[index]
    if connection.noticed != state.db.rows:
        connection = Connection(connection.version + bool(connection.noticed), state.db.rows)
    return state._replace(connections=put(state.connections, index, connection)), connection.version


NO_GENERATION = -7  # in `noted`, where checked_at was read


def trusted(world: World, state: State, host: int, reader: Reader) -> bool:
    page = state.pages[host]
    if world.fault == "lapsed trusted":
        return page.checked_at >= 0
    same_boot = page.boot == state.boots[host] or world.fault == "page of another boot"
    return same_boot and page.checked_at >= 0 and reader.arrived - page.checked_at < world.lease


def lapses(world: World, state: State, index: int) -> Iterator[tuple[str, State]]:
    """The agent may have been nudged in time; else one direct check for all that wait when it starts."""
    reader, number = state.readers[index], world.readers[index]
    process, host = state.processes[number], world.processes[number]
    if trusted(world, state, host, reader._replace(arrived=state.clocks[host])):
        yield "looks again", looking(world, state, index, reader)
    if process.check is None:
        readers = tuple(
            other._replace(at="sharing") if other.at == "lapsed" and world.readers[i] == number else other
            for i, other in enumerate(state.readers)
        )
        checking = put(state.processes, number, process._replace(check=current(state.db)))
        yield "direct check", state._replace(readers=readers, processes=checking)
    elif world.fault == "check begun before":
        yield "shares a direct check", becomes(state, index, reader._replace(at="sharing"))


def finds(world: World, state: State, index: int) -> Iterator[tuple[str, State]]:
    """Near cache, far cache (which may always have nothing, or be down), else a flight."""
    reader, number = state.readers[index], world.readers[index]
    process = state.processes[number]
    if process.near and process.near[0] == reader.noted:
        yield "near hit", answers(world, state, index, process.near[1])
        return
    for key, body in state.far:
        if key == far_key(world, reader.noted):
            kept = put(state.processes, number, process._replace(near=(reader.noted, body)))
            yield "far hit", answers(world, state._replace(processes=kept), index, body)
    if process.flight:
        yield "waits for a flight", waits(world, state, index)
        return
    there = frozenset(
        i for i, other in enumerate(state.readers) if i != index and other.at != "idle" and world.readers[i] == number
    )
    flying = put(state.processes, number, process._replace(flight=Flight(index, there)))
    yield "leads a flight", becomes(state, index, reader._replace(at="filling"), processes=flying)


def waits(world: World, state: State, index: int) -> State:
    """He takes its result if it began after he arrived; or, as sound, if it noted the generations that he noted."""
    reader, number = state.readers[index], world.readers[index]
    process = state.processes[number]
    flight = process.flight
    if world.joins_by == "generations":
        same = state.readers[flight.leader].noted == reader.noted
        flight = flight._replace(arrived=flight.arrived | {index} if same else flight.arrived - {index})
    waiting = reader._replace(at="joined", noted=())
    return becomes(state, index, waiting, processes=put(state.processes, number, process._replace(flight=flight)))


def far_key(world: World, noted: tuple[int, ...]) -> tuple[int, ...]:
    return () if world.fault == "far without generations" else noted


def fills(world: World, state: State, index: int) -> Iterator[tuple[str, State]]:
    """READ COMMITTED: a statement for each slot, each with its own snapshot."""
    reader = state.readers[index]
    body = (*reader.body, state.db.rows[len(reader.body)])
    at = "filled" if len(body) == world.slots else "filling"
    yield "reads rows", becomes(state, index, reader._replace(at=at, body=body))


def keeps(world: World, state: State, index: int) -> Iterator[tuple[str, State]]:
    """Near and far, under what was noted; then it answers, and so do those who may take the flight's result."""
    reader, number = state.readers[index], world.readers[index]
    noted, body = reader.noted, reader.body
    if world.fault == "noted after the query":
        noted = current(state.db) if world.mode == "direct" else state.pages[world.processes[number]].generations
    # An old dump of Redis may bring back the first body ever kept under a key: that one stays.
    key = far_key(world, noted)
    far = state.far if not world.far or any(known == key for known, _ in state.far) else state.far | {(key, body)}
    flight = state.processes[number].flight
    landed = put(state.processes, number, state.processes[number]._replace(near=(noted, body), flight=None))
    after = answers(world, state._replace(far=far, processes=landed), index, body)
    joined = "keeps and answers"
    for other, waiting in enumerate(state.readers):
        if waiting.at == "joined" and world.readers[other] == number:
            if other in flight.arrived or world.fault == "flight begun before":
                joined = "keeps and answers those who joined"
                after = answers(world, after, other, body)
            else:
                after = looking(world, after, other, waiting)
    yield joined, after


def answers(world: World, state: State, index: int, body: tuple[int, ...]) -> State:
    """Its client has the answer: is all in it that must be?"""
    floor = state.readers[index].floor
    stale = state.stale
    if any(must & ~has for must, has in zip(floor, body, strict=True)):
        stale = f"STALE: reader {index} had to be shown {floor} and was shown {body}"
    seen = union(state.seen, body) if world.mode == "direct" else state.seen
    processes = state.processes
    number = world.readers[index]
    flight = processes[number].flight
    if flight and index in flight.arrived:  # its next request will arrive after that flight began
        gone = flight._replace(arrived=flight.arrived - {index})
        processes = put(processes, number, processes[number]._replace(flight=gone))
    return becomes(state, index, IDLE, seen=seen, stale=stale, processes=processes)


def process_steps(world: World, state: State, number: int) -> Iterator[Step]:
    """A direct check answers those who share it; the process is killed, its requests with it."""
    process = state.processes[number]
    if process.check is not None:
        readers = tuple(
            Reader("found", 0, reader.floor, process.check)
            if reader.at == "sharing" and world.readers[i] == number
            else reader
            for i, reader in enumerate(state.readers)
        )
        processes = put(state.processes, number, process._replace(check=None))
        yield f"process {number}", "direct check answers", state._replace(readers=readers, processes=processes)
    if world.crashes and process != Process():
        readers = tuple(IDLE if world.readers[i] == number else reader for i, reader in enumerate(state.readers))
        killed = put(state.processes, number, Process())
        yield f"process {number}", "process killed", state._replace(readers=readers, processes=killed)
