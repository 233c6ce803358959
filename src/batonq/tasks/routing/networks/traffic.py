"""Networks under traffic: demand, service and rate of a seed, and who routes on it.

Every rule of a seed meets the same demand and rate. Births are the very same for rules that draw
nothing else; those that probe draw from the same generator, and meet others of the same law.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from jaxtyping import Int

from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.study.experiment import Cell
from batonq.tasks.routing.networks.demand import Demand, gravity, next_links, packet_rate
from batonq.tasks.routing.networks.graphs import chosen, find
from batonq.tasks.routing.networks.network import Network
from batonq.tasks.routing.networks.play import Play, Setting
from batonq.tasks.routing.networks.rules import RULES, Rule, memory
from batonq.tasks.routing.options import RoutingOptions

ROOM: Final = 100  # packets a queue holds
LEAST_PACKETS: Final = 300_000
PER_PAIR: Final = 500  # packets per ordered pair of routers
MOST_PACKETS: Final = 1_500_000
PLANNED: Final = 200  # routers above which planning anew at every hop takes hours
QUICK_SHARE: Final = 5  # a quick run has so many times fewer packets
PEERS: Final = ("q_routing", "q_routing_queue", "predictive_q_routing", "dual_q_routing")


@dataclass(frozen=True)
class Router:
    """Who routes: a rule, and what sets it apart from the usual one of its learner.

    Attributes:
        learner: its word in the rows.
        rule: how its routers choose and learn.
        of: in words; None is the usual rule.
    """

    learner: str
    rule: Rule
    of: str | None = None

    @property
    def key(self) -> str:
        """Its name in the outputs of cells."""
        return self.learner if self.of is None else f"{self.learner}, {self.of}"


@dataclass(frozen=True, eq=False)
class Scene:
    """One network with one seed's demand.

    Attributes:
        network: routers and links.
        demand: of the seed.
        rho: use of the busiest link if all took shortest paths.
        service: service time in ms: the mean propagation delay of the network's links.
        rate: packets born per ms in all.
        packets: how many are to be born.
        next_link: the table of shortest path.
        seed, number: what the births are drawn from.
    """

    network: Network
    demand: Demand
    rho: float
    service: float
    rate: float
    packets: int
    next_link: Int[np.ndarray, "router router"]
    seed: int
    number: int

    @property
    def horizon(self) -> float:
        """Ms over which packets are born."""
        return self.packets / self.rate

    def play(self, rule: Rule, bins: int) -> Play:
        """A fresh play under a rule."""
        setting = Setting(
            rate=self.rate, horizon=self.horizon, service=self.service, room=ROOM, bins=bins
        )
        kept = memory(self.network, rule, self.next_link)
        births = generator(self.seed, self.number, 1)
        return Play(self.network, self.demand, setting, rule, kept, births)


def scene(config: Mapping[str, Json]) -> Scene:
    """The scene of a cell of `layout`."""
    network = find(config["graph"], None if config["data"] is None else Path(config["data"]))
    service = float(network.delay.mean())
    demand = gravity(network, generator(config["seed"], config["number"], 0))
    return Scene(
        network=network,
        demand=demand,
        rho=config["rho"],
        service=service,
        rate=packet_rate(network, demand, service, config["rho"]),
        packets=packets(network, config["quick"]),
        next_link=next_links(network, service),
        seed=config["seed"],
        number=config["number"],
    )


def packets(network: Network, quick: bool) -> int:
    """How many packets are born on a network."""
    pairs = network.n_routers * (network.n_routers - 1)
    whole = min(max(LEAST_PACKETS, PER_PAIR * pairs), MOST_PACKETS)
    return whole // (QUICK_SHARE if quick else 1)


def layout(options: RoutingOptions, rhos: tuple[float, ...]) -> list[Cell]:
    """One cell per network, load and seed, each once; the largest networks go first.

    Raises:
        DataError: for a network that cannot be read.
    """
    listed = chosen(options.graphs, True, options.data)
    order = sorted(range(len(listed)), key=lambda one: -listed[one][1].n_routers)
    return [
        Cell(
            f"{options.scenario}-{index}-rho{rho}-seed{number}",
            {
                "scenario": options.scenario,
                "graph": listed[index][0],
                "index": index,
                "rho": rho,
                "data": None if options.data is None else str(options.data),
                "number": number,
                "seed": options.seed,
                "quick": options.quick,
            },
        )
        for index in order
        for rho in dict.fromkeys(rhos)
        for number in range(options.repetitions)
    ]


def identity(options: RoutingOptions, rhos: tuple[float, ...]) -> dict[str, Json]:
    """The networks and their digests, the loads, and how many packets each network has."""
    listed = chosen(options.graphs, True, options.data)
    return {
        "networks": [[one.name, one.digest] for _, one in listed],
        "packets": [packets(one, options.quick) for _, one in listed],
        "rhos": list(dict.fromkeys(rhos)),
    }


def usual(*learners: str) -> tuple[Router, ...]:
    """Routers with the usual rules of these learners."""
    return tuple(Router(learner, RULES[learner]) for learner in learners)


def in_order(keys: Iterable[str]) -> tuple[str, ...]:
    """Keys of routers as tables show them: the reference, IC-Q, shortest path, peers; then rest."""
    learners = ("replan", "icq", "shortest_path", *PEERS)

    def place(key: str) -> tuple[bool, int, str]:
        learner, _, of = key.partition(", ")
        return bool(of), learners.index(learner), of

    return tuple(sorted(keys, key=place))
