"""`make bench`: how fast Broadsheet is, beside others on the same machine in the same minutes.

The server is granian for all, with two workers of four threads; wrk shares the cores with them. Absolute numbers belong
to the machine and its mood; ratios are what to compare. Nothing is asserted.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import orjson

from benchmarks import chart, delivery, footprint, kept, pages, report, writing, wrk
from benchmarks.databases import DATABASES, LEASED
from benchmarks.races import Course, Pace
from benchmarks.report import Line

RESULTS = Path(__file__).resolve().parent / "results"
RACES = ("lists", "hits", "busy", "writes", "logins")
MODULES = {"writing": writing, "kept": kept, "pages": pages, "delivery": delivery, "footprint": footprint}
PARTS = (*RACES, *MODULES)
OF_THE_DATABASE = {"lists", "logins", "pages", "delivery", "footprint"}  # the mode of the cache does not touch them


class Bench:
    """What is measured, and what there was to say."""

    def __init__(self, parts: list[str], pace: Pace) -> None:
        self._parts, self._pace = parts, pace
        self.machine = report.machine()
        self.lines: list[Line] = []
        self.notes: list[str] = []

    def run(self, database: str) -> None:
        """Measure on one database."""
        parts = [part for part in self._parts if database != LEASED or part not in OF_THE_DATABASE]
        with DATABASES[database]() as fresh:
            races = [part for part in parts if part in RACES]
            if races:
                with contextlib.ExitStack() as stack:
                    course = Course(stack, database, fresh, self._pace, self._note)
                    for part in races:
                        self._add(getattr(course, part)())
            for part in parts:
                if part in MODULES:
                    self._add(MODULES[part].lines(database, fresh, self._pace, self._note))

    def _add(self, lines: list[Line]) -> None:
        self.lines += lines
        for line in lines:
            self._note("    " + "  ".join(filter(None, report.cells(line)[1:])))

    def _note(self, text: str) -> None:
        print(text, file=sys.stderr, flush=True)
        if "not measured" in text and text not in self.notes:
            self.notes.append(text)


def main() -> None:
    """Measure, print the table, write the files."""
    options = _options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    if not wrk.is_here():
        sys.exit("The load comes from wrk, which is not on PATH: apt-get install wrk")
    _compile()
    bench = Bench(options.parts.split(","), Pace(options.seconds, options.rounds))
    with contextlib.suppress(KeyboardInterrupt):
        for database in options.databases.split(","):
            bench.run(database)
        _write(bench, options.name)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.bench", description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=2, help="of each contender's turn")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each contender; the median counts")
    parser.add_argument("--databases", default=",".join(DATABASES))
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--name", default=datetime.now(UTC).date().isoformat(), help="of the files in results/")
    return parser.parse_args()


def _compile() -> None:
    """Bytecode for everybody, or the start of each process would compile its libraries."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    places = [str(Path(sys.prefix) / "lib"), "app", "processes", "benchmarks"]
    subprocess.run([sys.executable, "-m", "compileall", "-q", *places], check=False, capture_output=True)


def _write(bench: Bench, name: str) -> None:
    table = report.as_markdown(bench.lines)
    data = report.as_json(bench.lines, bench.notes, bench.machine)
    told = "{cpu}, {cores} cores, load {load:.1f} before, Python {python}, {wrk}".format(**bench.machine)
    text = "\n".join([told, "", table, *bench.notes])
    print(f"\n{text}")
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.md").write_text(f"{text}\n")
    (RESULTS / f"{name}.json").write_bytes(orjson.dumps(data, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    (RESULTS / f"{name}.svg").write_text(chart.drawn(bench.lines, told))
    print(f"\n{RESULTS / name}.md, .json and .svg are written")


if __name__ == "__main__":
    main()
