"""IC-Q at a router: what it knows of its own links is subtracted, what it is told is learnt.

The holder's information state is the packet's destination and the link it came by, with the
router's private state: how long each of its links is busy, how much each was used of late, how
long packets took on it. What passing the packet to link e costs before the neighbour has it is
therefore known, and only the neighbour's value, W(d, e) <= 0, is learnt, from its quotes:

    Q(d, e) = -(wait + service + travel + toll) + W(d, e)      W(d, e) += step * (quote - W(d, e))

which is IC-Q's update with the known reward taken from both sides.

Good news is shared between destinations: an answer much better than expected tells that something
beyond the neighbour has improved, so until each other destination has an answer of its own since,
its W counts as better by as much when a link is chosen. Quotes stay without that hope.
"""

from __future__ import annotations

import math
from typing import Final

from batonq.base.compiled import compiled

USED_SERVICES: Final = 3000.0  # service times over which a link's use is averaged
MEMORY_SERVICES: Final = 30_000.0  # service times after which an answer not renewed has faded
MOST_USED: Final = 0.8  # above it a link's use counts as this in the toll; queues are not endless
POWER: Final = 0.6  # of the step size while an entry is young
YOUNG: Final = 20  # updates below which no answer of an entry is news
USUAL_STEP: Final = 0.02  # step size of a link's usual error


@compiled
def toll(used: float, wait: float, service: float) -> float:
    """What a packet costs those that come after it on the same link, in ms.

    Compare the queue with and without a packet that finds `wait` ms of work ahead. Everyone who
    comes before that work, and what follows on it, is done is later by its service time; who comes
    after is later by what idle time since has left of that. With Poisson arrivals and equal sizes
    the first are expected to lose used / (1 - used) * wait in all and the second
    used / (1 - used) * service / 2; the mean of the sum over an M/D/1 queue is lambda dW/dlambda,
    the externality of a packet.

    Args:
        used: share of time that the link is busy, in [0, 1).
        wait: work ahead of the packet, in ms.
        service: service time of a packet, in ms.
    """
    return used / (1.0 - used) * (wait + 0.5 * service)


@compiled
def utilisation(used: float, since: float, service: float) -> float:
    """A link's recent utilisation `since` ms after it was `used`; at most `MOST_USED`."""
    now = used * math.exp(-since / (USED_SERVICES * service))
    return float(min(now, MOST_USED))


@compiled
def use(used: float, since: float, service: float) -> float:
    """A link's recent utilisation after one more packet."""
    length = USED_SERVICES * service
    return used * math.exp(-since / length) + service / length


@compiled
def size(count: int, least: float) -> float:
    """Step size of the count-th update (from 1) of an entry: falls to `least`."""
    return max(math.pow(count, -POWER), least)


@compiled
def settled(least: float) -> float:
    """A count of updates above which the step size is `least`, so that no power need be taken."""
    return float(least ** (-1.0 / POWER) + 1.0) if least > 0.0 else math.inf


@compiled
def aged(size: float, since: float, service: float) -> float:
    """Step size after an entry had no answer for `since` ms: what it knew fades meanwhile."""
    age = since / (MEMORY_SERVICES * service)
    if age <= size:  # as 1 - exp(-age) <= age, most updates need no exponential
        return size
    return max(size, 1.0 - math.exp(-age))
