"""What was measured, as a table for people, JSON for programs, and the machine it was measured on."""

from __future__ import annotations

import operator
import os
import platform
import re
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("flask", "flask-restx", "flask-caching", "sqlalchemy", "marshmallow", "orjson", "granian", "psycopg")
BOUNDS = {">=": operator.ge, "<=": operator.le}


@dataclass(frozen=True)
class Line:
    """One figure, with another to compare it with where there is one.

    :ivar wanted: `>= 2` of the ratio; of the figure itself where there is nothing to compare with. `>= 25 (8)`: 8 is
        the least that will do.
    :ivar samples: what the figures were made of.
    """

    database: str
    what: str
    mine: str
    value: float
    unit: str
    other: str
    other_value: float | None
    wanted: str
    samples: dict[str, Any]

    @property
    def ratio(self) -> float | None:
        """How many times the other; None also where nothing of the other was answered in time."""
        return None if not self.other_value else self.value / self.other_value

    @property
    def verdict(self) -> str:
        """Whether it is as wanted; empty where nothing is."""
        if not self.wanted:
            return ""
        sign, *bounds = self.wanted.replace("(", "").replace(")", "").split()
        measured = self.value if self.other_value is None else self.ratio or 0.0
        met = [BOUNDS[sign](measured, float(bound)) for bound in bounds]
        return "yes" if met[0] else "least" if met[-1] else "NO"


def as_markdown(lines: list[Line]) -> str:
    """Ratios first, absolute numbers beside them; as wide as its cells, so that a terminal shows it as well."""
    head = ["database", "what", "ratio", "wanted", "", "measured", "against"]
    rows = [head, *(cells(line) for line in lines)]
    widths = [max(len(row[n]) for row in rows) for n in range(len(head))]
    shown = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in rows
    ]
    return "\n".join([shown[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *shown[1:]])


def cells(line: Line) -> list[str]:
    """Its row of the table."""
    ratio = "" if line.ratio is None else f"{line.ratio:.2f}x"
    against = "" if line.other_value is None else f"{line.other}: {_figure(line.other_value)} {line.unit}"
    mine = f"{line.mine}: {_figure(line.value)} {line.unit}"
    return [line.database, line.what, ratio, line.wanted, line.verdict, mine, against]


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def as_json(lines: list[Line], notes: list[str], machine: dict[str, Any]) -> dict[str, Any]:
    """Everything, samples too."""
    rows = [vars(line) | {"ratio": line.ratio, "verdict": line.verdict} for line in lines]
    return {"machine": machine, "notes": notes, "lines": rows}


def machine() -> dict[str, Any]:
    """Where it is measured, and how busy it is before."""
    return {
        "cpu": _cpu(),
        "cores": len(os.sched_getaffinity(0)),
        "load": os.getloadavg()[0],
        "system": platform.platform(),
        "python": platform.python_version(),
        "wrk": _first_line(["wrk", "-v"]).partition(" [")[0],
        "packages": {name: version(name) for name in PACKAGES},
    }


def _cpu() -> str:
    found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.machine()


def _first_line(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout or done.stderr).partition("\n")[0]
