"""The lines that the triage scenario has to reach."""

from __future__ import annotations

from typing import Final

from scipy import stats

from batonq.study.intervals import over_instances
from batonq.study.lines import Line
from batonq.study.tables import text
from batonq.tasks.routing.triage.model import INTERFACES
from batonq.tasks.routing.triage.readings import (
    Output,
    Readings,
    covered,
    excess,
    monotone,
    scores,
)
from batonq.tasks.routing.triage.settings import RATIO

SURE: Final = 1e-9  # what an accuracy of 1 may lack by rounding
CHANCE: Final = 0.025  # with which as few intervals as wanted, or fewer, cover by chance


def lines(readings: Readings) -> list[Line]:
    """Accuracy and value at every size, then the gap."""
    found = [
        line
        for size in readings.sizes("learn")
        for line in _learnt(size, readings.of("learn", size))
    ]
    for size in readings.sizes("gaps"):
        found += _gap(size, readings.of("gaps", size))
    return found


def _learnt(size: int, cells: list[Output]) -> list[Line]:
    icq = scores(cells, "icq")
    n_instances, n_seeds = icq.value.shape
    over = f"least over {n_instances} instances x {n_seeds} seeds"
    right, ratio = icq.accuracy, icq.ratio
    return [
        Line(
            f"size {size}",
            f"accuracy, {over}",
            float(right.min()),
            "1",
            bool(right.min() >= 1 - SURE),
            f"1 in {int((right >= 1 - SURE).sum())} of {right.size} runs",
        ),
        Line(
            f"size {size}",
            f"value over the oracle's, {over}",
            float(ratio.min()),
            f"at least {RATIO:g}",
            bool(ratio.min() >= RATIO),
            f"mean {ratio.mean():.5f}; the best fixed order has {scores_of_fixed(cells)}",
        ),
    ]


def scores_of_fixed(cells: list[Output]) -> str:
    """The value ratio of the best fixed order, in words."""
    return text(scores(cells, "fixed").figures["value_ratio"])


def _gap(size: int, cells: list[Output]) -> list[Line]:
    """Whether the gap falls from own to whole, and is what the tables have."""
    rises = {name: sum(monotone(cell, name) for cell in cells) for name in ("rms", "sup", "loss")}
    told = f"sup: {rises['sup']}, policy loss: {rises['loss']} of {len(cells)}"
    where = f"gap, size {size}"
    inside = sum(covered(cell, name) for cell in cells for name in INTERFACES)
    total = len(cells) * len(INTERFACES)
    wanted = int(stats.binom.ppf(CHANCE, total, 0.95))
    found = [
        Line(
            where,
            "instances where the exact gap is monotone over the nested interfaces, L2(mu)",
            f"{rises['rms']} of {len(cells)}",
            "all",
            rises["rms"] == len(cells),
            told,
        ),
        Line(
            where,
            "95 % intervals of the realised gap that hold the exact one, L2(mu)",
            f"{inside} of {total}",
            f"at least {wanted}: fewer, were all right, have a chance below {CHANCE:g}",
            inside >= wanted,
            "; ".join(
                f"{name}: {sum(covered(cell, name) for cell in cells)} of {len(cells)}"
                for name in INTERFACES
            ),
        ),
    ]
    for name in INTERFACES[1:]:
        exact = [cell[name]["predicted"]["rms"] ** 2 for cell in cells]
        apart = over_instances(
            excess(cell, name) / square for cell, square in zip(cells, exact, strict=True)
        )
        holds = apart.low is not None and apart.high is not None and apart.low <= 0 <= apart.high
        found.append(
            Line(
                where,
                f"interface {name}: square of the realised gap over the exact one's, less 1",
                apart,
                "0 in the interval over instances",
                holds,
            )
        )
    return found
