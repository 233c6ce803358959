"""The suite's figures as rows, the lines to reach, and the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from batonq.base.files import Json
from batonq.study.experiment import Section, Summary
from batonq.study.intervals import over_seeds
from batonq.study.lines import Line, counted, missed, to_reach
from batonq.study.rows import Row, Scalar
from batonq.study.tables import text
from batonq.tasks.cpu.options import SUITE
from batonq.tasks.cpu.per_task import sections, settings
from batonq.tasks.cpu.per_task.notes import CHOICES, LIMITS, TEXTS
from batonq.tasks.cpu.per_task.readings import GROUPS, Readings
from batonq.tasks.cpu.per_task.settings import EXACT, GIVEN, WIDENED

SHARES = (0.80, 0.85)
MARGIN = 0.15


def summarise(config: Mapping[str, Json], outputs: Sequence[Json]) -> Summary:
    """Sum up a finished run."""
    readings = Readings(outputs)
    lines = [line for menu in readings.sets for line in _lines(readings, menu, config["budget"])]
    first = to_reach(lines, "set", TEXTS["lines"])
    told = (counted(lines), *(_told(readings, menu) for menu in readings.sets), missed(lines))
    return Summary(
        headline=" ".join(part for part in told if part),
        rows=tuple(_rows(readings)),
        sections=(
            Section(first.title, first.text, (*first.tables, sections.shares(readings))),
            sections.curves(readings, config["budget"]),
            sections.programs(readings),
            sections.lengths(readings),
            sections.tasks(readings),
        ),
        choices=CHOICES,
        limits=(*LIMITS, *readings.missing()),
    )


def _lines(readings: Readings, menu: str, budget: int) -> list[Line]:
    found: list[Line] = []
    if menu in (EXACT, WIDENED):
        for who in settings.ICQ:
            found += _compared(readings, menu, who, budget)
    ran, wrong = readings.fresh(menu)
    found.append(
        Line(
            menu,
            "proved programs wrong on fresh inputs in Unicorn",
            float(wrong),
            "0",
            wrong == 0,
            f"{ran} programs",
        )
    )
    return found


def _compared(readings: Readings, menu: str, who: str, budget: int) -> Iterator[Line]:
    """Share proved, and how much more that is than by random agents."""
    share, short = (readings.share(menu, who, group) for group in GROUPS[:2])
    if share is None:
        return
    detail = f"{len(readings.tasks(menu))} tasks; {GROUPS[1]}: {text(short)}"
    for one in SHARES:
        what, wanted = f"share of tasks that {who} proves", f"at least {one:g}"
        yield Line(menu, what, share, wanted, share.value >= one, detail)
    margin = readings.margin(menu, who, "random")
    yield Line(
        menu,
        f"{who} above random at the same budget",
        margin,
        f"at least {MARGIN:g}",
        margin.value >= MARGIN,
        _widest(readings, menu, who, budget),
    )


def _widest(readings: Readings, menu: str, who: str, budget: int) -> str:
    """The number of handoffs at which the margin over random is widest."""
    points = sections.points(budget)
    margins = [readings.margin(menu, who, "random", point).value for point in points]
    at = int(np.argmax(margins))
    return f"widest within {points[at]:,.0f} handoffs: {margins[at]:.3f}"


def _told(readings: Readings, menu: str) -> str:
    """The shares of IC-Q and of those it is compared with, in a sentence."""
    if menu == GIVEN:
        names = [task["name"] for task in readings.tasks(menu)]
        proved = readings.proved(menu, "icq").sum(axis=0)
        seeds = len(readings.proved(menu, "icq"))
        parts = [f"{name} {n} of {seeds}" for name, n in zip(names, proved, strict=True)]
        return f"Seeds in which IC-Q proves its program: {', '.join(parts)}."
    shares = [
        f"{who} {one.value:.1%}"
        for who in readings.who(menu)
        if (one := readings.share(menu, who)) is not None
    ]
    return f"Proved, {menu}: {', '.join(shares)}."


def _rows(readings: Readings) -> Iterator[Row]:
    for menu in readings.sets:
        for who in readings.who(menu):
            for group in GROUPS:
                share = readings.share(menu, who, group)
                if share is not None:
                    yield share.row(_setting(menu, group), who, "proved")
            for task in readings.tasks(menu):
                trials = readings.trials(menu, who, task["name"])
                if trials:
                    proved = np.array([float(one["proved"]) for one in trials])
                    yield over_seeds(proved).row(_setting(menu, task["name"]), who, "proved")


def _setting(menu: str, program: str) -> dict[str, Scalar]:
    return {"scenario": SUITE, "set": menu, "program": program}
