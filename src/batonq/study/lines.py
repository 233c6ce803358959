"""The lines that an experiment has to reach, each with its figure and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from batonq.study.experiment import Section, Table
from batonq.study.rows import Interval
from batonq.study.tables import text

YES_NO = {True: "yes", False: "NO"}


@dataclass(frozen=True)
class Line:
    """One line to reach.

    Attributes:
        where: the part of the experiment it belongs to.
        what: what is compared.
        figure: its value; None where it is not available.
        wanted: in words.
        reached: whether it was.
        detail: range, number of points, and what else must be known to read it.
    """

    where: str
    what: str
    figure: Interval | float | str | None
    wanted: str
    reached: bool
    detail: str = ""


def to_reach(lines: Sequence[Line], where: str, explained: str) -> Section:
    """What had to be reached, and whether it was.

    Args:
        lines: in the order in which they are shown.
        where: what the parts are called, such as "axis".
        explained: how to read the figures.
    """
    table = Table(
        "Lines to reach",
        (where, "compared", "figure", "wanted", "reached", "details"),
        tuple(
            (line.where, line.what, line.figure, line.wanted, YES_NO[line.reached], line.detail)
            for line in lines
        ),
    )
    return Section("Lines to reach", explained, (table,))


def counted(lines: Sequence[Line]) -> str:
    """How many lines are reached, as a sentence."""
    return f"{sum(line.reached for line in lines)} of {len(lines)} lines reached."


def missed(lines: Sequence[Line]) -> str:
    """Which lines are not reached, as a sentence; empty if all are."""
    lost = "; ".join(
        f"{line.where}, {line.what}: {told(line)}" for line in lines if not line.reached
    )
    return f"Not reached: {lost}." if lost else ""


def told(line: Line) -> str:
    """The figure of a line in words."""
    return text(line.figure) if line.figure is not None else "not available"
