"""What the small workshops' outputs come to: the figures of each view, and the lines to reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np
from jaxtyping import Float
from scipy import stats

from batonq.study.gaps import realised
from batonq.study.intervals import over_instances
from batonq.study.lines import Line
from batonq.study.rows import Interval
from batonq.tasks.cpu.shared.learning import VIEWS

Output = Mapping[str, Any]

MEASURES: Final = ("rms", "sup", "loss")
ROUNDING: Final = 1e-9  # differences of exact gaps below this are none
NONE: Final = 1e-12  # a gap of 0, as computed
NEAR: Final = 0.01  # of a range of values of 1: how near tables are to come to the exact gap
CLOSE: Final = 0.05  # how near the foretold share of jobs done is to come to the loop's
WHERE: Final = "gap"


def gaps_of(outputs: Sequence[Any]) -> list[Output]:
    """The small workshops among a run's outputs, by number."""
    return sorted((one for one in outputs if one["kind"] == "gap"), key=lambda one: one["number"])


def exact_of(cell: Output, view: int, measure: str) -> float:
    """What is foretold of a small workshop behind a view: "rms", "sup" or "loss"."""
    return float(cell["views"][str(view)]["predicted"][measure])


def had_of(cell: Output, view: int, measure: str) -> Interval:
    """The same as trained tables have it, with its interval over seeds."""
    return realised(cell["views"], str(view), measure)


def _rises(values: Float[np.ndarray, " view"]) -> bool:
    """Whether they grow, or stay, from each view to the next narrower one."""
    return bool((np.diff(values) >= -ROUNDING).all())


def lines(outputs: Sequence[Any]) -> tuple[Line, ...]:
    """The gap is 0 with the full view, monotone, what tables have, and foretells the loss."""
    cells = gaps_of(outputs)
    if not cells:
        return ()
    exact, had = (
        {name: np.array([[of(c, v, name) for v in VIEWS] for c in cells]) for name in MEASURES}
        for of in (exact_of, lambda cell, view, name: had_of(cell, view, name).value)
    )
    count = len(cells)
    rises = {name: sum(_rises(row) for row in exact[name]) for name in MEASURES}
    apart = np.abs(had["rms"] - exact["rms"])
    means = {kind: one["rms"].mean(axis=0) for kind, one in (("exact", exact), ("realised", had))}
    widest = float(exact["sup"][:, 0].max())
    return (
        Line(WHERE, "largest exact gap with the full view", widest, "0", widest <= NONE),
        Line(
            WHERE,
            "small workshops where the exact gap is monotone over the nested views, L2(mu)",
            f"{rises['rms']} of {count}",
            "all",
            rises["rms"] == count,
            f"sup: {rises['sup']}, policy loss: {rises['loss']} of {count}; exact means "
            f"{_list(means['exact'])}, realised {_list(means['realised'])}",
        ),
        Line(
            WHERE,
            "the gap that tables have is monotone over the views, L2(mu), mean over workshops",
            _list(means["realised"]),
            "monotone, up to what training leaves with the full view",
            bool((np.diff(means["realised"]) >= -means["realised"][0]).all()),
        ),
        Line(
            WHERE,
            "largest |realised - exact| gap, L2(mu), over workshops and views",
            float(apart.max()),
            f"at most {NEAR:g}",
            bool(apart.max() <= NEAR),
            f"mean {apart.mean():.2g}",
        ),
        _bounded(cells),
        _done(cells, exact["rms"], had["loss"]),
    )


def _done(
    cells: Sequence[Output],
    exact: Float[np.ndarray, "workshop view"],
    lost: Float[np.ndarray, "workshop view"],
) -> Line:
    """Whether the aggregated solution foretells what share of the jobs gets done."""
    told, uniform, greedy = (
        np.array([[right_of(cell, view, *part) for view in VIEWS] for cell in cells])
        for part in (("predicted",), ("loop", "uniform"), ("loop", "greedy"))
    )
    apart = [over_instances(column) for column in (uniform - told).T]
    furthest = max(apart, key=lambda one: abs(one.value))
    rank = stats.spearmanr(exact.ravel(), lost.ravel()).statistic
    means = [_list(one.mean(axis=0)) for one in (told, uniform, greedy)]
    return Line(
        WHERE,
        "share of jobs done in the learning loop, uniform behaviour, less that foretold: the "
        "view furthest from 0, mean over workshops",
        furthest,
        f"within {CLOSE:g} of 0, or 0 in the interval",
        all(abs(one.value) <= CLOSE or _around(one) for one in apart),
        f"foretold {means[0]}, loop {means[1]}, epsilon-greedy {means[2]}; rank correlation of "
        f"the exact gap, L2(mu), with the loss of trained tables {rank:.2f}",
    )


def _around(found: Interval) -> bool:
    """Whether 0 lies in an interval."""
    return found.low is not None and found.high is not None and found.low <= 0 <= found.high


def _list(values: Sequence[float]) -> str:
    return " / ".join(f"{value:.3g}" for value in values)


def _bounded(cells: Sequence[Output]) -> Line:
    """Whether what tables have lies inside the interval that Proposition 1 predicts."""
    inside, total, widths = 0, 0, []
    for cell in cells:
        for view in VIEWS:
            low, high = bounds_of(cell, view)
            if high <= ROUNDING:
                continue
            had = had_of(cell, view, "sup")
            slack = max(NEAR, (had.high or had.value) - had.value)
            inside += low - slack <= had.value <= high + slack
            total += 1
            widths.append(high - low)
    return Line(
        WHERE,
        "realised sup inside the predicted interval, with the slack of its own 95 % interval, "
        "where there is a gap",
        f"{inside} of {total}",
        "all but 5 %",
        inside >= 0.95 * total,
        f"from |eta| / (1 + beta) to the signed resolvent, {np.mean(widths):.2g} wide on average",
    )


def bounds_of(cell: Output, view: int) -> tuple[float, float]:
    """What the sup of the gap lies between. Theory, Proposition 1 (i) and (ii)."""
    found = cell["views"][str(view)]["predicted"]
    return found["low"], min(found["high"], found["resolvent"])


def right_of(cell: Output, view: int, *part: str) -> float:
    """Share of a small workshop's jobs that get done behind a view, mean over seeds if any."""
    found = cell["views"][str(view)]
    for name in part:
        found = found[name]
    return float(np.mean(found["right"]))
