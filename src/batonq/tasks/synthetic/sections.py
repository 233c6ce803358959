"""The parts of the report: how to read the lines to reach, then one part per axis."""

from __future__ import annotations

from functools import partial

from matplotlib.figure import Figure

from batonq.study import figures
from batonq.study.experiment import Drawing, Section, Table
from batonq.study.rows import Interval
from batonq.tasks.synthetic.lines import of, span
from batonq.tasks.synthetic.notes import READ
from batonq.tasks.synthetic.readings import Measured, Reading

SHORT = {"error": "floor", "residual": "residual", "excess": "residual less twin"}
FLOOR = 1e-9  # gaps below this are rounding
SLOPES = (
    "A slope is reached if it lies in the wanted band; the details say where its 95 % interval "
    "reaches out. Slopes are fitted by least squares in logarithms, one line per seed; "
    "intervals are over seeds."
)


def axis(one: Measured) -> Section:
    """One axis: what is moved, every point, the figure."""
    drawing = Drawing(
        f"axis-{one.axis.name}",
        f"{one.axis.title}: measured, estimated and certified. Fitted: {of(one)}, {span(one)}.",
        f"Errors on two logarithmic scales against {one.axis.x_label}.",
        partial(_figure, one),
    )
    certified = one.readings[0].certified
    tables = (_errors(one), *((_certificates(one),) if certified else ()), _exact(one))
    return Section(one.axis.title, READ[one.axis.name], tables, (drawing,))


def _errors(one: Measured) -> Table:
    columns = (
        "point",
        "exact gap",
        "error",
        "estimate",
        "residual",
        "estimate of it",
        "estimate / measured",
    )
    lines = tuple(
        (
            reading.setting.cell,
            _gap(reading),
            reading.measured("error"),
            reading.estimate,
            reading.measured("residual"),
            reading.residual_estimate,
            reading.ratio,
        )
        for reading in one.readings
    )
    return Table("Errors in L2(mu), root mean squares over seeds", columns, lines)


def _certificates(one: Measured) -> Table:
    columns = (
        "point",
        "span of Q*",
        "error (sup)",
        "Theorem S, one scalar",
        "two scalars",
        "Theorem 2",
        "Theorem 1",
        "true loss",
        "certified loss",
        "given h",
    )
    lines = tuple(
        (
            reading.setting.cell,
            reading.exact["span"],
            reading.over("sup"),
            reading.over("certificate"),
            reading.over("two_scalars"),
            reading.exact["theorem_2"],
            reading.exact["theorem_1"],
            reading.over("loss"),
            reading.over("certified_loss"),
            reading.exact["oscillation"],
        )
        for reading in one.readings
    )
    caption = (
        "Certificates of the error in the supremum norm, and of the loss of the policy that "
        "Theorem S deploys"
    )
    return Table(caption, columns, lines)


def _exact(one: Measured) -> Table:
    columns = (
        "point",
        "pairs",
        "handoffs",
        "contraction",
        "mixing time",
        "gap (sup)",
        "gap residual (sup)",
        "last step",
        "slowest watched relaxation",
        "not available",
    )
    lines = tuple(
        (
            reading.setting.cell,
            reading.exact["pairs"],
            reading.exact["handoffs"],
            reading.exact["contraction"],
            reading.exact["mixing_time"],
            reading.exact["gap_sup"],
            reading.exact["eta"],
            reading.exact["last_step"],
            reading.exact["relaxation"],
            "; ".join(reading.exact["reasons"].values()) or None,
        )
        for reading in one.readings
    )
    return Table("Exact figures of the models", columns, lines)


def _gap(reading: Reading) -> float:
    return reading.gap if reading.gap > FLOOR else 0.0


def _figure(one: Measured) -> Figure:
    fitted = [reading for reading in one.readings if reading.setting.fitted]
    name = SHORT[one.axis.of]
    shown = {name: [_at(reading, reading.measured(one.axis.of)) for reading in fitted]}
    if one.axis.of != "error":
        shown["error"] = [_at(r, r.measured("error")) for r in fitted]
    gaps = [_at(r, Interval(_gap(r))) for r in fitted if _gap(r) > 0]
    if gaps:
        shown["exact gap"] = gaps
    estimates = [
        _at(r, Interval(r.residual_estimate)) for r in fitted if r.residual_estimate is not None
    ]
    if estimates:
        shown["estimated residual"] = estimates
    if one.readings[0].certified:
        shown["certificate"] = [_at(r, r.over("certificate")) for r in fitted]
    wanted = one.axis.wanted
    slopes = {} if one.slope is None or wanted is None else {name: one.slope.value}
    return figures.loglog(
        {name: [point for point in points if point[1].value > 0] for name, points in shown.items()},
        one.axis.x_label,
        "error",
        slopes=slopes,
        predicted=None if wanted is None else wanted.predicted,
    )


def _at(reading: Reading, found: Interval) -> tuple[float, Interval]:
    return reading.setting.x, found
