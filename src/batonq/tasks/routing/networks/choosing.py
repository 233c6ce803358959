"""How a router chooses a link for a packet, and what it answers to the one it has it from."""

from __future__ import annotations

import numpy as np

from batonq.base.compiled import compiled
from batonq.icq import update
from batonq.tasks.routing.networks import icq_router, peers, rules
from batonq.tasks.routing.networks.replan import first_link
from batonq.tasks.routing.networks.rules import Memory, Rule
from batonq.tasks.routing.networks.world import Flow, World, takes, wait

ICQ, PREDICTIVE, Q_ROUTING_QUEUE = rules.ICQ, rules.PREDICTIVE, rules.Q_ROUTING_QUEUE
SHORTEST_PATH, REPLAN, RANDOM = rules.SHORTEST_PATH, rules.REPLAN, rules.RANDOM
NEVER = peers.NEVER

target = compiled(update.target)


@compiled
def least(world: World, kept: Memory, links: np.ndarray, router: int, destination: int) -> float:
    """The smallest of a router's estimates for a destination, over its links that are up.

    It is infinite if all links are down: then the router sends nothing either.
    """
    begin, end = world.indptr[router], world.indptr[router + 1]
    entry = (len(world.indptr) - 1) * begin + destination * (end - begin) - begin
    lowest = np.inf
    for link in range(begin, end):
        if links[link]["up"]:
            lowest = min(lowest, kept.value[entry + link])
    return lowest


@compiled
def toll(links: np.ndarray, link: int, now: float, service: float) -> float:
    """What a packet costs those behind it on a link, as far as its router knows, in ms."""
    since = now - links[link]["used_at"]
    used = icq_router.utilisation(links[link]["used"], since, service)
    return icq_router.toll(used, wait(links, link, now), service)


@compiled
def worth(
    rule: Rule,
    kept: Memory,
    links: np.ndarray,
    entry: int,
    link: int,
    now: float,
    service: float,
    bar: float,
) -> float:
    """What a router thinks of sending a packet by a link: a reward, IC-Q's Q or minus a cost.

    Of IC-Q with private state it is what is known and learnt without the toll, if that does not
    exceed `bar` already: a toll only lowers it, and takes an exponential to find.
    """
    value = kept.value[entry]
    if rule.kind == ICQ:
        if not rule.private:
            return float(value)
        known = wait(links, link, now) + service + links[link]["travel"]
        reward = target(-known, 1.0, value)
        if rule.toll > 0.0 and service > 0.0 and reward > bar:
            known += rule.toll * toll(links, link, now, service)
            reward = target(-known, 1.0, value)
        return reward
    if rule.kind == Q_ROUTING_QUEUE:
        return -(float(value) + wait(links, link, now))
    if rule.kind == PREDICTIVE and kept.updated[entry] != NEVER:
        since = now - kept.updated[entry]
        return -peers.predicted(value, kept.best[entry], kept.recovery[entry], since)
    return -float(value)


@compiled
def by_table(
    world: World,
    rule: Rule,
    kept: Memory,
    links: np.ndarray,
    router: int,
    destination: int,
    came: int,
    now: float,
) -> tuple[int, float]:
    """The link whose worth is greatest, and the greatest worth; of equal ones the first.

    Good news makes links look better to who chooses, not in the answer. Room is not looked for: a
    packet that would rather wait out a full queue than go round is dropped there, for where all
    the ways are full, packets that go round take the room of others.
    """
    begin = world.indptr[router]
    degree = world.indptr[router + 1] - begin
    entry = (len(world.indptr) - 1) * begin + destination * degree
    back = -1 if came < 0 or rule.returns else links[came]["back"]
    chosen, top, answer = -1, -np.inf, -np.inf
    for k in range(degree):
        link = begin + k
        if not links[link]["up"] or link == back:
            continue
        hope = 0.0
        if rule.news > 0.0 and kept.updated[entry + k] < links[link]["news_at"]:
            hope = links[link]["gain"]
        bar = min(answer, top - hope)
        value = worth(rule, kept, links, entry + k, link, now, world.service, bar)
        answer = max(answer, value)
        if value + hope > top:
            chosen, top = link, value + hope
    if chosen < 0 and back >= 0:  # the only way is back; a dead end must not answer -infinity
        place = entry + back - begin
        chosen, answer = back, worth(rule, kept, links, place, back, now, world.service, -np.inf)
    if chosen >= 0 and not takes(links, chosen, now, world.room):
        chosen = -1
    return chosen, answer


@compiled
def any_link(indptr: np.ndarray, router: int, rng: np.random.Generator) -> int:
    """A link of a router's own, drawn evenly."""
    begin, degree = indptr[router], indptr[router + 1] - indptr[router]
    return int(begin + min(int(rng.random() * degree), degree - 1))


@compiled
def oldest(
    world: World, kept: Memory, links: np.ndarray, router: int, destination: int, back: int
) -> int:
    """The router's link of which it has known nothing new for longest; not `back`; -1 if none."""
    begin = world.indptr[router]
    degree = world.indptr[router + 1] - begin
    entry = (len(world.indptr) - 1) * begin + destination * degree
    found, when = -1, np.inf
    for k in range(degree):
        link = begin + k
        if link != back and links[link]["up"] and kept.updated[entry + k] < when:
            found, when = link, kept.updated[entry + k]
    return found


@compiled
def choose(
    world: World,
    rule: Rule,
    kept: Memory,
    flow: Flow,
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
        world: the network and its setting.
        rule: how to choose.
        kept: what routers have learnt.
        flow: links and scratch.
        router: who chooses.
        destination: of the packet.
        came: the link the packet came by, -1 if none.
        now: the time, in ms.
        rng: for random choices.
    """
    links = flow.links
    if rule.kind in (SHORTEST_PATH, REPLAN, RANDOM):
        if rule.kind == SHORTEST_PATH:
            link = kept.next_link[router, destination]
        elif rule.kind == REPLAN:
            link = first_link(world, flow, now, router, destination)
        else:
            link = any_link(world.indptr, router, rng)
        return (link if link >= 0 and takes(links, link, now, world.room) else -1), 0.0
    chosen, answer = by_table(world, rule, kept, links, router, destination, came, now)
    if rule.explore > 0.0 and rng.random() < rule.explore:
        back = -1 if came < 0 or rule.returns else links[came]["back"]
        if rule.kind == ICQ:
            link = oldest(world, kept, links, router, destination, back)
        else:
            link = any_link(world.indptr, router, rng)
        if link >= 0 and link != back and takes(links, link, now, world.room):
            chosen = link
    if rule.kind == PREDICTIVE:  # it chooses by predictions, and answers what it last knew
        answer = -least(world, kept, links, router, destination)
    return chosen, answer
