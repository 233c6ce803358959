"""The scenario "load": how long packets take when links have queues, under every rule."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from batonq.base.files import Json
from batonq.study.experiment import Cell, Summary
from batonq.tasks.routing.networks import load_report, traffic
from batonq.tasks.routing.networks.greedy import link_values, way
from batonq.tasks.routing.networks.network import to_json
from batonq.tasks.routing.networks.play import Play
from batonq.tasks.routing.networks.rules import RULES
from batonq.tasks.routing.networks.traffic import PEERS, PLANNED, Router, Scene
from batonq.tasks.routing.options import RHOS, RoutingOptions

BINS: Final = 40  # of the time over which packets are born
JUDGED: Final = 20  # the last of them, by which delays are judged
PREDICTIVE: Final = "predictive_q_routing"
STEPS: Final = (0.1, 0.02)  # of peers besides their papers' own


def routers(quick: bool, size: int) -> tuple[Router, ...]:
    """Who routes: the learners, IC-Q without its toll, and peers with other step sizes.

    The reference is left out of networks so large that it would take hours.
    """
    reference = ("replan",) if size <= PLANNED else ()
    usual = traffic.usual(*reference, "icq", "shortest_path", *PEERS)
    if quick:
        return usual
    tollfree = Router("icq", RULES["icq"]._replace(toll=0.0), "no toll")
    others = [
        Router(peer, RULES[peer]._replace(step=step, back_step=step), f"step {step:g}")
        for peer in PEERS
        for step in STEPS
    ]
    tempered = Router(PREDICTIVE, RULES[PREDICTIVE]._replace(decay=0.5), "decay 0.5")
    return (*usual, tollfree, *others, tempered)


def cells(options: RoutingOptions) -> list[Cell]:
    """One cell per network, load and seed."""
    return traffic.layout(options, options.rhos or RHOS)


def identity(options: RoutingOptions) -> dict[str, Json]:
    """What else the results depend on."""
    return traffic.identity(options, options.rhos or RHOS)


def run_cell(config: Mapping[str, Json]) -> Json:
    """Let every router route traffic of the same demand and rate."""
    scene = traffic.scene(config)
    destination = int(scene.demand.share.sum(axis=0).argmax())
    first = config["number"] == 0
    routed: dict[str, Json] = {}
    for router in routers(config["quick"], scene.network.n_routers):
        started = time.perf_counter()
        play = scene.play(router.rule, BINS)
        play.advance(scene.horizon * (1 - JUDGED / BINS))
        busy = play.busy
        play.advance(scene.horizon)
        busy = (play.busy - busy) / (scene.horizon * JUDGED / BINS)
        play.finish()
        routed[router.key] = _told(play, time.perf_counter() - started)
        if first and router.key == "icq":
            routed[router.key] |= {
                "load": np.minimum(busy, 1.0).round(4).tolist(),
                "next_link": _toward(scene, play, destination),
            }
    return {
        "index": config["index"],
        "rho": config["rho"],
        "number": config["number"],
        "network": to_json(scene.network) if first else None,
        "destination": destination,
        "packet_ms": 1 / scene.rate,
        "service_ms": scene.service,
        "packets": scene.packets,
        "routed": routed,
    }


def summarise(config: Mapping[str, Json], outputs: Sequence[Json]) -> Summary:
    """Sum up a finished run."""
    return load_report.summarise(config, outputs)


def _told(play: Play, seconds: float) -> dict[str, Json]:
    """What became of the packets born in the judged time, and the delay over all of the time."""
    judged = play.tally[-JUDGED:]
    delivered = int(judged["delivered"].sum())
    with np.errstate(invalid="ignore"):
        curve = play.tally["delay"] / play.tally["delivered"]
    return {
        "delay": float(judged["delay"].sum()) / delivered if delivered else None,
        "dropped": int(judged["dropped"].sum()) / int(judged["born"].sum()),
        "hops": int(judged["hops"].sum()) / delivered if delivered else None,
        "curve": [float(one) if np.isfinite(one) else None for one in curve],
        "handoffs": play.hops,
        "seconds": seconds,
    }


def _toward(scene: Scene, play: Play, destination: int) -> list[int]:
    """The learnt links toward one router, in an idle network; -1 at the router itself."""
    rule = RULES["icq"]
    values = link_values(scene.network, rule, play.kept.value, play.travel + scene.service)
    links: list[int] = way(scene.network, values, rule.returns)[
        scene.network.n_links :, destination
    ].tolist()
    links[destination] = -1
    return links
