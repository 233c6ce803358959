"""What the drift scenario comes to: utility while learning, and how soon it is back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

import numpy as np
from jaxtyping import Float

from batonq.base.files import Json
from batonq.study import figures
from batonq.study.experiment import Drawing, Section, Summary, Table
from batonq.study.intervals import over_seeds, paired_seeds
from batonq.study.rows import Interval, Row, Scalar
from batonq.tasks.maths.drift import MARGIN, PARTS
from batonq.tasks.maths.notes import LIMITS, with_origin

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Place = tuple[str, str]  # pool and change

CHOICES: Final = (
    "Three parts of equal length: as recorded, changed, restored. Every workflow draws a training "
    "question of the first fold, and whoever asks a model sees its answer of that part.",
    "degraded: the model that the fixed rule asks first gives the answers of a weaker recorded "
    "model from outside the pool, at its old price. dearer: the model that the rule spends most on "
    "costs ten times as much.",
    "IC-Q here is a table per agent over the finite part of its interface, learning on-line from "
    "its own workflows only: constant step .05, Boltzmann behaviour at temperature .02, first "
    "values 1. These were chosen among steps .005 to .1, epsilon-greedy with .02 to .5, that "
    "temperature, and first values 0 or 1, on these changes with one or two seeds, so they suit "
    "them.",
    "Its utility is what was earned while learning, exploration included. Its curve is the exact "
    "discounted value of its greedy policy on the part's questions; recovered means within one "
    "point of the exact optimum of the part's cells, at one of the points of evaluation.",
    "The fixed rule is the agreement rule chosen for utility on the questions as recorded; it is "
    "not told of the change. The bandit learns on-line over as many questions; of its forgetting "
    "factors .99, .999 and 1 the table shows the one that did best in each part, which favours it.",
)


def summarise(config: Mapping[str, Json], cells: Sequence[Json]) -> Summary:
    """Sum up the seeds of every pool and change."""
    groups: dict[Place, list[Json]] = {}
    for cell in cells:
        groups.setdefault((cell["pool"], cell["change"]), []).append(cell)
    utilities = [row for place, group in groups.items() for row in _utilities(config, place, group)]
    back = [row for place, group in groups.items() for row in _recoveries(config, place, group)]
    return Summary(
        headline=with_origin(
            config["dataset"], " ".join(_headline(place, group) for place, group in groups.items())
        ),
        rows=(*utilities, *back),
        sections=(
            Section(
                "Utility while learning",
                "Accuracy minus lambda times cost, per question, over each part. Intervals are "
                "over seeds; the rule and the optimum are exact on the questions of the part.",
                (_utility_table(groups), _gain_table(groups)),
            ),
            Section("Back at the optimum", "", (_recovery_table(groups),), _drawings(groups)),
        ),
        choices=CHOICES,
        limits=LIMITS[:-1],
    )


def _earned(group: Sequence[Json], part: str) -> dict[str, Interval]:
    """Utility of everyone in one part."""
    found = [cell["parts"][part] for cell in group]
    bandits = {
        forget: over_seeds(np.array([cell["bandit"][part][forget] for cell in group]))
        for forget in group[0]["bandit"][part]
    }
    return {
        "icq": over_seeds(np.array([one["icq"] for one in found])),
        "agreement": Interval(found[0]["agreement"]),
        "bandit": max(bandits.values(), key=lambda one: one.value),
        "feasible": Interval(found[0]["feasible"]),
    }


def gain(group: Sequence[Json], part: str) -> Interval:
    """Utility of IC-Q minus that of the fixed rule in one part, over seeds."""
    found = [cell["parts"][part] for cell in group]
    return paired_seeds(
        np.array([one["icq"] for one in found]), np.array([one["agreement"] for one in found])
    )


def recovery(cell: Json, part: str) -> float | None:
    """Handoffs into a part until the greedy policy is within a point of the optimum; None: never.

    A point of evaluation counts if it is within the margin, whatever later points show.
    """
    found = cell["parts"][part]
    gap = found["optimum"] - np.array(found["curve"])
    within = np.flatnonzero(gap <= MARGIN)
    return float(found["points"][within[0]]) if len(within) else None


def _recovered(group: Sequence[Json], part: str) -> tuple[Interval | None, int]:
    """Handoffs over the seeds that recovered, and how many did not."""
    found = [recovery(cell, part) for cell in group]
    reached = np.array([one for one in found if one is not None])
    return (over_seeds(reached) if len(reached) else None), len(found) - len(reached)


def _setting(
    config: Mapping[str, Json], place: Place, group: Sequence[Json], part: str
) -> dict[str, Scalar]:
    return {
        "dataset": config["dataset"],
        "scenario": "drift",
        "pool": place[0],
        "change": place[1],
        "part": part,
        "interface": config["interface"],
        "lambda": group[0]["price"],
    }


def _utilities(config: Mapping[str, Json], place: Place, group: Sequence[Json]) -> list[Row]:
    return [
        interval.row(_setting(config, place, group, part), learner, "utility")
        for part in PARTS
        for learner, interval in _earned(group, part).items()
    ]


def _recoveries(config: Mapping[str, Json], place: Place, group: Sequence[Json]) -> list[Row]:
    rows = []
    for part in PARTS:
        interval, never = _recovered(group, part)
        setting = {**_setting(config, place, group, part), "never": never}
        rows.append(
            Row(setting, "icq", "recovery", None)
            if interval is None
            else interval.row(setting, "icq", "recovery")
        )
    return rows


def _headline(place: Place, group: Sequence[Json]) -> str:
    beaten, (handoffs, never) = gain(group, "changed"), _recovered(group, "changed")
    verdict = "beats" if beaten.low is not None and beaten.low > 0 else "does not surely beat"
    when = "in no seed" if handoffs is None else f"after {handoffs.value:,.0f} handoffs"
    some = f" ({never} of {len(group)} seeds never)" if never and handoffs is not None else ""
    return (
        f"Pool {place[0]}, {group[0]['model']} {place[1]}: over the changed part IC-Q {verdict} "
        f"the fixed rule, by {beaten.value:+.3f} of utility per question, and is back within one "
        f"point of the optimum {when}{some}."
    )


def _utility_table(groups: Mapping[Place, Sequence[Json]]) -> Table:
    return Table(
        "Utility",
        ("pool", "change", "part", "icq", "agreement", "bandit", "feasible"),
        tuple(
            (*place, part, *_earned(group, part).values())
            for place, group in groups.items()
            for part in PARTS
        ),
    )


def _gain_table(groups: Mapping[Place, Sequence[Json]]) -> Table:
    return Table(
        "IC-Q minus the fixed rule",
        ("pool", "change", "model", *PARTS),
        tuple(
            (*place, group[0]["model"], *(gain(group, part) for part in PARTS))
            for place, group in groups.items()
        ),
    )


def _recovery_table(groups: Mapping[Place, Sequence[Json]]) -> Table:
    return Table(
        "Handoffs until within one point of the optimum",
        ("pool", "change", "part", "handoffs", "seeds that never were"),
        tuple(
            (*place, part, *_recovered(group, part))
            for place, group in groups.items()
            for part in PARTS
        ),
    )


def _drawings(groups: Mapping[Place, Sequence[Json]]) -> tuple[Drawing, ...]:
    return tuple(
        Drawing(
            f"drift-{pool}-{change}",
            f"How far IC-Q's greedy policy is below the exact optimum of each part, pool {pool}, "
            f"{group[0]['model']} {change}: mean and 95 % band over {len(group)} seeds.",
            f"Learning through a change, pool {pool}, {change}.",
            partial(_curve, group),
        )
        for (pool, change), group in groups.items()
    )


def _curve(group: Sequence[Json]) -> Figure:
    length = group[0]["parts"][PARTS[0]]["points"][-1]
    points = np.concatenate(
        [np.array(group[0]["parts"][part]["points"]) + k * length for k, part in enumerate(PARTS)]
    )
    gaps: Float[np.ndarray, "seed point"] = np.array(
        [
            np.concatenate(
                [one["optimum"] - np.array(one["curve"]) for one in map(cell["parts"].get, PARTS)]
            )
            for cell in group
        ]
    )
    return figures.curves(
        {"icq": figures.Curve(points, gaps)},
        "handoffs",
        "points below the optimum",
        levels={"one point": MARGIN},
        marks={"changed": float(length), "restored": 2.0 * length},
    )
