"""`make hammer`: each world for its share of the minutes, with faults, then its control; a table. 1 if it is wrong."""

from __future__ import annotations

import argparse
import random
import sys

from .report import Progress, table
from .run import Hammer, Result
from .worlds import WORLDS, world

CONTROL_SECONDS = 10.0


def main() -> int:
    """Hammer."""
    parser = argparse.ArgumentParser(prog="python -m tests.caching.hammer")
    parser.add_argument("--minutes", type=float, default=3, help="of all worlds together, their controls apart")
    parser.add_argument("--worlds", nargs="+", choices=WORLDS, default=WORLDS)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="of the faults and the clients")
    asked = parser.parse_args()
    print(f"--seed {asked.seed}", flush=True)
    results: list[Result] = []
    for name in asked.worlds:
        with world(name) as made:
            hammer = Hammer(made, seed=asked.seed)
            hammer.progress = Progress(f"{name}, control")
            results.append(hammer.unprotected(CONTROL_SECONDS))
            hammer.progress = Progress(name)
            results.append(hammer.protected(60 * asked.minutes / len(asked.worlds)))
        print(f"\n{table(results[-2:])}", flush=True)
    print(f"\n{table(results)}\n--seed {asked.seed}")
    return 0 if all(result.is_as_it_should for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
