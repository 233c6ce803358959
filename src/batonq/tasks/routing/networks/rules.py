"""How routers choose, answer and learn: the settings of a rule, and what routers keep for it.

Every router has a table of its own, one row per destination and one column per link of its own.
The tables of all routers lie one after another in flat arrays: entry k of destination d at the
router whose links begin at `first` and number `degree` is ``routers * first + d * degree + k``.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from batonq.base.compiled import borrowed, compiled
from batonq.base.errors import ModelError
from batonq.tasks.routing.networks.network import Network
from batonq.tasks.routing.networks.peers import NEVER

ICQ: Final = 0
SHORTEST_PATH: Final = 1
Q_ROUTING: Final = 2
Q_ROUTING_QUEUE: Final = 3
PREDICTIVE: Final = 4
DUAL: Final = 5
REPLAN: Final = 6
RANDOM: Final = 7


class Rule(NamedTuple):
    """One way to route.

    Attributes:
        kind: one of the constants of this module.
        step: step size; of IC-Q with private state the least one, see `icq_router.size`.
        back_step: of dual Q-routing, the step size of its backward exploration.
        recovery: of predictive Q-routing, the step size of the recovery rate.
        decay: of predictive Q-routing, what the recovery rate is multiplied by after bad news.
        private: of IC-Q: whether a router subtracts what it knows of its own links, so that only
            what it cannot know is learnt.
        returns: of IC-Q: whether a packet may go straight back to where it came from.
        toll: of IC-Q with private state: weight, 0 to 1, of what a packet costs those behind it.
        news: of IC-Q with private state: an answer better than expected by more than this many
            usual errors of its link is news for all destinations; 0: none is.
        explore: chance, 0 to 1, that a packet goes by another link than the best, not straight
            back: of IC-Q the one not heard of for longest, else one drawn at random. The answer
            stays the best one's.
    """

    kind: int
    step: float = 0.5
    back_step: float = 0.0
    recovery: float = 0.0
    decay: float = 0.0
    private: bool = False
    returns: bool = True
    toll: float = 0.0
    news: float = 0.0
    explore: float = 0.0


RULES: Final = {
    "icq": Rule(ICQ, step=0.02, private=True, returns=False, toll=1.0, news=16.0, explore=0.001),
    "shortest_path": Rule(SHORTEST_PATH),
    "q_routing": Rule(Q_ROUTING),
    "q_routing_queue": Rule(Q_ROUTING_QUEUE),
    "predictive_q_routing": Rule(PREDICTIVE, step=1.0, recovery=0.7, decay=0.9),
    "dual_q_routing": Rule(DUAL, step=0.7, back_step=0.9),
    "replan": Rule(REPLAN),
    "random": Rule(RANDOM),
}


ENTRY: Final = np.dtype(
    [("value", np.float64), ("updated", np.float64), ("updates", np.int64)], align=True
)


class Memory(NamedTuple):
    """What all routers keep. Arrays that a rule has no use for are empty.

    IC-Q's are fields of one array of dtype `ENTRY`: what is used together lies together, which in
    large networks saves waiting for the main memory.

    Attributes:
        value: learnt values; of IC-Q rewards (at most 0), of its peers costs in ms.
        updates: of IC-Q, how often an entry was updated.
        best: of predictive Q-routing, the least estimate so far.
        recovery: of predictive Q-routing, the recovery rate, at most 0.
        updated: of IC-Q and predictive Q-routing, when the entry was last updated, in ms.
        next_link: of shortest path, the link to take from row to column; -1 on the diagonal.
    """

    value: Float[np.ndarray, " entry"]
    updates: Int[np.ndarray, " entry"]
    best: Float[np.ndarray, " entry"]
    recovery: Float[np.ndarray, " entry"]
    updated: Float[np.ndarray, " entry"]
    next_link: Int[np.ndarray, "router router"]


@compiled
def borrowed_memory(kept: Memory) -> Memory:
    """The same memory with its arrays `borrowed`, for the time of the caller's own call."""
    return Memory(
        borrowed(kept.value),
        borrowed(kept.updates),
        borrowed(kept.best),
        borrowed(kept.recovery),
        borrowed(kept.updated),
        borrowed(kept.next_link),
    )


def memory(
    network: Network, rule: Rule, next_link: Int[np.ndarray, "router router"] | None = None
) -> Memory:
    """Fresh memory: every value 0, which is optimistic, as no packet arrives in less than 0 ms.

    Args:
        network: the routers and their links.
        rule: what it is for.
        next_link: of shortest path, its table.

    Raises:
        ModelError: if shortest path is given no table.
    """
    if rule.kind == SHORTEST_PATH and next_link is None:
        raise ModelError("shortest path: give next_link, the table of demand.next_links")
    entries = network.n_routers * network.n_links
    table = np.zeros(entries if rule.kind == ICQ else 0, ENTRY)
    predictive = entries if rule.kind == PREDICTIVE else 0
    kept = Memory(
        value=table["value"] if rule.kind == ICQ else np.zeros(entries),
        updates=table["updates"],
        best=np.zeros(predictive),
        recovery=np.zeros(predictive),
        updated=table["updated"] if rule.kind == ICQ else np.empty(predictive),
        next_link=np.zeros((0, 0), np.int64) if next_link is None else next_link,
    )
    kept.updated[:] = NEVER
    return kept
