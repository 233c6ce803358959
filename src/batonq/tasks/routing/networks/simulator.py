"""The event loop, compiled: packets arrive, routers answer, learn and pass them on.

A link serves its queue first come first served, one packet at a time, each in the same service
time; then the packet travels for the link's delay. A packet's wait is therefore known when it is
queued, and its arrival is the only event it causes: one event a hop.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from batonq.base.compiled import borrowed, compiled
from batonq.icq import update
from batonq.tasks.routing.networks import icq_router, peers, rules
from batonq.tasks.routing.networks.calendar import pop, push
from batonq.tasks.routing.networks.replan import first_link
from batonq.tasks.routing.networks.rules import Memory, Rule

ICQ, DUAL, PREDICTIVE = rules.ICQ, rules.DUAL, rules.PREDICTIVE
SHORTEST_PATH, REPLAN, RANDOM = rules.SHORTEST_PATH, rules.REPLAN, rules.RANDOM
Q_ROUTING, Q_ROUTING_QUEUE = rules.Q_ROUTING, rules.Q_ROUTING_QUEUE
NEVER = peers.NEVER

LINK: Final = np.dtype(
    [
        ("free", np.float64),  # when its queue will be empty, in ms
        ("delay", np.float64),  # propagation delay in ms
        ("busy", np.float64),  # time spent sending so far, in ms
        ("used", np.float64),  # recent utilisation when last used, as its router measures it
        ("used_at", np.float64),
        ("travel", np.float64),  # mean time on the link, as its router measures it
        ("travels", np.int64),
        ("head", np.int32),
        ("back", np.int32),
        ("up", np.bool_),
    ],
    align=True,
)
PACKET: Final = np.dtype(
    [
        ("born", np.float64),
        ("sent", np.float64),  # when the last router chose
        ("start", np.float64),  # when the link began or will begin to send it
        ("told", np.float64),  # dual: the last router's estimate of the way back to the source
        ("source", np.int32),
        ("destination", np.int32),
        ("link", np.int32),  # the last link; -1 if the packet is where it was born or called back
        ("at", np.int32),  # the router it is at, if `link` is -1
        ("hops", np.int32),
    ],
    align=True,
)
TALLY: Final = np.dtype(
    [
        ("born", np.int64),
        ("delivered", np.int64),
        ("dropped", np.int64),
        ("hops", np.int64),  # of those delivered
        ("delay", np.float64),  # of those delivered, in ms in all
    ]
)


class World(NamedTuple):
    """What does not change while packets flow.

    Attributes:
        indptr: links of each router.
        service: service time of a packet in ms; 0 for links that have no queue.
        room: work that a link's queue may hold, in ms; a link with more ahead takes no packet.
        jitter: share of a link's delay that is exponentially distributed, in [0, 1].
        most_hops: after which a packet is dropped.
        rate: packets born per ms.
        keep, other: alias table of the demand, one entry an ordered pair of routers.
        width: length in ms of one bin of the tally.
    """

    indptr: Int[np.ndarray, " router_plus_one"]
    service: float
    room: float
    jitter: float
    most_hops: int
    rate: float
    keep: Float[np.ndarray, " pair"]
    other: Int[np.ndarray, " pair"]
    width: float


class Flow(NamedTuple):
    """What changes: links, packets, the events to come, and room to work in.

    Attributes:
        links: dtype `LINK`.
        packets: dtype `PACKET`.
        unused: numbers of packets not in use, from the bottom of a stack.
        times, items: the calendar: when which packet arrives.
        sizes: number of unused packets, of events, and of hops so far.
        next_birth: when the next packet is born, in ms.
        tally: dtype `TALLY`, by the time of birth.
        length, first, scratch_times, scratch_items: scratch of `replan.first_link`.
    """

    links: np.ndarray
    packets: np.ndarray
    unused: Int[np.ndarray, " packet"]
    times: Float[np.ndarray, " place"]
    items: Int[np.ndarray, " place"]
    sizes: Int[np.ndarray, " 3"]
    next_birth: Float[np.ndarray, " 1"]
    tally: np.ndarray
    length: Float[np.ndarray, " router"]
    first: Int[np.ndarray, " router"]
    scratch_times: Float[np.ndarray, " place"]
    scratch_items: Int[np.ndarray, " place"]


_target = compiled(update.target)
_step = compiled(update.step)


@compiled
def known_cost(links: np.ndarray, link: int, now: float, service: float, weight: float) -> float:
    """What a router knows that a packet costs on a link of its own, in ms."""
    wait = max(links[link]["free"] - now, 0.0)
    cost = wait + service + links[link]["travel"]
    if weight > 0.0:
        since = now - links[link]["used_at"]
        used = icq_router.utilisation(links[link]["used"], since, service)
        cost += weight * icq_router.toll(used, wait, service)
    return cost


@compiled
def worth(
    rule: Rule, kept: Memory, links: np.ndarray, entry: int, link: int, now: float, service: float
) -> float:
    """What a router thinks of sending a packet by a link: a reward, IC-Q's Q or minus a cost."""
    value = kept.value[entry]
    if rule.kind == ICQ:
        if rule.private:
            return _target(-known_cost(links, link, now, service, rule.toll), 1.0, value)
        return value
    if rule.kind == Q_ROUTING_QUEUE:
        return -(value + max(links[link]["free"] - now, 0.0))
    if rule.kind == PREDICTIVE and kept.updated[entry] != NEVER:
        since = now - kept.updated[entry]
        return -peers.predicted(value, kept.best[entry], kept.recovery[entry], since)
    return -value


@compiled
def least(value: Float[np.ndarray, " entry"], entry: int, degree: int) -> float:
    """The smallest of a router's estimates for one destination."""
    lowest = np.inf
    for k in range(degree):
        lowest = min(lowest, value[entry + k])
    return lowest


@compiled
def choose(
    rule: Rule,
    kept: Memory,
    flow: Flow,
    indptr: Int[np.ndarray, " router_plus_one"],
    service: float,
    room: float,
    router: int,
    destination: int,
    came: int,
    now: float,
    rng: np.random.Generator,
) -> tuple[int, float]:
    """Choose a link for a packet at a router that is not its destination.

    Returns (link, answer): the answer is the value of what arrived, a reward (at most 0), which
    the router gives to the one it has the packet from. The link is -1 where none can take it.

    Args:
        rule: how to choose.
        kept: what routers have learnt.
        flow: links and scratch.
        indptr, service, room: of the world.
        router: who chooses.
        destination: of the packet.
        came: the link the packet came by, -1 if none.
        now: the time, in ms.
        rng: for random choices.
    """
    links, begin, end = borrowed(flow.links), indptr[router], indptr[router + 1]
    degree = end - begin
    if rule.kind == SHORTEST_PATH:
        link = kept.next_link[router, destination]
        return (link if _takes(links, link, now, room) else -1), 0.0
    if rule.kind == REPLAN:
        link = first_link(
            indptr,
            links,
            service,
            now,
            router,
            destination,
            flow.length,
            flow.first,
            flow.scratch_times,
            flow.scratch_items,
        )
        return (link if link >= 0 and _takes(links, link, now, room) else -1), 0.0
    if rule.kind == RANDOM:
        link = begin + min(int(rng.random() * degree), degree - 1)
        return (link if _takes(links, link, now, room) else -1), 0.0
    entry = (len(indptr) - 1) * begin + destination * degree
    back = -1 if came < 0 or rule.returns else links[came]["back"]
    chosen, top, ignoring_room = -1, -np.inf, -np.inf
    for k in range(degree):
        link = begin + k
        if not links[link]["up"] or link == back:
            continue
        value = worth(rule, kept, links, entry + k, link, now, service)
        ignoring_room = max(ignoring_room, value)
        if value > top and _takes(links, link, now, room):
            chosen, top = link, value
    if chosen < 0 and back >= 0 and _takes(links, back, now, room):  # the only way is back
        chosen = back
        top = worth(rule, kept, links, entry + back - begin, back, now, service)
    answer = ignoring_room if chosen < 0 else top
    if rule.explore > 0.0 and rng.random() < rule.explore:
        link = begin + min(int(rng.random() * degree), degree - 1)
        chosen = link if link != back and _takes(links, link, now, room) else chosen
    if rule.kind == PREDICTIVE:
        answer = -least(kept.value, entry, degree)
    return chosen, answer


@compiled
def _takes(links: np.ndarray, link: int, now: float, room: float) -> bool:
    """Whether a link is up and its queue has room for one packet more."""
    return links[link]["up"] and links[link]["free"] - now <= room


@compiled
def learn(
    rule: Rule,
    kept: Memory,
    links: np.ndarray,
    entry: int,
    link: int,
    now: float,
    sent: float,
    service: float,
    answer: float,
) -> None:
    """What the sender learns from one handoff: of the time it took and the one number it was told.

    Args:
        rule: how to learn.
        kept: updated in place.
        links: of which the sender's own estimates are read.
        entry: the sender's entry for destination and link.
        link: the link the packet went by.
        now: when it arrived.
        sent: when the sender chose.
        service: service time of a packet, in ms.
        answer: the receiver's quote, 0 at the destination.
    """
    value = kept.value
    if rule.kind == ICQ:
        if not rule.private:
            value[entry] = _step(value[entry], _target(sent - now, 1.0, answer), rule.step)
            return
        kept.updates[entry] += 1
        size = icq_router.size(kept.updates[entry], rule.step)
        value[entry] = _step(value[entry], answer, size)
    elif rule.kind in (Q_ROUTING, DUAL):
        value[entry] = peers.moved(value[entry], (now - sent) - answer, rule.step)
    elif rule.kind == Q_ROUTING_QUEUE:
        told = service + links[link]["delay"] - answer
        value[entry] = peers.moved(value[entry], told, rule.step)
    elif rule.kind == PREDICTIVE:
        error = (now - sent) - answer - value[entry]
        value[entry] += rule.step * error
        if kept.updated[entry] == NEVER:
            kept.best[entry] = value[entry]
        else:
            kept.best[entry] = min(kept.best[entry], value[entry])
            since = now - kept.updated[entry]
            if since > 0.0:
                kept.recovery[entry] = peers.recovered(
                    kept.recovery[entry], error, since, rule.recovery, rule.decay
                )
        kept.updated[entry] = now


@compiled
def _learn_backwards(
    rule: Rule,
    kept: Memory,
    flow: Flow,
    indptr: Int[np.ndarray, " router_plus_one"],
    service: float,
    number: int,
    router: int,
    back: int,
    now: float,
) -> None:
    """Dual Q-routing: the receiver learns of the way back to the source, from a second scalar."""
    links, source = borrowed(flow.links), flow.packets[number]["source"]
    if source == router:
        return
    begin, degree = indptr[router], indptr[router + 1] - indptr[router]
    entry = (len(indptr) - 1) * begin + source * degree + back - begin
    wait = max(links[back]["free"] - now, 0.0)
    told = wait + service + links[back]["delay"] + flow.packets[number]["told"]
    kept.value[entry] = peers.moved(kept.value[entry], told, rule.back_step)


@compiled
def advance(
    world: World,
    rule: Rule,
    kept: Memory,
    flow: Flow,
    until: float,
    rng: np.random.Generator,
) -> None:
    """Let everything happen that happens before `until` (in ms)."""
    indptr, keep, other = borrowed(world.indptr), borrowed(world.keep), borrowed(world.other)
    links, packets, tally = borrowed(flow.links), borrowed(flow.packets), borrowed(flow.tally)
    times, items, unused = borrowed(flow.times), borrowed(flow.items), borrowed(flow.unused)
    routers = len(indptr) - 1
    service, room, jitter = world.service, world.room, world.jitter
    free, size, hops = flow.sizes
    next_birth = flow.next_birth[0]
    while True:
        now = next_birth
        if size > 0 and times[0] < next_birth:
            now = times[0]
        if now >= until:
            break
        if now == next_birth:
            next_birth = now + rng.standard_exponential() / world.rate
            pair = int(rng.random() * len(keep))
            if rng.random() >= keep[pair]:
                pair = other[pair]
            tally[_bin(now, world.width, len(tally))]["born"] += 1
            if free == 0:
                tally[_bin(now, world.width, len(tally))]["dropped"] += 1
                continue
            free -= 1
            number = unused[free]
            packets[number]["source"] = packets[number]["at"] = pair // routers
            packets[number]["destination"] = pair % routers
            packets[number]["link"], packets[number]["hops"] = -1, 0
            packets[number]["born"] = now
        else:
            number = items[0]
            size = pop(times, items, size)
        came, destination = packets[number]["link"], packets[number]["destination"]
        router = packets[number]["at"] if came < 0 else links[came]["head"]
        chosen, answer = -1, 0.0
        if router != destination:
            chosen, answer = choose(
                rule, kept, flow, indptr, service, room, router, destination, came, now, rng
            )
        if came >= 0:
            hops += 1
            back, sent = links[came]["back"], packets[number]["sent"]
            sender = links[back]["head"]
            begin = indptr[sender]
            entry = routers * begin + destination * (indptr[sender + 1] - begin) + came - begin
            links[came]["travels"] += 1
            travelled = now - packets[number]["start"] - service
            links[came]["travel"] += (travelled - links[came]["travel"]) / links[came]["travels"]
            learn(rule, kept, links, entry, came, now, sent, service, answer)
            if rule.kind == DUAL:
                _learn_backwards(rule, kept, flow, indptr, service, number, router, back, now)
        ended = router == destination
        if ended or chosen < 0 or packets[number]["hops"] >= world.most_hops:
            place = _bin(packets[number]["born"], world.width, len(tally))
            if ended:
                tally[place]["delivered"] += 1
                tally[place]["hops"] += packets[number]["hops"]
                tally[place]["delay"] += now - packets[number]["born"]
            else:
                tally[place]["dropped"] += 1
            unused[free] = number
            free += 1
            continue
        if rule.kind == DUAL:
            source, told = packets[number]["source"], 0.0
            if source != router:
                degree = indptr[router + 1] - indptr[router]
                told = least(kept.value, routers * indptr[router] + source * degree, degree)
            packets[number]["told"] = told
        start = max(links[chosen]["free"], now)
        links[chosen]["free"] = start + service
        links[chosen]["busy"] += service
        if service > 0.0:
            since = now - links[chosen]["used_at"]
            links[chosen]["used"] = icq_router.use(links[chosen]["used"], since, service)
            links[chosen]["used_at"] = now
        travel = links[chosen]["delay"]
        if jitter > 0.0:
            travel *= 1.0 - jitter + jitter * rng.standard_exponential()
        packets[number]["link"], packets[number]["sent"] = chosen, now
        packets[number]["start"] = start
        packets[number]["hops"] += 1
        size = push(times, items, size, start + service + travel, number)
    flow.sizes[0], flow.sizes[1], flow.sizes[2] = free, size, hops
    flow.next_birth[0] = next_birth


@compiled
def _bin(time: float, width: float, bins: int) -> int:
    return min(int(time / width), bins - 1)
