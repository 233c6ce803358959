"""The equations of the peers, each on one transition. Costs are in ms.

Q-routing: Boyan and Littman, NIPS 6, 1994. Predictive Q-routing: Choi and Yeung, NIPS 8, 1996.
Dual reinforcement Q-routing: Kumar and Miikkulainen, ANNIE 7, 1997.

The papers' routers have one queue each; ours have one a link. A wait is therefore that of the
packet in the queue of the link it went by, at the router that chose, as Boyan and Littman have it;
what comes after is the receiver's. "Q-routing with own queue" leaves the wait at the router itself
out of its estimates and adds the present one when it chooses and answers; it is given its links'
true delays, which IC-Q's routers have to measure.
"""

from __future__ import annotations

from batonq.base.compiled import compiled

NEVER = -1.0  # time of the last update of an entry that never had one


@compiled
def moved(value: float, told: float, step: float) -> float:
    """Q-routing: Q_x(d, y) += step * (told - Q_x(d, y)).

    Args:
        value: Q_x(d, y).
        told: q + s + t: time in x's queue, on the way to y, and y's own least estimate.
        step: the paper's eta.
    """
    return value + step * (told - value)


@compiled
def predicted(value: float, best: float, recovery: float, since: float) -> float:
    """Predictive Q-routing: what an estimate has recovered to, max(Q + dt R, B)."""
    return max(value + since * recovery, best)


@compiled
def recovered(recovery: float, error: float, since: float, rate: float, decay: float) -> float:
    """Predictive Q-routing: the recovery rate R after an update by `error`.

    Args:
        recovery: R, at most 0.
        error: told - Q.
        since: time since the entry's last update, in ms, positive.
        rate: the paper's beta.
        decay: the paper's gamma.
    """
    if error < 0:
        return recovery + rate * error / since
    if error > 0:
        return decay * recovery
    return recovery
