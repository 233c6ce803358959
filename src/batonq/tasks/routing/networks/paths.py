"""The scenarios "static" and "jitter": do routers learn the shortest paths of an idle network?

Packets between uniformly drawn pairs of routers meet no queues. After every check the learnt
tables are followed from every router to every other, and the cost of the way is compared with
Dijkstra's.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.study.experiment import Cell, Summary
from batonq.tasks.routing.networks import path_report
from batonq.tasks.routing.networks.demand import TIE, next_links, shortest_delays, uniform
from batonq.tasks.routing.networks.graphs import chosen, find
from batonq.tasks.routing.networks.greedy import costs, link_values, way
from batonq.tasks.routing.networks.network import Network, to_json
from batonq.tasks.routing.networks.play import Play, Setting
from batonq.tasks.routing.networks.rules import ICQ, RULES, Rule, memory
from batonq.tasks.routing.options import JITTER, STATIC, RoutingOptions

JITTER_SHARE: Final = 1.0  # of a link's delay that is exponentially distributed
NEAR: Final = 1.01  # a way that costs at most this many times the least is within 1 %
UNDER_WAY: Final = 0.25  # packets per router at one time, about
GROWTH: Final = 1.15  # from one check to the next, in time
LEARNERS: Final[Mapping[str, Mapping[str, Rule]]] = {
    # Where no duration is random nothing is to be averaged, so the step is 1.
    STATIC: {"icq": Rule(ICQ, step=1.0, returns=False), "q_routing": RULES["q_routing"]},
    JITTER: {
        "icq": Rule(ICQ, step=0.2, private=True, returns=False, explore=0.2),
        "q_routing": RULES["q_routing"],
    },
}


@dataclass(frozen=True)
class Horizon:
    """For how long routers learn, fixed by the size of the network.

    Attributes:
        per_pair: handoffs per ordered pair of routers.
        per_link: and these for each directed link, whose mean has to be measured.
    """

    per_pair: int
    per_link: int

    def handoffs(self, network: Network) -> int:
        """Handoffs in all."""
        pairs = network.n_routers * (network.n_routers - 1)
        return self.per_pair * pairs + self.per_link * network.n_links


HORIZONS: Final[Mapping[str, Horizon]] = {
    STATIC: Horizon(500, 0),
    JITTER: Horizon(1000, 50_000),
}


def cells(options: RoutingOptions) -> list[Cell]:
    """One cell per network and seed; the largest networks go first.

    Raises:
        DataError: for a network that cannot be read.
    """
    listed = _networks(options)
    order = sorted(range(len(listed)), key=lambda one: -listed[one][1].n_routers)
    return [
        Cell(
            f"{options.scenario}-{index}-seed{number}",
            {
                "scenario": options.scenario,
                "graph": listed[index][0],
                "index": index,
                "data": None if options.data is None else str(options.data),
                "number": number,
                "seed": options.seed,
            },
        )
        for index in order
        for number in range(options.repetitions)
    ]


def identity(options: RoutingOptions) -> dict[str, Json]:
    """The networks and their digests, and how long is learnt."""
    until = HORIZONS[options.scenario]
    return {
        "networks": [[one.name, one.digest] for _, one in _networks(options)],
        "handoffs_per_pair": until.per_pair,
        "handoffs_per_link": until.per_link,
        "jitter": 0.0 if options.scenario == STATIC else JITTER_SHARE,
    }


def run_cell(config: Mapping[str, Json]) -> Json:
    """Let every learner learn on one network with one seed."""
    data = None if config["data"] is None else Path(config["data"])
    network = find(config["graph"], data)
    optimal = shortest_delays(network)
    handoffs = HORIZONS[config["scenario"]].handoffs(network)
    jitter = 0.0 if config["scenario"] == STATIC else JITTER_SHARE
    destination = int(np.diff(network.indptr).argmax())
    learnt: dict[str, Json] = {"shortest_path": _planned(network, optimal)}
    for which, (learner, rule) in enumerate(LEARNERS[config["scenario"]].items(), start=1):
        rng = generator(config["seed"], config["number"], which)
        learnt[learner] = _learn(network, rule, jitter, handoffs, optimal, destination, rng)
    return {
        "index": config["index"],
        "number": config["number"],
        "network": to_json(network) if config["number"] == 0 else None,
        "destination": destination,
        "learnt": learnt,
    }


def summarise(config: Mapping[str, Json], outputs: Sequence[Json]) -> Summary:
    """Sum up a finished run."""
    return path_report.summarise(config, outputs)


def _networks(options: RoutingOptions) -> list[tuple[str, Network]]:
    """Those asked for; a look at learning with noise, which takes longer, has five."""
    few = options.quick and options.scenario == JITTER
    return chosen(options.graphs, few, options.data)


def _learn(
    network: Network,
    rule: Rule,
    jitter: float,
    handoffs: int,
    optimal: Float[np.ndarray, "router router"],
    destination: int,
    rng: np.random.Generator,
) -> dict[str, Json]:
    """Learn for a number of handoffs; what the ways cost is checked as often as time grows."""
    pairs = network.n_routers * (network.n_routers - 1)
    rate = UNDER_WAY * network.n_routers / (optimal.sum() / pairs)
    kept = memory(network, rule)
    setting = Setting(rate=rate, horizon=1.0, jitter=jitter, bins=1)
    play = Play(network, uniform(network), setting, rule, kept, rng)
    checks: list[list[float]] = []
    started, until, step = time.perf_counter(), 0.0, pairs / rate
    while play.hops < handoffs:
        before = play.hops
        play.advance(until + step)
        until += step
        taken = way(network, link_values(network, rule, kept.value, play.travel), rule.returns)
        exact, near = _shares(costs(network, taken), optimal)
        checks.append([play.hops / pairs, exact, near])
        # The last step is to end at the horizon, at the pace of the one before.
        pace = max(play.hops - before, 1) / step
        step = min((GROWTH - 1) * until, (handoffs - play.hops) / pace + 1 / rate)
    return {
        "checks": checks,
        "settled": _settled(checks),
        "dropped": int(play.tally["dropped"].sum()) / max(int(play.tally["born"].sum()), 1),
        "seconds": time.perf_counter() - started,
        "next_link": _toward(network, taken, destination),
    }


def _planned(network: Network, optimal: Float[np.ndarray, "router router"]) -> dict[str, Json]:
    """The table of shortest path, followed as the others are."""
    links = next_links(network)
    taken = np.concatenate([links[network.head], links])
    exact, near = _shares(costs(network, taken), optimal)
    return {"checks": [[0.0, exact, near]], "settled": None, "dropped": 0.0, "seconds": 0.0}


def _shares(
    found: Float[np.ndarray, "router router"], optimal: Float[np.ndarray, "router router"]
) -> tuple[float, float]:
    """Shares of the ordered pairs whose way costs the least, and at most 1 % more."""
    apart: Bool[np.ndarray, "router router"] = ~np.eye(len(found), dtype=bool)
    cost, least = found[apart], optimal[apart]
    return float((cost <= least + TIE).mean()), float((cost <= NEAR * least + TIE).mean())


def _settled(checks: Sequence[Sequence[float]]) -> float | None:
    """Handoffs per pair at the first check from which on all pairs were exact at every check."""
    inexact = [number for number, (_, exact, _) in enumerate(checks) if exact < 1]
    first = inexact[-1] + 1 if inexact else 0
    return checks[first][0] if first < len(checks) else None


def _toward(
    network: Network, taken: Int[np.ndarray, "state router"], destination: int
) -> list[int]:
    links: list[int] = taken[network.n_links :, destination].tolist()
    links[destination] = -1
    return links
