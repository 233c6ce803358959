"""The scenarios "failure" and "shift": how long routers need when the network or demand changes.

After a third of the time the busiest link that can be spared fails, and works again after another;
or the demand is drawn anew. Packets on a failing link are lost, those queued for it routed anew.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from batonq.base.errors import ModelError
from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.study.experiment import Cell, Summary
from batonq.tasks.routing.networks import change_report, traffic
from batonq.tasks.routing.networks.demand import gravity, link_shares, packet_rate
from batonq.tasks.routing.networks.graphs import chosen
from batonq.tasks.routing.networks.network import to_json
from batonq.tasks.routing.networks.play import Play
from batonq.tasks.routing.networks.rules import RULES
from batonq.tasks.routing.networks.traffic import PEERS, PLANNED, Router, Scene
from batonq.tasks.routing.options import FAILURE, RoutingOptions

BINS: Final = 300  # of the time over which packets are born
PERIODS: Final = {"failure": 3, "shift": 2}  # of equal length: before, after, after the repair
RHOS: Final = {"failure": (0.5,), "shift": (0.9,)}


def routers() -> tuple[Router, ...]:
    """Who routes: the learners, and IC-Q without what it does to hear of good news."""
    usual = traffic.usual("replan", "icq", "shortest_path", *PEERS)
    greedy = RULES["icq"]._replace(explore=0.0, news=0.0)
    return (*usual, Router("icq", greedy, "no probes, no news"))


def cells(options: RoutingOptions) -> list[Cell]:
    """One cell per network, load and seed.

    Raises:
        ModelError: for a network in which no link can fail without cutting routers off, or that is
            too large for the reference.
    """
    laid = traffic.layout(options, options.rhos or RHOS[options.scenario])
    for _, network in chosen(options.graphs, True, options.data):
        if network.n_routers > PLANNED:
            raise ModelError(
                f"network '{network.name}': {network.n_routers} routers; the all-seeing reference "
                f"by which recovery is judged takes hours above {PLANNED}: give a smaller network, "
                "or take scenario 'load'"
            )
    if options.scenario == FAILURE:
        for cell in laid:
            if cell.config["number"] == 0:
                spare_link(traffic.scene(cell.config))
    return laid


def identity(options: RoutingOptions) -> dict[str, Json]:
    """What else the results depend on."""
    return traffic.identity(options, options.rhos or RHOS[options.scenario])


def run_cell(config: Mapping[str, Json]) -> Json:
    """Let every router meet the same change."""
    scene = traffic.scene(config)
    failing = config["scenario"] == FAILURE
    link = spare_link(scene) if failing else None
    network, routed = scene.network, {}
    for router in routers():
        started = time.perf_counter()
        play = scene.play(router.rule, BINS)
        _live(play, scene, link)
        routed[router.key] = _told(play, time.perf_counter() - started)
    ends = [] if link is None else [network.tail[link], network.head[link]]
    return {
        "index": config["index"],
        "network": to_json(network) if config["number"] == 0 else None,
        "rho": config["rho"],
        "number": config["number"],
        "link": [network.routers[end] for end in ends],
        "bin_services": scene.horizon / scene.service / BINS,
        "routed": routed,
    }


def summarise(config: Mapping[str, Json], outputs: Sequence[Json]) -> Summary:
    """Sum up a finished run."""
    return change_report.summarise(config, outputs)


def spare_link(scene: Scene) -> int:
    """The link with most traffic under shortest path, both ways, whose loss cuts nobody off.

    Raises:
        ModelError: if there is none.
    """
    network = scene.network
    shares = link_shares(network, scene.demand, scene.service)
    for link in np.argsort(-(shares + shares[network.back]), kind="stable"):
        left = np.ones(network.n_links, np.bool_)
        left[[link, network.back[link]]] = False
        ends = (network.tail[left], network.head[left])
        joined = csr_array((np.ones(int(left.sum())), ends), shape=(network.n_routers,) * 2)
        if int(connected_components(joined)[0]) == 1:
            return int(link)
    raise ModelError(
        f"network '{network.name}': the failure of any link cuts routers off; give one with a "
        "second way, or take scenario 'shift'"
    )


def _live(play: Play, scene: Scene, link: int | None) -> None:
    """Let the traffic flow with its change, and repair, until every packet has ended."""
    horizon = scene.horizon
    if link is None:
        play.advance(horizon / PERIODS["shift"])
        demand = gravity(scene.network, generator(scene.seed, scene.number, 2))
        rate = packet_rate(scene.network, demand, scene.service, scene.rho)
        play.change_demand(demand, rate)
    else:
        play.advance(horizon / PERIODS["failure"])
        play.cut(link)
        play.advance(2 * horizon / PERIODS["failure"])
        play.restore(link)
    play.advance(horizon)
    play.finish()


def _told(play: Play, seconds: float) -> dict[str, Json]:
    tally = play.tally
    return {
        **{name: tally[name].tolist() for name in ("born", "delivered", "dropped", "delay")},
        "seconds": seconds,
    }
