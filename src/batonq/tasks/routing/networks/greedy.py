"""Which way routers would send a packet in an idle network, and what those ways cost."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int

from batonq.tasks.routing.networks.network import Network
from batonq.tasks.routing.networks.rules import ICQ, Rule


def link_values(
    network: Network,
    rule: Rule,
    value: Float[np.ndarray, " entry"],
    travel: Float[np.ndarray, " link"],
) -> Float[np.ndarray, "link router"]:
    """What the router at each link's tail thinks of it for each destination, as a reward.

    Args:
        network: the routers and links.
        rule: how the tables are read; one of IC-Q or Q-routing.
        value: the tables of all routers, as `rules.Memory` has them.
        travel: mean time on each link as its router measured it, in ms; for IC-Q with private
            state.
    """
    degree = np.diff(network.indptr)[network.tail][:, None]
    own = (np.arange(network.n_links) - network.indptr[network.tail])[:, None]
    destination = np.arange(network.n_routers)
    entry = network.n_routers * network.indptr[network.tail][:, None] + destination * degree + own
    learnt: Float[np.ndarray, "link router"] = value[entry]
    if rule.kind != ICQ:
        return -learnt
    if rule.private:
        learnt -= travel[:, None]
    return learnt


def way(
    network: Network, values: Float[np.ndarray, "link router"], returns: bool
) -> Int[np.ndarray, "state router"]:
    """The link a packet for each destination goes by, from every state it may be in.

    Args:
        network: the routers and links.
        values: of each link for each destination, as `link_values` gives them.
        returns: whether it may go straight back; if not, it does so only where nothing else is.

    Returns:
        One row for each link the packet may have come by, then one for each router where it may
        have been born.
    """
    links, routers = network.n_links, network.n_routers
    taken = np.empty((links + routers, routers), np.int64)
    for router in range(routers):
        first, end = network.indptr[router : router + 2]
        taken[links + router] = first + values[first:end].argmax(axis=0)
        for link in range(first, end):
            came = network.back[link]
            if returns or end - first == 1:
                taken[came] = taken[links + router]
            else:
                others = np.delete(np.arange(first, end), link - first)
                taken[came] = others[values[others].argmax(axis=0)]
    return taken


def costs(
    network: Network, taken: Int[np.ndarray, "state router"]
) -> Float[np.ndarray, "router router"]:
    """Delay in ms of the way from row to column; infinite where it never arrives.

    Args:
        network: the routers and links.
        taken: as `way` gives it.
    """
    links = network.n_links
    found = np.full((network.n_routers,) * 2, np.inf)
    np.fill_diagonal(found, 0.0)
    source, destination = np.nonzero(np.isinf(found))
    state, cost = links + source, np.zeros(len(source))
    for _ in range(len(taken)):  # whoever visits a state twice goes round for ever
        link = taken[state, destination]
        cost = cost + network.delay[link]
        there = network.head[link] == destination
        found[source[there], destination[there]] = cost[there]
        if there.all():
            break
        source, destination, state, cost = (
            one[~there] for one in (source, destination, link, cost)
        )
    return found
