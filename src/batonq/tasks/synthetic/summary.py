"""What the synthetic experiment comes to: every figure as a row, and the report around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from batonq.base.files import Json
from batonq.study.experiment import Summary
from batonq.study.rows import Interval, Row
from batonq.tasks.synthetic import sections
from batonq.tasks.synthetic.lines import Line, tabular_lines
from batonq.tasks.synthetic.notes import CHOICES, LIMITS
from batonq.tasks.synthetic.readings import Measured, Reading, gather


def summarise(config: Mapping[str, Json], cells: Sequence[Json]) -> Summary:
    """Sum up the points of every axis."""
    axes = gather(config, cells)
    lines = tabular_lines(axes)
    rows = [row for one in axes for row in _rows(one)]
    return Summary(
        headline=_headline(lines),
        rows=tuple(rows),
        sections=(sections.to_reach(lines), *(sections.axis(one) for one in axes)),
        choices=CHOICES,
        limits=LIMITS,
    )


def _rows(one: Measured) -> Iterator[Row]:
    name = one.axis.name
    for reading in one.readings:
        yield from _point_rows(name, reading)
    if one.axis.wanted is not None:
        yield _row({"axis": name}, "slope", one.slope)
    if one.axis.name == "gap":
        yield _row({"axis": name, "of": "gap"}, "slope", one.exact_slope("gap"))
        yield _row({"axis": name, "of": "tilted"}, "slope", one.slope_of("error", fitted=False))
    if one.axis.of == "excess":
        yield _row({"axis": name, "of": "residual"}, "slope", one.slope_of("residual"))
    yield _row({"axis": name, "of": "share"}, "term", Interval(one.share))


def _point_rows(name: str, reading: Reading) -> Iterator[Row]:
    """The error with its estimate and certificate, then its parts."""
    setting = {"axis": name, "cell": reading.setting.cell}
    estimates = reading.estimate, reading.residual_estimate
    error, residual = (None if one is None else Interval(one) for one in estimates)
    yield _row(setting, "measured", reading.measured("error"))
    yield _row(setting, "estimate", error)
    yield _row(setting, "certificate", reading.certificate)
    yield _row({**setting, "of": "residual"}, "measured", reading.measured("residual"))
    yield _row({**setting, "of": "residual"}, "estimate", residual)
    yield _row({**setting, "of": "gap"}, "term", Interval(reading.exact["gap"]))
    yield _row({**setting, "of": "policy"}, "measured", reading.over("loss"))
    yield _row({**setting, "of": "policy"}, "certificate", reading.over("certified_loss"))


def _row(setting: Mapping[str, str], metric: str, found: Interval | None) -> Row:
    if found is None:
        return Row(setting, "icq", metric, None)
    return found.row(setting, "icq", metric)


def _headline(lines: Sequence[Line]) -> str:
    met = [line for line in lines if line.reached]
    missed = [line for line in lines if not line.reached]
    told = f"{len(met)} of {len(lines)} lines reached."
    if missed:
        told += " Not reached: " + "; ".join(f"{one.axis} ({one.what})" for one in missed) + "."
    return told
