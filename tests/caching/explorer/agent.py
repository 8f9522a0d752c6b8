"""Agents, one to a host: each writes its page. And time, and what befalls a host."""

from __future__ import annotations

from collections.abc import Iterator

from .state import Agent, Page, Process, Reader, State, World, Writer, current, put, xmin, xor

Step = tuple[str, str, State]


def agent_steps(world: World, state: State, index: int) -> Iterator[Step]:
    """Note the clock, ask, write the generations, then set checked_at to the time of the question."""
    agent, host = state.agents[index], index % world.hosts
    who, page = f"agent of host {host}" + (" (old)" if index != host else ""), state.pages[host]
    now = state.clocks[host]

    def becomes(after: Agent, **changes: object) -> State:
        return state._replace(agents=put(state.agents, index, after), **changes)

    if agent.at == "down":
        yield who, "takes the lock", becomes(Agent("resting"))
        return
    if agent.at == "resting":
        yield who, "notes the clock", becomes(agent._replace(at="asking", question=now))
    elif agent.at == "asking":
        yield who, "asks what moved", becomes(told(world, state, agent))
    elif agent.at == "loading":
        yield who, "loads everything", becomes(loaded(world, state, agent))
    elif agent.at == "checked too early":
        early = page._replace(checked_at=agent.question, boot=state.boots[host])
        yield who, "sets checked_at", becomes(agent._replace(at="writes 0"), pages=put(state.pages, host, early))
    elif agent.at == "setting":
        checked_at = now if world.fault == "lease from the answer" else agent.question
        late = Page(page.generations, checked_at, state.boots[host])
        rest = agent._replace(at="resting", question=0)
        yield who, "sets checked_at", becomes(rest, pages=put(state.pages, host, late))
    else:
        yield who, "writes a generation", writes(world, state, index)
    if world.fault == "hung agent lives on" and index == host and len(state.agents) == world.hosts:
        yield who, "is taken for dead", state._replace(agents=(*put(state.agents, index, Agent()), agent))
    if world.crashes:
        yield who, "agent dies", becomes(Agent())


def writes(world: World, state: State, index: int) -> State:
    """One slot of the page."""
    agent, host = state.agents[index], index % world.hosts
    slot, page = int(agent.at.removeprefix("writes ")), state.pages[host]
    written = page._replace(generations=put(page.generations, slot, agent.known[slot]))
    if slot + 1 < world.slots:
        after = agent._replace(at=f"writes {slot + 1}")
    elif world.fault == "checked first":
        after = agent._replace(at="resting", question=0)
    else:
        after = agent._replace(at="setting")
    return state._replace(agents=put(state.agents, index, after), pages=put(state.pages, host, written))


def told(world: World, state: State, agent: Agent) -> Agent:
    """One snapshot: xmin, upto, and the moves with xid >= the xmin of the last question."""
    if not agent.xmin or (agent.xmin < state.db.upto and world.fault != "upto ignored"):
        return agent._replace(at="loading", seen=frozenset(), known=())
    moves = frozenset(move for move in state.db.moves if move[0] >= agent.xmin)
    known = xor(agent.known, moves if world.fault == "seen forgotten" else moves - agent.seen)
    return knowing(world, state, agent, known, moves)


def loaded(world: World, state: State, agent: Agent) -> Agent:
    """A snapshot of its own; the clock is still that of the question before it."""
    return knowing(world, state, agent, current(state.db), state.db.moves)


def knowing(world: World, state: State, agent: Agent, known: tuple[int, ...], moves: frozenset) -> Agent:
    """What it remembers until its next question."""
    horizon = xmin(state)
    if world.fault == "xid after the last seen":
        horizon = max((xid for xid, _, _ in moves | agent.seen), default=agent.xmin - 1 if agent.xmin else 0) + 1
    at = "checked too early" if world.fault == "checked first" else "writes 0"
    return Agent(at, agent.question, horizon, frozenset(move for move in moves if move[0] >= horizon), known)


def time_steps(world: World, state: State) -> Iterator[Step]:
    """Clocks go forward, whenever they like; two hosts' never differ by more than the margin."""
    for host, clock in enumerate(state.clocks):
        clocks = put(state.clocks, host, clock + 1)
        if clock < world.last_tick and (world.hosts == 1 or clocks[0] - clocks[1] in (0, 1)):
            yield f"clock of host {host}", "ticks", state._replace(clocks=clocks)
    if world.hosts == 1 and state.boots[0] < world.reboots:
        yield "host 0", "reboots", rebooted(state)


def rebooted(state: State) -> State:
    """CLOCK_BOOTTIME begins anew; of one host only the page, a file, is still there, and the database elsewhere."""
    lost = {"moved": Writer("over"), "waiting": Writer("lost"), "replayed": Writer("lost")}
    return state._replace(
        clocks=(0,),
        boots=(state.boots[0] + 1,),
        agents=(Agent(),),
        processes=(Process(),) * len(state.processes),
        readers=(Reader(),) * len(state.readers),
        writers=tuple(lost.get(writer.at, writer) for writer in state.writers),
    )
