"""What `make bench` says of its figures."""

from __future__ import annotations

import pytest

from benchmarks.chart import drawn
from benchmarks.report import Line


def line(value, other, wanted, *, database="SQLite", unit="/s"):
    return Line(database, "hits", "Broadsheet", value, unit, "the tutorial", other, wanted, {})


@pytest.mark.parametrize(
    ("value", "other", "wanted", "verdict"),
    [
        (30.0, 10.0, "", ""),
        (30.0, 10.0, ">= 2", "yes"),
        (30.0, 10.0, ">= 4", "NO"),
        (30.0, 0.0, ">= 2", "NO"),
        (1.4, None, "<= 1.5", "yes"),
        (1.6, None, "<= 1.5", "NO"),
        (250.0, 10.0, ">= 25 (8)", "yes"),
        (90.0, 10.0, ">= 25 (8)", "least"),
        (70.0, 10.0, ">= 25 (8)", "NO"),
    ],
)
def test_a_verdict_is_of_the_ratio_or_where_there_is_none_of_the_figure(value, other, wanted, verdict):
    assert line(value, other, wanted).verdict == verdict


def test_the_chart_shows_less_time_as_faster_under_each_databases_name():
    lines = [line(2.0, 4.0, "<= 1", unit="ms"), line(4.0, 2.0, "", database="PostgreSQL leased")]
    chart = drawn([*lines, line(5.0, None, "")], "told")
    assert chart.count(">SQLite<") == chart.count(">PostgreSQL leased<") == 1
    assert chart.count(">2.00×<") == 2
