"""A few lines that are drawn over and over; where there is no terminal, now and then below each other."""

from __future__ import annotations

import sys

UP, CLEAR = "\x1b[{}A", "\x1b[2K"


class Screen:
    """The last `height` lines of the terminal."""

    def __init__(self, height: int) -> None:
        self._live = sys.stdout.isatty()
        self._height = height
        self._drawn = False
        self.every = 0.25 if self._live else 2.0

    def show(self, lines: list[str]) -> None:
        """Draw them in the place of those before."""
        if self._live:
            up = UP.format(self._height) if self._drawn else ""
            sys.stdout.write(up + "".join(f"{CLEAR}{line}\n" for line in lines))
        else:
            sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
        self._drawn = True
