"""The ratios as a chart: bars from 1 to the right where we are faster, to the left where the other is; green where that
is as wanted.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from html import escape

from benchmarks.report import Line

ROW, LEFT, WIDTH, TOP = 20, 500, 420, 64
COLOURS = {"good": "#2a7f4f", "bad": "#b5532a", "line": "#999", "text": "#222"}


def drawn(lines: list[Line], told: str) -> str:
    """An SVG of every line that has something to compare with, on a logarithmic scale, under each database's name."""
    shown = [line for line in lines if line.ratio]
    rows: list[Line | str] = []
    for database, group in itertools.groupby(shown, lambda line: line.database):
        rows += [database, *group]
    reach = max((abs(math.log(line.ratio or 1)) for line in shown), default=1) * 1.3
    height, width = TOP + ROW * len(rows) + 30, LEFT + WIDTH + 90
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="12" fill="{COLOURS["text"]}">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        '<text x="12" y="22" font-size="16">Broadsheet beside others: how many times as fast</text>',
        f'<text x="12" y="42" fill="{COLOURS["line"]}">{escape(told)}; black marks: what is wanted</text>',
        *_grid(reach, height),
        *(part for n, row in enumerate(rows) for part in _row(row, TOP + ROW * n, reach)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(ratio: float, reach: float) -> float:
    return LEFT + WIDTH / 2 + max(-1.0, min(1.0, math.log(ratio) / reach)) * WIDTH / 2


def _grid(reach: float, height: int) -> Iterator[str]:
    for mark in (0.01, 0.1, 0.5, 1, 2, 10, 100):
        if abs(math.log(mark)) <= reach:
            x = _x(mark, reach)
            heavy = 1.5 if mark == 1 else 0.5
            yield f'<path d="M{x:.1f} {TOP - 8}V{height - 24}" stroke="{COLOURS["line"]}" stroke-width="{heavy}"/>'
            yield f'<text x="{x:.1f}" y="{height - 10}" text-anchor="middle">{mark:g}×</text>'


def _row(row: Line | str, y: int, reach: float) -> Iterator[str]:
    if isinstance(row, str):
        yield f'<text x="12" y="{y + 13}" font-weight="bold">{escape(row)}</text>'
    else:
        yield from _bar(row, y, reach)


def _bar(line: Line, y: int, reach: float) -> Iterator[str]:
    assert line.ratio is not None
    turned = line.unit in ("ms", "s")  # the less, the faster
    faster = 1 / line.ratio if turned else line.ratio
    one, end = _x(1, reach), _x(faster, reach)
    colour = COLOURS["bad" if line.verdict == "NO" or (not line.wanted and faster < 1) else "good"]
    label = f"{line.what}, {line.mine} against {line.other}"
    yield f'<text x="{LEFT - 10}" y="{y + 13}" text-anchor="end">{escape(label)}</text>'
    yield f'<rect x="{min(one, end):.1f}" y="{y + 2}" width="{abs(end - one):.1f}" height="{ROW - 7}" fill="{colour}"/>'
    if line.wanted:
        bound = float(line.wanted.split()[1])
        yield f'<path d="M{_x(1 / bound if turned else bound, reach):.1f} {y + 1}v{ROW - 5}" stroke="black"/>'
    yield f'<text x="{LEFT + WIDTH + 78}" y="{y + 13}" text-anchor="end">{faster:.2f}×</text>'
