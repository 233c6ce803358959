"""The reference that sees every queue: shortest path on current waits, anew at every hop."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from batonq.base.compiled import compiled
from batonq.tasks.routing.networks.calendar import pop, push


@compiled
def first_link(
    indptr: Int[np.ndarray, " router_plus_one"],
    links: np.ndarray,
    service: float,
    now: float,
    start: int,
    destination: int,
    length: Float[np.ndarray, " router"],
    first: Int[np.ndarray, " router"],
    times: Float[np.ndarray, " place"],
    items: Int[np.ndarray, " place"],
) -> int:
    """The first link of a shortest path at this moment; -1 if there is none.

    A link costs its wait, service and propagation as they are now (Dijkstra).

    Args:
        indptr: links of each router.
        links: dtype `simulator.LINK`.
        service: service time of a packet, in ms.
        now: the time, in ms.
        start: where the packet is.
        destination: where it goes, another router.
        length, first: scratch, one number a router.
        times, items: scratch, room for one event a link and one more.
    """
    length[:] = np.inf
    length[start] = 0.0
    size = push(times, items, 0, 0.0, start)
    while size > 0:
        reached, router = times[0], items[0]
        if router == destination:
            return first[router]
        size = pop(times, items, size)
        if reached > length[router]:
            continue
        for link in range(indptr[router], indptr[router + 1]):
            if not links[link]["up"]:
                continue
            wait = max(links[link]["free"] - now, 0.0)
            following, there = links[link]["head"], reached + wait + service + links[link]["delay"]
            if there < length[following]:
                length[following] = there
                first[following] = link if router == start else first[router]
                size = push(times, items, size, there, following)
    return -1
