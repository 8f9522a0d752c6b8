"""One line of output, with the name of the process that said it."""

import sys
from contextlib import suppress

UP_TO_DATE = "the database is up to date"  # said by `web`; what needs the database starts when it is heard


def say(name: str, line: bytes | str) -> None:
    """Print the line at once. A reader of our output that has gone stops nothing."""
    text = line.encode() if isinstance(line, str) else line
    with suppress(OSError):
        sys.stdout.buffer.write(f"{name:<10} | ".encode() + text + b"\n")
        sys.stdout.buffer.flush()
