"""What the scenarios "static" and "jitter" come to: rows, lines to reach, tables, curves, maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from batonq.base.files import Json
from batonq.study import figures
from batonq.study.experiment import Drawing, Section, Summary, Table
from batonq.study.intervals import over_seeds
from batonq.study.lines import Line, counted, missed, to_reach
from batonq.study.rows import Interval, Row, Scalar
from batonq.tasks.routing.networks.drawing import network_map
from batonq.tasks.routing.networks.network import Network, from_json
from batonq.tasks.routing.networks.reporting import described
from batonq.tasks.routing.options import STATIC

NEAR_WANTED: Final = 0.99
POINTS: Final = 40  # of a curve
SHOWN: Final = 8  # networks in one figure, as many as there are colours
CHECKS: Final = {"pairs_exact": 1, "pairs_1pct": 2}  # place in a check, after the handoffs
MEANT: Final = {
    "static": "Delays do not vary and links have no queues. A pair is exact if the learnt tables, "
    "followed greedily from the source, reach the destination at Dijkstra's cost to within 1e-9 "
    "ms. Learning goes on for a fixed number of handoffs; all pairs count as settled at the first "
    "check from which on every pair was exact at every check (checks are 15 % of the time apart).",
    "jitter": "Every time on a link is drawn anew from an exponential law with the link's delay as "
    "mean; links have no queues. A pair is within 1 % if the way that the learnt tables give, "
    "followed greedily, has a mean cost of at most 1.01 times the least.",
}
CHOICES: Final = {
    "static": (
        "IC-Q's step is 1: nothing is random, so nothing is to be averaged. Q-routing has its "
        "paper's step, .5.",
        "IC-Q starts at 0 and acts greedily: optimism explores. No packet goes straight back.",
    ),
    "jitter": (
        "IC-Q: a router measures the mean time on its own links and learns the rest from quotes, "
        "step .2; one packet in five leaves by another link than the best. Q-routing has its "
        "paper's step, .5, and explores no more than its optimistic start makes it. IC-Q's step "
        "and exploration were chosen on NSFNET, Sprint, AttMpls, Tinet and Interoute, with other "
        "seeds.",
        "The horizon is fixed by the size of the network: handoffs per ordered pair, and more per "
        "link, whose mean has to be measured.",
    ),
}
LIMITS: Final = (
    "About one packet for four routers is under way at a time; with more, answers would be older.",
    "Costs are those of ways through an idle network; the scenario load has the queues.",
)


@dataclass(frozen=True, eq=False)
class Measured:
    """One network: what every learner came to, by seed.

    Attributes:
        network: as it was learnt on.
        destination: the router of the map.
        runs: per learner its outputs, in the order of the seeds.
    """

    network: Network
    destination: int
    runs: Mapping[str, Sequence[Json]]

    @property
    def pairs(self) -> int:
        """Ordered pairs of routers."""
        return self.network.n_routers * (self.network.n_routers - 1)

    def final(self, learner: str, metric: str) -> Interval:
        """A share of the pairs at the horizon."""
        place = CHECKS[metric]
        return over_seeds(np.array([run["checks"][-1][place] for run in self.runs[learner]]))

    def least(self, learner: str, metric: str) -> float:
        """The same in the worst seed."""
        return min(float(run["checks"][-1][CHECKS[metric]]) for run in self.runs[learner])

    def settled(self, learner: str) -> Interval | None:
        """Handoffs per pair until all pairs are exact; None if a seed never got there."""
        found = [run["settled"] for run in self.runs[learner]]
        return None if None in found else over_seeds(np.array(found, float))

    def mean(self, learner: str, name: str) -> float:
        """Mean of something else over the seeds."""
        return float(np.mean([run[name] for run in self.runs[learner]]))


def summarise(config: Mapping[str, Json], outputs: Sequence[Json]) -> Summary:
    """Sum up the networks of a run."""
    scenario = config["scenario"]
    found = _gather(outputs)
    lines = [_line(scenario, one) for one in found]
    shown = "pairs_exact" if scenario == STATIC else "pairs_1pct"
    headline = " ".join(part for part in (counted(lines), missed(lines)) if part)
    return Summary(
        headline=headline,
        rows=tuple(row for one in found for row in _rows(scenario, one)),
        sections=(
            to_reach(lines, "network", "Intervals are over seeds."),
            Section("What was learnt", MEANT[scenario], (_learnt(scenario, found),)),
            _curves(found, shown),
            Section("The networks", "", (described([one.network for one in found]),)),
            _maps(found),
        ),
        choices=CHOICES[scenario],
        limits=LIMITS,
    )


def _gather(outputs: Sequence[Json]) -> list[Measured]:
    """The outputs of each network, in the order in which networks were asked for."""
    found = []
    for index in sorted({one["index"] for one in outputs}):
        cells = sorted(
            (one for one in outputs if one["index"] == index), key=lambda one: one["number"]
        )
        runs = {name: [one["learnt"][name] for one in cells] for name in cells[0]["learnt"]}
        found.append(Measured(from_json(cells[0]["network"]), cells[0]["destination"], runs))
    return found


def _line(scenario: str, one: Measured) -> Line:
    seeds = len(one.runs["icq"])
    if scenario == STATIC:
        worst = one.least("icq", "pairs_exact")
        return Line(
            one.network.name,
            "pairs at Dijkstra's cost, worst seed",
            worst,
            "all",
            worst == 1,
            f"{one.pairs} pairs, {seeds} seeds",
        )
    share = one.final("icq", "pairs_1pct")
    return Line(
        one.network.name,
        "pairs within 1 % of the least cost",
        share,
        f"at least {NEAR_WANTED:g}",
        share.value >= NEAR_WANTED,
        f"{one.pairs} pairs, {seeds} seeds, worst seed {one.least('icq', 'pairs_1pct'):.4f}",
    )


def _rows(scenario: str, one: Measured) -> Iterator[Row]:
    setting: dict[str, Scalar] = {
        "scenario": scenario,
        "graph": one.network.name,
        "size": one.network.n_routers,
    }
    for learner in one.runs:
        for metric in CHECKS:
            yield one.final(learner, metric).row(setting, learner, metric)
        if learner == "shortest_path" or scenario != STATIC:
            continue
        settled, of = one.settled(learner), "handoffs until all pairs are exact"
        where: dict[str, Scalar] = {**setting, "of": of}
        if settled is None:
            yield Row(where, learner, "measured", None)
        else:
            yield _scaled(settled, one.pairs).row(where, learner, "measured")


def _scaled(found: Interval, by: float) -> Interval:
    low, high = (None if end is None else by * end for end in (found.low, found.high))
    return Interval(by * found.value, low, high, found.n, found.n_kind)


def _learnt(scenario: str, found: Sequence[Measured]) -> Table:
    lines = []
    for one in found:
        for learner in one.runs:
            settled = one.settled(learner)
            total = None if settled is None else _scaled(settled, one.pairs)
            learning = learner != "shortest_path"
            lines.append(
                (
                    one.network.name,
                    learner,
                    one.final(learner, "pairs_exact"),
                    one.final(learner, "pairs_1pct"),
                    *((total, settled) if scenario == STATIC else ()),
                    one.mean(learner, "dropped") if learning else None,
                    one.mean(learner, "seconds") if learning else None,
                )
            )
    until = ("handoffs until exact", "per pair") if scenario == STATIC else ()
    columns = ("network", "learner", "pairs exact", "pairs within 1 %", *until)
    return Table("At the horizon", (*columns, "dropped", "seconds a seed"), tuple(lines))


def _curves(found: Sequence[Measured], metric: str) -> Section:
    name = "exact" if metric == "pairs_exact" else "within 1 %"
    ordered = sorted(found, key=lambda one: one.network.n_routers)
    parts = -(-len(ordered) // SHOWN)
    drawings = tuple(
        Drawing(
            f"learning-{part}",
            f"Share of the pairs that are {name}, against handoffs per pair; IC-Q, mean over seeds "
            f"with its 95 % band; networks of {_sizes(drawn)} routers.",
            f"Curves of the share of pairs that are {name}, one a network, all rising towards 1.",
            partial(_learning, drawn, metric, name),
        )
        for part in range(parts)
        if (drawn := ordered[len(ordered) * part // parts : len(ordered) * (part + 1) // parts])
    )
    return Section("Learning curves", drawings=drawings)


def _sizes(found: Sequence[Measured]) -> str:
    sizes = [one.network.n_routers for one in found]
    return f"{min(sizes)} to {max(sizes)}" if min(sizes) < max(sizes) else str(sizes[0])


def _learning(found: Sequence[Measured], metric: str, name: str) -> Figure:
    curves = {one.network.name: _curve(one.runs["icq"], CHECKS[metric]) for one in found}
    figure = figures.curves(curves, "handoffs per pair of routers", f"share of pairs {name}")
    axes = figure.axes[0]
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.xaxis.set_minor_formatter(NullFormatter())
    return figure


def _curve(runs: Sequence[Json], place: int) -> figures.Curve:
    """The checks of every seed, read at the same numbers of handoffs."""
    first = max(run["checks"][0][0] for run in runs)
    last = min(run["checks"][-1][0] for run in runs)
    x = np.geomspace(first, last, POINTS)
    return figures.Curve(x, np.stack([_read(run["checks"], place, x) for run in runs]))


def _read(
    checks: Sequence[Sequence[float]], place: int, x: Float[np.ndarray, " point"]
) -> Float[np.ndarray, " point"]:
    table = np.array(checks)
    return np.asarray(np.interp(x, table[:, 0], table[:, place]))


def _maps(found: Sequence[Measured]) -> Section:
    drawings = tuple(
        Drawing(
            f"map-{number}",
            f"{one.network.name}: the next hops that IC-Q learnt, first seed, to the router with "
            f"most links, {one.network.routers[one.destination]}.",
            f"Map of {one.network.name} with an arrow at every router towards the next one.",
            partial(
                network_map,
                one.network,
                None,
                np.array(one.runs["icq"][0]["next_link"]),
                one.destination,
            ),
        )
        for number, one in enumerate(found)
    )
    text = "Places follow longitude and latitude; where routers crowd, empty regions are narrowed."
    return Section("Learnt next hops", text, drawings=drawings)
