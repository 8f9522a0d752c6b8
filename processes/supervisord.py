"""supervisord in the foreground, whose every line says who spoke: `python -m processes.supervisord -n -c FILE`.

Three things are ours. supervisord copies what its children say without their names; it starts all at once, where the
others have to wait for `web` to have migrated the database; and it looks around once a second only.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import Any

from supervisor import events, loggers
from supervisor import supervisord as upstream
from supervisor.medusa.asyncore_25 import ExitNow
from supervisor.options import ServerOptions
from supervisor.states import SupervisorStates

from processes.speech import UP_TO_DATE, say

LOOK_EVERY = 0.1  # seconds; supervisord's own 1 is waited for at the start and up to four times at the end
UNREMARKABLE = (
    b"entered RUNNING state",  # that it was spawned has been said
    b"oO0OoO0OoO0Oo",
    b"WARNING Memory overcommit must be enabled",  # advice to those who give Redis a machine
    b"which seems quite high compared to the number of CPU cores",  # THREADS: they wait for the database
)


def tell(name: str, line: bytes) -> None:
    """Print the line, unless it says nothing to whoever has started us."""
    if not any(words in line for words in UNREMARKABLE):
        say(name, line)


class Own(loggers.Handler):
    """What supervisord says itself."""

    def emit(self, record: Any) -> None:
        tell("supervisor", record.asdict()["message"].encode())


class Supervisor(upstream.Supervisor):
    """supervisord that prints what its children say under their names, and starts most of them after `web`."""

    def __init__(self, options: ServerOptions) -> None:
        super().__init__(options)
        self.unfinished: dict[str, bytes] = {}
        self.up_to_date = self.gave_up = False

    def runforever(self) -> None:
        """Called by supervisord once, when it has dropped all subscribers."""
        self.options.logger.addHandler(Own())
        self.subscribe()
        poll = self.options.poller.poll
        self.options.poller.poll = lambda timeout: poll(min(timeout, LOOK_EVERY))
        super().runforever()

    def subscribe(self) -> None:
        """Hear what children say, and when they end by themselves."""
        events.subscribe(events.ProcessLogEvent, self.heard)
        events.subscribe(events.ProcessStateExitedEvent, self.ended)
        events.subscribe(events.ProcessStateBackoffEvent, self.ended)

    def heard(self, event: Any) -> None:
        """A child has written some bytes."""
        name = event.process.config.name
        *lines, self.unfinished[name] = (self.unfinished.get(name, b"") + event.data).split(b"\n")
        for line in lines:
            tell(name, line)
        if name == "web" and UP_TO_DATE.encode() in lines:
            self.start_the_others()

    def start_the_others(self) -> None:
        """From now on supervisord starts, at its next look around, what was not to start by itself."""
        self.up_to_date = True
        for group in self.process_groups.values():
            for process in group.processes.values():
                process.config.autostart = True

    def ended(self, event: Any) -> None:
        """A child has ended by itself: a line that it had only begun will have no end."""
        name = event.process.config.name
        if rest := self.unfinished.pop(name, b""):
            tell(name, rest)
        if name == "web" and not self.up_to_date:
            self.gave_up = True  # to try again would end in the same way
            self.options.mood = SupervisorStates.SHUTDOWN


def main() -> None:
    """Run until a signal ends it; SIGHUP too, for then its terminal is gone. Exit status 1 if `web` could not begin."""
    options = ServerOptions()
    options.realize(sys.argv[1:], doc=__doc__)
    options.first, options.test = True, False
    supervisor = Supervisor(options)
    with suppress(ExitNow):
        supervisor.main()
    sys.exit(int(supervisor.gave_up))


if __name__ == "__main__":
    main()
