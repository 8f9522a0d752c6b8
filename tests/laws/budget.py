"""The lines of each room against its budget (HOUSE): `python -m tests.laws.budget` prints them, `make check` runs it.

Who raises a bound writes why in an ADR.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUDGET = {"app": 14_200, "app/caching": 3200}  # ADR 7, 8, 11, 12, 13
LONGEST_FILE = 400
LONGEST_FUNCTION = 40


def lines(path: Path) -> int:
    """The file's lines."""
    return len(path.read_text().splitlines())


def sources(room: str) -> list[Path]:
    """The Python files of a room and of those inside it."""
    return sorted((ROOT / room).rglob("*.py"))


def over_long() -> Iterator[str]:
    """What is longer than a file or a function may be, a line each."""
    for path in [*sources("app"), *sources("processes"), *sources("tests"), ROOT / "config.py", ROOT / "run.py"]:
        name = path.relative_to(ROOT)
        if lines(path) > LONGEST_FILE:
            yield f"{name} has {lines(path)} lines, {LONGEST_FILE} at most"
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                length = (node.end_lineno or 0) - node.lineno + 1
                if length > LONGEST_FUNCTION:
                    yield f"{name}:{node.lineno} {node.name} has {length} lines, {LONGEST_FUNCTION} at most"


def main() -> int:
    """Print the table; 1 if anything is over its bound."""
    faults = list(over_long())
    rooms = ["app", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "app").iterdir() if (p / "__init__.py").exists())]
    for room in rooms:
        total, bound = sum(map(lines, sources(room))), BUDGET.get(room)
        print(f"{room:16} {total:5}" + (f" of {bound}" if bound else ""))
        if bound and total > bound:
            faults.append(f"{room} has {total} lines, {bound} at most")
    print("\n".join(faults), file=sys.stderr, end="\n" if faults else "")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
