"""The reference that sees every queue: shortest path on current waits, anew at every hop."""

from __future__ import annotations

import numpy as np

from batonq.base.compiled import compiled
from batonq.tasks.routing.networks.calendar import pop, push
from batonq.tasks.routing.networks.world import Flow, World, wait


@compiled
def first_link(world: World, flow: Flow, now: float, start: int, destination: int) -> int:
    """The first link of a shortest path at this moment; -1 if there is none.

    A link costs its wait, service and propagation as they are now (Dijkstra).

    Args:
        world: the network and its setting.
        flow: links as they are, and room to work in.
        now: the time, in ms.
        start: where the packet is.
        destination: where it goes, another router.
    """
    links, length, first = flow.links, flow.length, flow.first
    times, items = flow.scratch_times, flow.scratch_items
    length[:] = np.inf
    length[start] = 0.0
    size = push(times, items, 0, 0.0, start)
    while size > 0:
        reached, router = times[0], items[0]
        if router == destination:
            return int(first[router])
        size = pop(times, items, size)
        if reached > length[router]:
            continue
        for link in range(world.indptr[router], world.indptr[router + 1]):
            if not links[link]["up"]:
                continue
            step = wait(links, link, now) + world.service + links[link]["delay"]
            following, there = links[link]["head"], reached + step
            if there < length[following]:
                length[following] = there
                first[following] = link if router == start else first[router]
                size = push(times, items, size, there, following)
    return -1
