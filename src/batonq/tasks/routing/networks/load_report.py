"""What the scenario "load" comes to: rows, lines to reach, tables, curves, maps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from batonq.base.files import Json
from batonq.study import figures
from batonq.study.experiment import Drawing, Section, Summary, Table
from batonq.study.intervals import over_seeds
from batonq.study.lines import Line, counted, missed, to_reach
from batonq.study.rows import Interval, Row, Scalar
from batonq.tasks.routing.networks.drawing import network_map
from batonq.tasks.routing.networks.network import Network, from_json
from batonq.tasks.routing.networks.traffic import PEERS, in_order

LIGHT: Final = 0.5  # up to this load shortest path is to be matched, above it beaten
WANTED: Final = (1.05, 1.10)  # delay over the reference's, up to that load and above it
DRAWN: Final = ("replan", "icq", "shortest_path", "q_routing_queue", "dual_q_routing")
MEANT: Final = (
    "Packets are born at random times (Poisson) by a gravity model whose masses are drawn anew for "
    "every seed. A load rho means that the busiest link would be used to that share if everybody "
    "took shortest paths; at 1.2 that link cannot carry its traffic, queues there fill and packets "
    "are dropped. Delays are of packets born in the second half of the time and delivered, "
    "divided by those of the all-seeing reference (replan) under the same births: geometric means "
    "over seeds with intervals of the logarithm."
)
CHOICES: Final = (
    "A link's service time is the mean propagation delay of its network's links, so that queues "
    "and distance weigh alike. Packets have equal sizes; a queue holds 100 of them.",
    "The reference sees every queue at every moment and plans each packet anew at every hop by "
    "Dijkstra's algorithm on the waits as they are. It is selfish: a packet does not care for "
    "those behind it. So it is no lower bound, and a rule that does care may have less delay.",
    "IC-Q's routers subtract what they know of their own links (wait, service, measured travel, "
    "and a toll: what the packet costs those behind it) and learn the rest, step .02. Step, memory "
    "(30,000 service times), rate of probes (1 in 1,000) and the bar for good news (16 usual "
    "errors) were chosen on NSFNET, Geant2012 and Tinet with other seeds; the toll follows from "
    "queueing theory and has no parameter.",
    "Peers have the step sizes of their papers, and beside them .1 and .02. Answers arrive with "
    "the packet, as in their papers. Dual Q-routing sends two scalars a handoff.",
)
LIMITS: Final = (
    "Mean delays are of delivered packets; where a rule drops many, its delay tells little. Shares "
    "dropped are given beside.",
    "Packets have one size, arrivals are Poisson, and demand does not change in a run; see the "
    "scenarios failure and shift.",
    "The first half of the time, in which tables are learnt from nothing, is not judged; the "
    "curves show it.",
)


@dataclass(frozen=True, eq=False)
class Loaded:
    """One network at one load.

    Attributes:
        network: the routers and links.
        rho: the load.
        destination: the router of the map.
        cells: outputs in the order of the seeds.
    """

    network: Network
    rho: float
    destination: int
    cells: Sequence[Json]

    @property
    def name(self) -> str:
        """Network and load."""
        return f"{self.network.name}, rho {self.rho:g}"

    @property
    def keys(self) -> tuple[str, ...]:
        """Who routed."""
        return in_order(self.cells[0]["routed"])

    def of(self, key: str, what: str) -> Float[np.ndarray, " seed"]:
        """A figure of a router in every seed; not a number where there is none."""
        return np.array([cell["routed"].get(key, {}).get(what) for cell in self.cells], float)

    def over(self, key: str, what: str) -> Interval | None:
        """Its mean with interval; None where a seed has none."""
        values = self.of(key, what)
        return over_seeds(values) if np.isfinite(values).all() else None

    def ratio(self, key: str, other: str = "replan") -> Interval | None:
        """Geometric mean over seeds of one's delay over another's; None where a seed has none."""
        values = np.log(self.of(key, "delay") / self.of(other, "delay"))
        if not np.isfinite(values).all():
            return None
        found = over_seeds(values)
        low, high = (None if end is None else float(np.exp(end)) for end in (found.low, found.high))
        return Interval(float(np.exp(found.value)), low, high, found.n, found.n_kind)


def summarise(_config: Mapping[str, Json], outputs: Sequence[Json]) -> Summary:
    """Sum up the networks and loads of a run."""
    found = _gather(outputs)
    lines = [line for one in found for line in _lines(one)]
    ratios = [ratio.value for one in found if (ratio := one.ratio("icq")) is not None]
    headline = counted(lines)
    if ratios:
        headline += f" IC-Q's delay is {min(ratios):.3f} to {max(ratios):.3f} of replan's."
    return Summary(
        headline=" ".join(part for part in (headline, missed(lines)) if part),
        rows=tuple(row for one in found for row in _rows(one)),
        sections=(
            to_reach(lines, "network and load", "Ratios: geometric means over seeds, paired."),
            Section("Delays", MEANT, (_delays(found), _dropped(found))),
            _sensitivity(found),
            _curves(found),
            _maps(found),
        ),
        choices=CHOICES,
        limits=LIMITS,
    )


def _gather(outputs: Sequence[Json]) -> list[Loaded]:
    """The outputs of each network and load, in the order in which they were asked for."""
    found = []
    networks = {one["index"]: one["network"] for one in outputs if one["network"] is not None}
    for index, rho in sorted({(one["index"], one["rho"]) for one in outputs}):
        cells = sorted(
            (one for one in outputs if (one["index"], one["rho"]) == (index, rho)),
            key=lambda one: one["number"],
        )
        found.append(Loaded(from_json(networks[index]), rho, cells[0]["destination"], cells))
    return found


def _lines(one: Loaded) -> Iterator[Line]:
    limit = WANTED[0] if one.rho <= LIGHT else WANTED[1]
    if "replan" in one.keys:
        reference = one.ratio("icq")
        lost = (
            f"dropped {one.of('icq', 'dropped').mean():.2g}, "
            f"by replan {one.of('replan', 'dropped').mean():.2g}"
        )
        reached = reference is not None and reference.value <= limit
        yield Line(one.name, "delay over replan's", reference, f"at most {limit:g}", reached, lost)
    shortest = one.ratio("icq", "shortest_path")
    if one.rho <= LIGHT:
        wanted, reached = "not above 1 beyond the interval", _low(shortest) <= 1
    else:
        wanted, reached = "below 1 with its interval", _high(shortest) < 1
    detail = f"shortest path dropped {one.of('shortest_path', 'dropped').mean():.2g}"
    yield Line(one.name, "delay over shortest path's", shortest, wanted, reached, detail)
    for peer in PEERS:
        ratio = one.ratio("icq", peer)
        dual = peer == "dual_q_routing"
        yield Line(
            one.name,
            f"delay over {peer}'s",
            ratio,
            "as it comes (two scalars)" if dual else "below 1 with its interval",
            dual or _high(ratio) < 1,
            f"{peer} dropped {one.of(peer, 'dropped').mean():.2g}",
        )


def _low(found: Interval | None) -> float:
    if found is None:
        return np.inf
    return found.value if found.low is None else found.low


def _high(found: Interval | None) -> float:
    if found is None:
        return np.inf
    return found.value if found.high is None else found.high


def _rows(one: Loaded) -> Iterator[Row]:
    for key in one.keys:
        learner, _, of = key.partition(", ")
        setting: dict[str, Scalar] = {
            "scenario": "load",
            "graph": one.network.name,
            "rho": one.rho,
            **({"of": of} if of else {}),
        }
        for metric, found in (
            ("delay", one.over(key, "delay")),
            ("delay_ratio", one.ratio(key)),
            ("drops", one.over(key, "dropped")),
        ):
            if found is None:
                yield Row(setting, learner, metric, None)
            else:
                yield found.row(setting, learner, metric)


def _usual(found: Sequence[Loaded]) -> tuple[str, ...]:
    return in_order({key for one in found for key in one.keys if ", " not in key})


def _delays(found: Sequence[Loaded]) -> Table:
    usual = _usual(found)
    lines: list[tuple[str | float | Interval | None, ...]] = [
        (
            one.network.name,
            one.rho,
            one.over("replan", "delay"),
            *(one.ratio(key) for key in usual if key != "replan"),
        )
        for one in found
    ]
    columns = ("network", "rho", "replan, ms", *(key for key in usual if key != "replan"))
    return Table("Mean delay over replan's", columns, tuple(lines))


def _dropped(found: Sequence[Loaded]) -> Table:
    usual = _usual(found)
    lines: list[tuple[str | float, ...]] = [
        (one.network.name, one.rho, *(float(one.of(key, "dropped").mean()) for key in usual))
        for one in found
    ]
    return Table("Share of packets dropped", ("network", "rho", *usual), tuple(lines))


def _sensitivity(found: Sequence[Loaded]) -> Section:
    """IC-Q without its toll, and peers at other steps: is a peer better somewhere?"""
    others = [key for key in found[0].keys if ", " in key]
    lines: list[tuple[str | float | Interval | None, ...]] = []
    wins = []
    for one in found:
        rivals = [key for key in one.keys if key.partition(", ")[0] in PEERS]
        least = min(rivals, key=lambda key: float(np.nanmean(one.of(key, "delay"))))
        ratio = one.ratio("icq", least)
        lines.append((one.network.name, one.rho, *(one.ratio(key) for key in others), least, ratio))
        if ratio is not None and ratio.value > 1:
            wins.append(f"{one.name} ({least})")
    said = f"A peer has less delay at {'; '.join(wins)}." if wins else "No peer has less delay."
    return Section(
        "Other settings",
        "Delay over replan's without the toll and of peers with other step sizes, then the peer "
        f"with least delay, chosen in hindsight, and IC-Q's delay over its. {said}",
        (
            Table(
                "Other settings",
                ("network", "rho", *others, "best peer", "icq over best peer"),
                tuple(lines),
            ),
        ),
    )


def _curves(found: Sequence[Loaded]) -> Section:
    loads = sorted({one.rho for one in found})
    middle = loads[len(loads) // 2]
    drawings = tuple(
        Drawing(
            f"delay-{number}",
            f"{one.name}: mean delay by the time of birth, from empty tables on.",
            "Curves of the delay over time, one a learner; those that learn begin high and fall.",
            partial(_curve, one),
        )
        for number, one in enumerate(one for one in found if one.rho == middle)
    )
    return Section("Learning from nothing", "Means over seeds with 95 % bands.", (), drawings)


def _curve(one: Loaded) -> Figure:
    packets, curves = one.cells[0]["packets"], {}
    for key in (key for key in DRAWN if key in one.keys):
        values = np.array([cell["routed"][key]["curve"] for cell in one.cells], float)
        x = (np.arange(values.shape[1]) + 1) * packets / values.shape[1]
        seen = np.isfinite(values).all(axis=0)
        curves[key] = figures.Curve(x[seen], values[:, seen])
    return figures.curves(curves, "packets born", "mean delay, ms")


def _maps(found: Sequence[Loaded]) -> Section:
    loads = sorted({one.rho for one in found})
    middle = loads[len(loads) // 2]
    drawings = tuple(
        Drawing(
            f"map-{number}",
            f"{one.name}, IC-Q, seed 0: use of every link, and the learnt next hops toward "
            f"{one.network.routers[one.destination]}.",
            "A map of the network; links are wider where they are used more.",
            partial(_map, one),
        )
        for number, one in enumerate(one for one in found if one.rho == middle)
    )
    return Section("The networks", "", (), drawings)


def _map(one: Loaded) -> Figure:
    learnt = one.cells[0]["routed"]["icq"]
    load, next_link = np.array(learnt["load"]), np.array(learnt["next_link"])
    return network_map(one.network, load, next_link, one.destination)
