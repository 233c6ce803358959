"""The network simulator: hops a second, against plain Python, and costs as networks grow.

Gravity traffic at rho .5 of the busiest link; service time the mean delay of a link. Times are
processor seconds of one core; a row has the median of the repeats and the least, which on a machine
that others use too is the steadier one, and `hops_per_second` is from the least. Tables begin at
the delays of shortest paths, so that IC-Q and Q-routing route as they do after learning, at any
size and from the first packet on. Plain Python is the same code with the compiler off, in a process
of its own; its ratio is plain / compiled.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from importlib import import_module
from pathlib import Path
from statistics import median
from typing import Any, Final

import numpy as np

from batonq.base.data import given_folder
from batonq.tasks.routing.networks.demand import (
    gravity,
    next_links,
    packet_rate,
    shortest_delays,
)
from batonq.tasks.routing.networks.graphs import find
from batonq.tasks.routing.networks.play import Play, Setting, alias_table
from batonq.tasks.routing.networks.rules import ENTRY, ICQ, PREDICTIVE, RULES, memory

RHO: Final = 0.5
SPEEDS: Final = ("NSFNET", "Tinet", "random-1000")
LEARNERS: Final = (
    "icq",
    "q_routing",
    "q_routing_queue",
    "predictive_q_routing",
    "dual_q_routing",
    "shortest_path",
    "replan",
)
SIZES: Final = ("NSFNET", "random-30", "random-100", "random-300", "random-1000")
WANTED_RATIO: Final = 100.0
WANTED_GROWTH: Final = 1.5
SETTLED: Final = 1000  # updates each entry is taken to have had

Row = dict[str, Any]


def prepared(name: str, rule_name: str, packets: int) -> Play:
    """A network under way, its routers' tables those of shortest paths."""
    network, rule = find(name), RULES[rule_name]
    rng = np.random.default_rng(1)
    service = float(network.delay.mean())
    demand = gravity(network, rng)
    rate = packet_rate(network, demand, service, RHO)
    kept = memory(network, rule, next_links(network, service))
    distance = shortest_delays(network, service)
    for router in range(network.n_routers):
        first, end = network.indptr[router : router + 2]
        beyond = distance[network.head[first:end]]
        if rule.kind == ICQ:
            values = -beyond.T
        else:
            values = (beyond + (network.delay[first:end] + service)[:, None]).T
        place = network.n_routers * first
        kept.value[place : place + values.size] = values.ravel()
    if rule.kind in (ICQ, PREDICTIVE):
        kept.updated[:] = 0.0
        kept.updates[:] = SETTLED
        kept.best[:] = kept.value[: len(kept.best)]
    play = Play(network, demand, Setting(rate, packets / rate, service), rule, kept, rng)
    play.advance(0.1 * packets / rate)
    return play


def costs(name: str, rule_name: str, packets: int, repeats: int) -> tuple[Play, list[float]]:
    """Processor seconds a hop, of every repeat."""
    play = prepared(name, rule_name, packets)
    found, stretch = [], packets / play.rate
    for _ in range(repeats):
        before, began = play.hops, time.process_time()
        play.advance(play.now + stretch)
        found.append((time.process_time() - began) / (play.hops - before))
    return play, found


def plain_cost(name: str, rule_name: str, packets: int) -> float:
    """Least seconds a hop of three repeats with the compiler off, in another process."""
    command = [sys.executable, "-m", "benchmarks.routing", name, rule_name, str(packets)]
    surroundings = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(  # noqa: S603 - our own module
        command, env=surroundings, capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def speeds(quick: bool) -> list[Row]:
    """Hops a second of every rule on three networks."""
    rows: list[Row] = []
    for name in SPEEDS[:1] if quick else SPEEDS:
        if name == "Tinet" and given_folder(None) is None:
            rows.append({"what": "speed", "network": name, "note": "not available: no data folder"})
            continue
        for rule in LEARNERS:
            slow = rule == "replan" and name != "NSFNET"
            packets = 2_000 if slow else 20_000 if quick else 100_000
            play, found = costs(name, rule, packets, 3 if quick or slow else 9)
            row = {"what": "speed", "network": name, "rule": rule}
            rows.append(row | numbers(found) | {"hops": play.hops})
    return rows


def numbers(found: list[float]) -> Row:
    """Median and least, in nanoseconds, and hops a second."""
    return {
        "median_ns": 1e9 * median(found),
        "least_ns": 1e9 * min(found),
        "hops_per_second": 1 / min(found),
    }


def against_plain(quick: bool) -> list[Row]:
    """The compiled simulator against the same code uncompiled."""
    rows: list[Row] = []
    for rule in ("icq", "q_routing"):
        packets = 20_000 if quick else 100_000
        _, found = costs("NSFNET", rule, packets, 3 if quick else 9)
        theirs = plain_cost("NSFNET", rule, 300 if quick else 2_000)
        ours = min(found)
        rows.append(
            {"what": "plain Python", "network": "NSFNET", "rule": rule}
            | {"ours": ours, "theirs": theirs, "ratio": theirs / ours, "wanted": WANTED_RATIO}
        )
    return rows


def against_second(quick: bool) -> list[Row]:
    """The compiled simulator against a second one in plain Python: objects, dicts and heapq.

    Tests hold the compiled one against it; it is quicker than the same code uncompiled.
    """
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "tasks" / "routing"))
    plain = import_module("plain_network").Plain
    network = find("NSFNET")
    service, rng = float(network.delay.mean()), np.random.default_rng(1)
    demand = gravity(network, rng)
    rate = packet_rate(network, demand, service, RHO)
    packets = 1_000 if quick else 6_000
    setting = Setting(rate, packets / rate, service)
    rows: list[Row] = []
    for rule in ("icq", "q_routing"):
        _, found = costs("NSFNET", rule, 20_000 if quick else 100_000, 3 if quick else 9)
        alias = alias_table(demand.share.ravel())
        theirs = plain(
            network, setting, rule, RULES[rule], rng, alias, next_links(network, service)
        )
        theirs.advance(0.3 * setting.horizon)
        before, began = theirs.handoffs, time.process_time()
        theirs.advance(setting.horizon)
        cost = (time.process_time() - began) / (theirs.handoffs - before)
        rows.append(
            {"what": "second simulator", "network": "NSFNET", "rule": rule}
            | {"ours": min(found), "theirs": cost, "ratio": cost / min(found)}
        )
    return rows


def growth(quick: bool) -> list[Row]:
    """Cost a hop and memory a router of IC-Q against the number of routers."""
    rows: list[Row] = []
    least = 0.0
    for name in SIZES[:3] if quick else SIZES:
        play, found = costs(name, "icq", 20_000 if quick else 100_000, 3 if quick else 9)
        least = least or min(found)
        kept = play.kept
        routers = int(np.sqrt(len(kept.next_link.ravel())))
        table = len(kept.value) * ENTRY.itemsize
        rows.append(
            {"what": "growth", "network": name, "routers": routers}
            | numbers(found)
            | {"times_first": min(found) / least, "wanted": WANTED_GROWTH}
            | {"bytes_per_router": table / routers, "entries": len(kept.value)}
        )
    return rows


def run(quick: bool) -> list[Row]:
    return speeds(quick) + against_plain(quick) + against_second(quick) + growth(quick)


if __name__ == "__main__":
    network_name, rule_wanted, number = sys.argv[1:]
    print(min(costs(network_name, rule_wanted, int(number), 3)[1]))
