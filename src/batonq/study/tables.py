"""Tables of rows, for the screen and for the report: one line per setting and learner."""

from __future__ import annotations

import math
from collections.abc import Sequence

from batonq.study.experiment import Table
from batonq.study.rows import Interval, Row, Scalar, setting_keys


def pivot(rows: Sequence[Row]) -> Table:
    """Return rows as a table: learner and settings to the left, one column per metric.

    Keys with one value in all rows go to the caption.
    """
    keys = setting_keys(rows)
    values = {key: list(dict.fromkeys(row.setting.get(key) for row in rows)) for key in keys}
    constant = [key for key in keys if len(values[key]) == 1]
    varying = [key for key in keys if key not in constant]
    metrics = list(dict.fromkeys(row.metric for row in rows))
    lines: dict[tuple[Scalar, ...], dict[str, Interval | None]] = {}
    for row in rows:
        key = (row.learner, *(row.setting.get(name) for name in varying))
        value = row.value
        lines.setdefault(key, {})[row.metric] = (
            None if value is None else Interval(value, row.low, row.high, row.n, row.n_kind)
        )
    caption = ", ".join(f"{key} {text(values[key][0])}" for key in constant) or "All figures"
    return Table(
        caption,
        ("learner", *varying, *metrics),
        tuple(
            (*key, *(figures.get(metric) for metric in metrics)) for key, figures in lines.items()
        ),
    )


def text(cell: Scalar | Interval) -> str:
    """Return the text of a cell.

    Numbers have four significant digits; an interval is shown as value [low, high], with as many
    decimals as give its width two significant digits, or one that is positive and spans more than
    a factor of 10, each of the three.
    """
    if cell is None:
        return "–"
    if isinstance(cell, Interval):
        if cell.low is None or cell.high is None:
            return text(cell.value)
        width = cell.high - cell.low
        if width <= 1e-6 * abs(cell.value):  # no width but for rounding
            return f"{text(cell.value)} [{text(cell.low)}, {text(cell.high)}]"
        wide = cell.low > 0 and cell.high > 10 * cell.low  # as of a ratio: each end has its digits
        numbers = (cell.value, cell.low, cell.high)
        ends = (f"{end:.{_decimals(end if wide else width)}f}" for end in numbers)
        return "{} [{}, {}]".format(*ends)
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e6 else f"{cell:.4g}"
    return str(cell)


def _decimals(number: float) -> int:
    """Decimals that give a positive number two significant digits."""
    return max(0, 1 - math.floor(math.log10(number)))


def is_number(cell: Scalar | Interval) -> bool:
    """Return whether a cell is a figure, to be set to the right."""
    return isinstance(cell, int | float | Interval) and not isinstance(cell, bool)
