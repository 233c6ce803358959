"""The lines that the experiment has to reach, each with its figure and a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from batonq.study.lines import Line
from batonq.study.rows import Interval
from batonq.study.tables import text
from batonq.tasks.synthetic.axes import Wanted
from batonq.tasks.synthetic.readings import NEAR, Measured, Reading, inside, reached


def slope_line(axis: str, what: str, found: Interval | None, wanted: Wanted, detail: str) -> Line:
    """A slope with its interval against the band it should lie in."""
    open_below = wanted.low < wanted.predicted - 0.5
    words = f"at most {wanted.high:g}" if open_below else f"{wanted.low:g} to {wanted.high:g}"
    if found is None:
        detail += "; not available"
    elif not inside(found, wanted):
        detail += "; the interval reaches out of what is wanted"
    return Line(axis, what, found, words, reached(found, wanted), detail)


def model_lines(axes: Sequence[Measured]) -> list[Line]:
    """Slopes, reveal, estimates and certificates."""
    lines = [_slope(one, one.axis.wanted) for one in axes if one.axis.wanted is not None]
    lines += [_reveal(one) for one in axes if one.axis.name == "reveal"]
    lines += [_estimates(one) for one in axes if any(r.qualifies for r in one.readings)]
    lines += [_certificates(one) for one in axes if one.readings[0].certified]
    return lines


def _slope(one: Measured, wanted: Wanted) -> Line:
    detail = span(one)
    predicted = None if one.axis.of == "error" else one.known_slope("residual_estimate")
    if predicted is not None:
        detail += f"; the estimate's slope over these points is {predicted:.3f}"
    if one.axis.learner == "icq_neural":
        detail += f"; for networks this scaling is {_verdict(one.slope, wanted)}"
    return slope_line(one.axis.name, f"slope of the {of(one)}", one.slope, wanted, detail)


def _verdict(found: Interval | None, wanted: Wanted) -> str:
    """Established where the whole interval lies in the band, refuted where none of it does."""
    if found is None or found.low is None or found.high is None:
        return "not established"
    if inside(found, wanted):
        return "established"
    apart = found.high < wanted.low or found.low > wanted.high
    return "refuted" if apart else "not established"


def of(one: Measured) -> str:
    """What an axis fits, in words."""
    return {
        "error": "floor ||Q - Q*||",
        "residual": "residual ||Q - Qhat*||",
        "excess": "residual, martingale part subtracted",
    }[one.axis.of]


def span(one: Measured) -> str:
    """The range of the points that are fitted."""
    points = [reading.setting for reading in one.readings if reading.setting.fitted]
    return f"{points[0].cell} to {points[-1].cell}, {len(points)} points, L2(mu)"


def _reveal(one: Measured) -> Line:
    """With what is hidden shown step by step, the floor falls with the exact gap."""
    floors = [reading.measured("error").value for reading in one.readings]
    gaps = [reading.gap for reading in one.readings]
    falls = all(a > b for a, b in pairwise(floors))
    shown = "; ".join(
        f"{r.setting.cell}: {text(f)} for a gap of {text(g) if g > 1e-9 else '0'}"
        for r, f, g in zip(one.readings, floors, gaps, strict=True)
    )
    worst = max(abs(f / g - 1) for f, g in zip(floors[:-1], gaps[:-1], strict=True))
    return Line(
        one.axis.name,
        "floor against exact gap, most relative difference where there is a gap",
        worst,
        "falls at each step, within 5 % of the gap",
        falls and worst <= 0.05,
        shown,
    )


def _estimates(one: Measured) -> Line:
    """Whether the asymptotic estimate is near wherever it is expected to be."""
    good = [reading for reading in one.readings if reading.qualifies]
    ratios = [reading.ratio for reading in good]
    values = [ratio.value for ratio in ratios if ratio is not None]
    near = sum(abs(value - 1) <= NEAR for value in values)
    open_ = [r for r, v in zip(good, values, strict=True) if abs(v - 1) > NEAR and _may_be_near(r)]
    detail = f"estimate / measured from {min(values):.3f} to {max(values):.3f}"
    if open_:
        names = ", ".join(reading.setting.cell for reading in open_)
        detail += f"; the interval of the measured one reaches 10 % at {names}"
    return Line(
        one.axis.name,
        "residual: points where the estimate is within 10 % of measured",
        f"{near} of {len(values)}",
        "all where step x relaxation <= .1 and contraction <= .9",
        near == len(values),
        detail,
    )


def _may_be_near(reading: Reading) -> bool:
    ratio = reading.ratio
    if ratio is None or ratio.low is None or ratio.high is None:
        return False
    return ratio.low <= 1 + NEAR and ratio.high >= 1 - NEAR


def _certificates(one: Measured) -> Line:
    """Whether every certificate holds, and how many say anything."""
    runs = sum(len(reading.seeds) for reading in one.readings)
    broken = sum(int(reading.broken.sum()) for reading in one.readings)
    cells = [reading.setting.cell for reading in one.readings if not reading.vacuous().all()]
    share = one.share()
    return Line(
        one.axis.name,
        "Theorem S, one scalar, given h where there is a gap: share of runs below the span of Q*",
        share,
        "above 0, and measured <= certificate in every run",
        share > 0 and broken == 0,
        f"{broken} of {runs} runs exceed a certificate; not vacuous at: "
        f"{', '.join(cells) or 'none'}; with two scalars the share is "
        f"{one.share('two_scalars'):.2f}",
    )
