"""Who sends how much to whom, and what shortest paths make of it: the loads that rho scales."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from batonq.base.errors import ModelError
from batonq.tasks.routing.networks.network import Network

SPREAD: Final = 0.7  # sigma of the logarithm of a router's mass
TIE: Final = 1e-9  # ms below which two paths count as equally long


@dataclass(frozen=True, eq=False)
class Demand:
    """Shares of the traffic.

    Attributes:
        name: how tables call it.
        share: of all packets those from row to column; the diagonal is 0, all sum to 1.

    Raises:
        ModelError: if a share is negative or not finite, a router sends to itself, or they do not
            sum to 1.
    """

    name: str
    share: Float[np.ndarray, "router router"]

    def __post_init__(self) -> None:
        total = float(self.share.sum())
        if not (np.isfinite(self.share) & (self.share >= 0)).all():
            raise ModelError(f"demand '{self.name}': a share is negative or not finite")
        if np.diagonal(self.share).any():
            raise ModelError(f"demand '{self.name}': a router sends to itself; give it share 0")
        if abs(total - 1) > 1e-9:
            raise ModelError(f"demand '{self.name}': shares sum to {total:g}; divide by the sum")


def uniform(network: Network) -> Demand:
    """The same share for every ordered pair of routers."""
    return _normalised("uniform", np.ones((network.n_routers,) * 2))


def gravity(network: Network, rng: np.random.Generator) -> Demand:
    """Shares in proportion to the product of the two routers' masses, which are log-normal."""
    mass = rng.lognormal(0.0, SPREAD, network.n_routers)
    return _normalised("gravity", np.outer(mass, mass))


def shortest_delays(network: Network, service: float = 0.0) -> Float[np.ndarray, "router router"]:
    """Delay in ms of a shortest path from row to column in an empty network.

    Args:
        network: the routers and links.
        service: time in ms that every hop takes on top of its link's delay.
    """
    weights = csr_array(
        (network.delay + service, network.head, network.indptr), shape=(network.n_routers,) * 2
    )
    return np.asarray(dijkstra(weights, directed=True), float)


def next_links(network: Network, service: float = 0.0) -> Int[np.ndarray, "router router"]:
    """The link by which a shortest path leaves row for column; -1 on the diagonal.

    Of links equally good within `TIE` the one with the lowest number is taken, so that the answer
    does not hang on rounding. Following it from any router reaches the destination.
    """
    distance = shortest_delays(network, service)
    cost = (network.delay + service)[:, None] + distance[network.head]
    taken = np.empty_like(distance, np.int64)
    for router in range(network.n_routers):
        first, end = network.indptr[router : router + 2]
        costs = cost[first:end]
        taken[router] = first + (costs <= costs.min(axis=0) + TIE).argmax(axis=0)
    np.fill_diagonal(taken, -1)
    return taken


def link_shares(
    network: Network, demand: Demand, service: float = 0.0
) -> Float[np.ndarray, " link"]:
    """Share of all packets that crosses each directed link under shortest path."""
    distance = shortest_delays(network, service)
    taken = next_links(network, service)
    flow = demand.share.copy()  # what is at row on its way to column
    shares = np.zeros(network.n_links)
    columns = np.arange(network.n_routers)
    # From the far end of each destination's tree, so that a router passes on what it got.
    for rows in np.argsort(-distance, axis=0, kind="stable")[:-1]:
        links = taken[rows, columns]
        moving = flow[rows, columns]
        np.add.at(shares, links, moving)
        flow[network.head[links], columns] += moving
    return shares


def busiest(network: Network, demand: Demand, service: float = 0.0) -> tuple[int, float]:
    """The directed link with most traffic under shortest path, and its share of all packets."""
    shares = link_shares(network, demand, service)
    link = int(shares.argmax())
    return link, float(shares[link])


def packet_rate(network: Network, demand: Demand, service: float, rho: float) -> float:
    """Packets per ms in all that make the busiest link's utilisation `rho` under shortest path.

    Args:
        network: the routers and links.
        demand: the shares of the traffic.
        service: time in ms a link takes to send a packet.
        rho: utilisation, positive; above 1 the link is overloaded.

    Raises:
        ModelError: if `service` or `rho` is not a positive number.
    """
    for name, number in (("service", service), ("rho", rho)):
        if not 0 < number < math.inf:
            raise ModelError(f"{name}: {number:g}; give a positive number")
    return rho / (busiest(network, demand, service)[1] * service)


def _normalised(name: str, weights: Float[np.ndarray, "router router"]) -> Demand:
    np.fill_diagonal(weights, 0.0)
    return Demand(name, weights / weights.sum())
