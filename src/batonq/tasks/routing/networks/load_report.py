"""What the scenario "load" comes to: rows, lines to reach, tables, curves, maps."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from batonq.base.files import Json
from batonq.study import figures
from batonq.study.experiment import Drawing, Section, Summary, Table
from batonq.study.intervals import over_seeds
from batonq.study.lines import Line, counted, missed, to_reach
from batonq.study.rows import Interval, Row, Scalar
from batonq.tasks.routing.networks.drawing import network_map
from batonq.tasks.routing.networks.network import Network, from_json
from batonq.tasks.routing.networks.reporting import BANDS, curve, described, geometric, row
from batonq.tasks.routing.networks.traffic import PEERS, in_order

LIGHT: Final = 0.5  # up to this load shortest path is to be matched, above it beaten
LOST: Final = 0.01  # share of packets that IC-Q may drop beyond another and still be compared
WANTED: Final = (1.05, 1.10)  # delay over the reference's, up to that load and above it
TWO_SCALARS: Final = "dual_q_routing"  # told beside the lines to reach, as others send one
IN_MS: Final = "replan, ms"
DRAWN: Final = ("replan", "icq", "shortest_path", "q_routing_queue", "dual_q_routing")
MEANT: Final = (
    "Packets are born at random times (Poisson) by a gravity model whose masses are drawn anew for "
    "every seed. A load rho means that the busiest link would be used to that share if everybody "
    "took shortest paths; at 1.2 that link cannot carry its traffic, queues there fill and packets "
    "are dropped. Delays are of packets born in the second half of the time and delivered, "
    "divided by those of the all-seeing reference (replan) under the same demand: geometric means "
    "over seeds with intervals of the logarithm."
)
READ: Final = (
    "IC-Q's mean delay over that of each other: geometric means over seeds, paired. Delays are of "
    "delivered packets, so that who drops many may have less; shares dropped are given beside. "
    "Against replan the mean is judged, not its interval. With few seeds intervals are wide: one "
    "not all above 1 is then easily had, one below 1 hardly; of one seed the figure is judged. No "
    "line is reached where IC-Q drops over one packet in a hundred more than the other."
)
CHOICES: Final = (
    "All meet the same births in a seed but IC-Q, whose probes are drawn from the same stream: it "
    "meets others of the same law.",
    "A link's service time is the mean propagation delay of its network's links, so that queues "
    "and distance weigh alike. Packets have equal sizes; a queue holds 100 of them.",
    "The reference sees every queue at every moment and plans each packet anew at every hop by "
    "Dijkstra's algorithm on the waits as they are. It is selfish: a packet does not care for "
    "those behind it. So it is no lower bound, and a rule that does care may have less delay.",
    "IC-Q's routers subtract what they know of their own links (wait, service, measured travel, "
    "and a toll: what the packet costs those behind it) and learn the rest, step .02. Step, memory "
    "(30,000 service times), rate of probes (1 in 1,000), the bar for good news (16 usual errors) "
    "and the largest use that a toll counts with (.8) were chosen on these networks with other "
    "demands; the toll's formula follows from queueing theory and has no other parameter.",
    "Peers have the step sizes of their papers as we know them (the papers' texts were not at "
    "hand), beside them .1 and .02, and predictive Q-routing a recovery rate that decays faster. "
    "Answers arrive with the packet. Dual Q-routing sends two scalars a handoff.",
    "No rule looks for room: a packet whose link is full is dropped. Where rules sent it round "
    "instead, in overload detours took the room of others and every rule collapsed.",
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
        """One's delay over another's, paired by seed; None where a seed has none."""
        return geometric(self.of(key, "delay") / self.of(other, "delay"))


def summarise(_config: Mapping[str, Json], outputs: Sequence[Json]) -> Summary:
    """Sum up the networks and loads of a run."""
    found = _gather(outputs)
    lines = [line for one in found for line in _lines(one)]
    ratios = [ratio.value for one in found if (ratio := one.ratio("icq")) is not None]
    parts = [counted(lines)]
    if ratios:
        parts.append(f"IC-Q's delay is {min(ratios):.3f} to {max(ratios):.3f} of replan's.")
    parts += [_peers_won(found), missed(lines)]
    return Summary(
        headline=" ".join(part for part in parts if part),
        rows=tuple(row for one in found for row in _rows(one)),
        sections=(
            to_reach(lines, "network and load", READ),
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
    light = one.rho <= LIGHT
    if "replan" in one.keys:
        limit = WANTED[0] if light else WANTED[1]
        reference = one.ratio("icq")
        near = reference is not None and reference.value <= limit
        reached = near and _keeps(one, "replan")
        lost = f"it dropped {_lost(one, 'replan')}, IC-Q {_lost(one, 'icq')}"
        yield Line(one.name, "delay over replan's", reference, f"at most {limit:g}", reached, lost)
    for other in ("shortest_path", *PEERS):
        if other == TWO_SCALARS:
            continue
        ratio = one.ratio("icq", other)
        if other == "shortest_path" and light:
            wanted, reached = "interval not all above 1", _low(ratio) <= 1
        else:
            wanted, reached = "interval below 1", _high(ratio) < 1
        lost = f"it dropped {_lost(one, other)}"
        reached = reached and _keeps(one, other)
        yield Line(one.name, f"delay over {other}'s", ratio, wanted, reached, lost)


def _keeps(one: Loaded, other: str) -> bool:
    """Whether IC-Q delivers about what another does: else less delay is no merit."""
    mine, theirs = (float(one.of(key, "dropped").mean()) for key in ("icq", other))
    return mine <= theirs + LOST


def _lost(one: Loaded, key: str) -> str:
    return f"{one.of(key, 'dropped').mean():.2g}"


def _low(found: Interval | None) -> float:
    if found is None:
        return np.inf
    return found.value if found.low is None else found.low


def _high(found: Interval | None) -> float:
    if found is None:
        return np.inf
    return found.value if found.high is None else found.high


def _rows(one: Loaded) -> Iterator[Row]:
    setting: dict[str, Scalar] = {"scenario": "load", "graph": one.network.name, "rho": one.rho}
    for key in one.keys:
        yield row(setting, key, "delay", one.over(key, "delay"))
        yield row(setting, key, "delay_ratio", one.ratio(key))
        yield row(setting, key, "drops", one.over(key, "dropped"))


def _keys(found: Sequence[Loaded], usual: bool) -> tuple[str, ...]:
    """Who routed anywhere: those with the usual rule of their learner, or the others."""
    keys = {key for one in found for key in one.keys}
    return in_order(key for key in keys if (", " in key) != usual)


def _grid(
    found: Sequence[Loaded],
    caption: str,
    keys: Sequence[str],
    figure: Callable[[Loaded, str], Interval | float | None],
) -> Table:
    """A figure by load and router (down) and network (across)."""
    networks = tuple(dict.fromkeys(one.network.name for one in found))
    at = {(one.rho, one.network.name): one for one in found}
    lines = tuple(
        (rho, key, *(figure(at[rho, network], key) for network in networks))
        for rho in sorted({one.rho for one in found})
        for key in keys
    )
    return Table(caption, ("rho", "router", *networks), lines)


def _delays(found: Sequence[Loaded]) -> Table:
    def delay(one: Loaded, key: str) -> Interval | None:
        return one.over("replan", "delay") if key == IN_MS else one.ratio(key)

    keys = [IN_MS if key == "replan" else key for key in _keys(found, True)]
    return _grid(found, "Mean delay over replan's", keys, delay)


def _dropped(found: Sequence[Loaded]) -> Table:
    def share(one: Loaded, key: str) -> float | None:
        return float(one.of(key, "dropped").mean()) if key in one.keys else None

    return _grid(found, "Share of packets dropped", _keys(found, True), share)


def _best_peer(one: Loaded) -> tuple[str, Interval] | None:
    """The peer, in any of its settings, with least delay, and IC-Q's delay over its."""
    rivals = [key for key in one.keys if key.partition(", ")[0] in PEERS]
    found = [(key, ratio) for key in rivals if (ratio := one.ratio("icq", key)) is not None]
    return max(found, key=lambda pair: pair[1].value, default=None)


def _peers_won(found: Sequence[Loaded]) -> str:
    """Where which peer has less delay than IC-Q, as a sentence."""
    best = [(one.name, _best_peer(one)) for one in found]
    wins = [f"{name} ({peer[0]})" for name, peer in best if peer is not None and peer[1].value > 1]
    return f"A peer has less delay at {'; '.join(wins)}." if wins else ""


def _sensitivity(found: Sequence[Loaded]) -> Section:
    """IC-Q without its toll, peers in other settings: is a peer better somewhere?"""
    lines: list[tuple[str | float | Interval | None, ...]] = []
    for one in found:
        name, ratio = _best_peer(one) or ("none", None)
        lost = None if ratio is None else float(one.of(name, "dropped").mean())
        dual = one.ratio("icq", TWO_SCALARS)
        lines.append((one.network.name, one.rho, dual, name, ratio, lost))
    columns = (
        "network",
        "rho",
        f"icq over {TWO_SCALARS}",
        "best peer",
        "icq over it",
        "it dropped",
    )
    caption = (
        f"IC-Q's delay over that of {TWO_SCALARS}, which sends two scalars, and the best peer's"
    )
    tables = [Table(caption, columns, tuple(lines))]
    if others := _keys(found, False):
        caption = "Mean delay over replan's: IC-Q without its toll, peers with other settings"
        tables.append(_grid(found, caption, others, lambda one, key: one.ratio(key)))
    return Section(
        "Other settings",
        "The best peer is that with least delay in any of its settings, chosen in hindsight. "
        + (_peers_won(found) or "No peer has less delay than IC-Q."),
        tuple(tables),
    )


def _shown(found: Sequence[Loaded]) -> list[Loaded]:
    """The networks at the middle one of the loads, for figures."""
    loads = sorted({one.rho for one in found})
    return [one for one in found if one.rho == loads[len(loads) // 2]]


def _curves(found: Sequence[Loaded]) -> Section:
    drawings = tuple(
        Drawing(
            f"delay-{number}",
            f"{one.name}: mean delay by the time of birth, from empty tables on.",
            "Curves of the delay over time, one a learner; those that learn begin high and fall.",
            partial(_curve, curves),
        )
        for number, one in enumerate(_shown(found))
        if (curves := _learning(one))
    )
    return Section("Learning from nothing", BANDS, (), drawings)


def _learning(one: Loaded) -> dict[str, figures.Curve]:
    """Delay over the packets born, of those who delivered any."""
    packets, found = one.cells[0]["packets"], {}
    for key in (key for key in DRAWN if key in one.keys):
        values = np.array([cell["routed"][key]["curve"] for cell in one.cells], float)
        x = (np.arange(values.shape[1]) + 1) * packets / values.shape[1]
        found[key] = curve(x, values)
    return {key: drawn for key, drawn in found.items() if drawn is not None}


def _curve(curves: Mapping[str, figures.Curve]) -> Figure:
    figure = figures.curves(curves, "packets born", "mean delay, ms")
    means = np.concatenate([one.values.mean(axis=0) for one in curves.values()])
    axes = figure.axes[0]
    axes.set_yscale("log")
    axes.set_ylim(0.8 * means.min(), 1.25 * means.max())  # a band may reach below 0
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 3, 5)))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    return figure


def _maps(found: Sequence[Loaded]) -> Section:
    drawings = tuple(
        Drawing(
            f"map-{number}",
            f"{one.name}, IC-Q, seed 0: use of every link, and the learnt next hops toward "
            f"{one.network.routers[one.destination]}.",
            "A map of the network; links are wider where they are used more.",
            partial(_map, one),
        )
        for number, one in enumerate(_shown(found))
    )
    networks = {one.network.name: one.network for one in found}
    return Section("The networks", "", (described(list(networks.values())),), drawings)


def _map(one: Loaded) -> Figure:
    learnt = one.cells[0]["routed"]["icq"]
    load, next_link = np.array(learnt["load"]), np.array(learnt["next_link"])
    return network_map(one.network, load, next_link, one.destination)
