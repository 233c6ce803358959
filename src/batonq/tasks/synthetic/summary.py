"""What the synthetic experiment comes to: every figure as a row, and the report around them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from batonq.base.files import Json
from batonq.study.experiment import Summary
from batonq.study.lines import Line, counted, missed, to_reach, told
from batonq.study.rows import Interval, Row, Scalar
from batonq.tasks.synthetic import sections, widths
from batonq.tasks.synthetic.axes import Axis
from batonq.tasks.synthetic.lines import model_lines
from batonq.tasks.synthetic.notes import CHOICES, LIMITS
from batonq.tasks.synthetic.readings import Measured, Reading, gather
from batonq.tasks.synthetic.widths import gather_widths


def summarise(config: Mapping[str, Json], cells: Sequence[Json]) -> Summary:
    """Sum up the points of every axis."""
    axes = gather(config, cells)
    nets = gather_widths(config, cells)
    lines = [*model_lines(axes), *widths.lines(nets)]
    rows = [row for one in axes for row in _rows(one)]
    return Summary(
        headline=_headline(lines),
        rows=(*rows, *widths.rows(nets)),
        sections=(
            to_reach(lines, "axis", sections.SLOPES),
            *(sections.axis(one) for one in axes),
            *widths.sections(nets),
        ),
        choices=CHOICES,
        limits=LIMITS,
    )


def _rows(one: Measured) -> Iterator[Row]:
    name, learner = one.axis.name, one.axis.learner
    for reading in one.readings:
        yield from _point_rows(one.axis, reading)
    if one.axis.wanted is not None:
        yield _row({"axis": name}, learner, "slope", one.slope)
    if one.axis.name == "gap":
        yield _known(one, "gap", "gap")
        tilted = one.slope_of("error", fitted=False)
        yield _row({"axis": name, "of": "tilted"}, learner, "slope", tilted)
    if one.axis.of == "excess":
        raw = one.slope_of("residual")
        yield _row({"axis": name, "of": "residual"}, learner, "slope", raw)
    if one.axis.of != "error" and one.axis.wanted is not None:
        yield _known(one, "residual_estimate", "estimate")
    if one.readings[0].certified:
        share = Interval(one.share())
        yield _row({"axis": name, "of": "share not vacuous"}, learner, "term", share)


def _known(one: Measured, name: str, of: str) -> Row:
    """The slope of what is exact or estimated, hence without an interval."""
    return Row({"axis": one.axis.name, "of": of}, one.axis.learner, "slope", one.known_slope(name))


def _point_rows(axis: Axis, reading: Reading) -> Iterator[Row]:
    """The error with its estimate and certificate, then its parts, then other certificates."""
    setting: dict[str, Scalar] = {"axis": axis.name, "cell": reading.setting.cell}

    def row(of: str | None, metric: str, found: Interval | float | None) -> Row:
        known = Interval(found) if isinstance(found, float) else found
        where = setting if of is None else {**setting, "of": of}
        return _row(where, axis.learner, metric, known)

    def over(name: str) -> Interval | None:
        return reading.over(name) if reading.certified else None

    yield row(None, "measured", reading.measured("error"))
    yield row(None, "estimate", reading.estimate)
    yield row(None, "certificate", over("certificate"))
    yield row("residual", "measured", reading.measured("residual"))
    yield row("residual", "estimate", reading.residual_estimate)
    yield row("gap", "term", reading.gap)
    if reading.certified:
        yield row("policy", "measured", over("loss"))
        yield row("policy", "certificate", over("certified_loss"))
        yield row("two scalars", "certificate", over("two_scalars"))
        yield row("theorem 1", "certificate", reading.exact["theorem_1"])
        yield row("theorem 2", "certificate", reading.exact["theorem_2"])


def _row(setting: Mapping[str, Scalar], learner: str, metric: str, found: Interval | None) -> Row:
    if found is None:
        return Row(setting, learner, metric, None)
    return found.row(setting, learner, metric)


def _headline(lines: Sequence[Line]) -> str:
    """How many lines are reached, every slope, and what is not reached."""
    slopes = "; ".join(f"{one.where} {told(one)}" for one in lines if "slope" in one.what)
    parts = (counted(lines), f"Slopes: {slopes}." if slopes else "", missed(lines))
    return " ".join(part for part in parts if part)
