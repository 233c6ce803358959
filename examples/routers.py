"""Routers of NSFNET learn to share the load, each from its own queues and one number a packet."""

from __future__ import annotations

import numpy as np

from batonq.tasks.routing.networks.demand import gravity, next_links, packet_rate
from batonq.tasks.routing.networks.nsfnet import nsfnet
from batonq.tasks.routing.networks.play import Play, Setting
from batonq.tasks.routing.networks.rules import RULES, memory

PACKETS, RHO = 200_000, 0.9


def main() -> None:
    network = nsfnet()
    service = float(network.delay.mean())  # ms to send one packet
    demand = gravity(network, np.random.default_rng(1))
    rate = packet_rate(network, demand, service, RHO)
    setting = Setting(rate=rate, horizon=PACKETS / rate, service=service)
    shortest = next_links(network, service)
    for name in ("shortest_path", "q_routing", "icq"):
        kept = memory(network, RULES[name], shortest)
        play = Play(network, demand, setting, RULES[name], kept, np.random.default_rng(2))
        play.advance(setting.horizon)
        play.finish()
        late = play.tally[len(play.tally) // 2 :]  # what was born after the first half
        delay = late["delay"].sum() / late["delivered"].sum()
        print(f"{name:>13}: mean delay {delay:.1f} ms, {late['dropped'].sum()} packets dropped")


if __name__ == "__main__":
    main()
