"""Load, made by wrk, and races in which contenders take turns: the machine's moods meet all of them alike."""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).resolve().parent / "wrk.lua"
WARM_SECONDS = 1


@dataclass(frozen=True)
class Load:
    """What wrk asks: a script's kind and its arguments, on so many connections."""

    port: int
    path: str
    script: tuple[str, ...] = ("get",)
    connections: int = 16

    def run(self, seconds: int) -> Sample:
        """Ask for so long. RuntimeError if an answer is an error: that would not be the work we measure."""
        size = ["-t", "1", "-c", str(self.connections), "-d", f"{seconds}s", "--timeout", "20s"]
        url = f"http://127.0.0.1:{self.port}{self.path}"
        command = ["wrk", *size, "-s", str(SCRIPT), url, "--", *self.script]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        found = re.search(r"^RESULT (\S+) (\S+) (\S+) (\S+)$", said, re.MULTILINE)
        if not found or int(found[2]):
            raise RuntimeError(f"{self.script[0]} {url}: not every answer was good\n{said}")
        return Sample(float(found[1]), float(found[3]), float(found[4]))


@dataclass(frozen=True)
class Sample:
    """Requests a second; milliseconds at the median and of the slowest hundredth."""

    rate: float
    p50: float
    p99: float


def is_here() -> bool:
    """Whether wrk is on PATH."""
    return shutil.which("wrk") is not None


def race(loads: Mapping[str, Load], *, seconds: int, rounds: int) -> dict[str, list[Sample]]:
    """Each contender in turn, round after round."""
    for load in loads.values():
        load.run(WARM_SECONDS)
    samples: dict[str, list[Sample]] = {name: [] for name in loads}
    for _ in range(rounds):
        for name, load in loads.items():
            samples[name].append(load.run(seconds))
    return samples


def rate(samples: list[Sample]) -> float:
    """The median of the rounds."""
    return statistics.median(sample.rate for sample in samples)
