"""The event loop, compiled: packets arrive, routers answer, learn and pass them on.

A link serves its queue first come first served, one packet at a time, each in the same service
time; then the packet travels for the link's delay. A packet's wait is therefore known when it is
queued, and its arrival is the only event it causes: one event a hop.
"""

from __future__ import annotations

import numpy as np

from batonq.base.compiled import compiled
from batonq.tasks.routing.networks import icq_router, rules
from batonq.tasks.routing.networks.ahead import fetch_ahead
from batonq.tasks.routing.networks.calendar import pop, push
from batonq.tasks.routing.networks.choosing import choose
from batonq.tasks.routing.networks.learning import learn, learn_backwards, measure, way_back
from batonq.tasks.routing.networks.rules import Memory, Rule, borrowed_memory
from batonq.tasks.routing.networks.world import (
    Flow,
    World,
    bin_of,
    borrowed_flow,
    borrowed_world,
)

DUAL = rules.DUAL


@compiled
def drawn_pair(world: World, rng: np.random.Generator) -> int:
    """Where a packet is from and where it goes: source * routers + destination."""
    pair = int(rng.random() * len(world.keep))
    if rng.random() >= world.keep[pair]:
        pair = world.other[pair]
    return pair


@compiled
def hear(
    world: World,
    rule: Rule,
    kept: Memory,
    flow: Flow,
    number: int,
    router: int,
    now: float,
    answer: float,
    settled: float,
) -> None:
    """A packet has arrived over a link: its sender hears how long it took, and the answer."""
    links, packets = flow.links, flow.packets
    came = packets[number]["link"]
    back, sent = links[came]["back"], packets[number]["sent"]
    sender = links[back]["head"]
    begin, degree = world.indptr[sender], world.indptr[sender + 1] - world.indptr[sender]
    entry = (len(world.indptr) - 1) * begin + packets[number]["destination"] * degree
    measure(links, came, now - packets[number]["start"] - world.service)
    place = entry + came - begin
    learn(rule, kept, links, place, came, now, sent, world.service, answer, settled)
    if rule.kind == DUAL:
        source, told = packets[number]["source"], packets[number]["told"]
        learn_backwards(world, rule, kept, links, router, source, back, told, now)


@compiled
def send(
    world: World, flow: Flow, number: int, link: int, now: float, rng: np.random.Generator
) -> float:
    """Put a packet in the queue of a link; returns when it will have arrived."""
    links, packets, service = flow.links, flow.packets, world.service
    start = max(links[link]["free"], now)
    links[link]["free"] = start + service
    links[link]["busy"] += service
    if service > 0.0:
        since = now - links[link]["used_at"]
        links[link]["used"] = icq_router.use(links[link]["used"], since, service)
        links[link]["used_at"] = now
    travel = links[link]["delay"]
    if world.jitter > 0.0:
        travel *= 1.0 - world.jitter + world.jitter * rng.standard_exponential()
    packets[number]["link"], packets[number]["sent"] = link, now
    packets[number]["start"] = start
    packets[number]["hops"] += 1
    return float(start + service + travel)


@compiled
def end(world: World, flow: Flow, number: int, delivered: bool, now: float) -> None:
    """Count a packet that has arrived, or that nobody takes any more."""
    packets, tally = flow.packets, flow.tally
    place = bin_of(packets[number]["born"], world.width, len(tally))
    if delivered:
        tally[place]["delivered"] += 1
        tally[place]["hops"] += packets[number]["hops"]
        tally[place]["delay"] += now - packets[number]["born"]
    else:
        tally[place]["dropped"] += 1


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
    # Arrays in tuples are counted at every use else, atomically, which doubles the cost of a hop.
    world, kept, flow = borrowed_world(world), borrowed_memory(kept), borrowed_flow(flow)
    links, packets, tally = flow.links, flow.packets, flow.tally
    times, items, unused = flow.times, flow.items, flow.unused
    routers = len(world.indptr) - 1
    settled = icq_router.settled(rule.step)
    free, size, hops = flow.sizes
    next_birth = flow.next_birth[0]
    while True:
        now = min(times[0], next_birth) if size > 0 else next_birth
        if now >= until:
            break
        if now == next_birth:
            next_birth = now + rng.standard_exponential() / world.rate
            pair = drawn_pair(world, rng)
            tally[bin_of(now, world.width, len(tally))]["born"] += 1
            if free == 0:
                tally[bin_of(now, world.width, len(tally))]["dropped"] += 1
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
            fetch_ahead(world, kept, flow, size)
        came, destination = packets[number]["link"], packets[number]["destination"]
        router = packets[number]["at"] if came < 0 else links[came]["head"]
        chosen, answer = -1, 0.0
        if router != destination:
            chosen, answer = choose(world, rule, kept, flow, router, destination, came, now, rng)
        if came >= 0:
            hops += 1
            hear(world, rule, kept, flow, number, router, now, answer, settled)
        if chosen < 0 or packets[number]["hops"] >= world.most_hops:
            end(world, flow, number, router == destination, now)
            unused[free] = number
            free += 1
            continue
        if rule.kind == DUAL:
            source = packets[number]["source"]
            packets[number]["told"] = way_back(world, kept, links, router, source)
        arrival = send(world, flow, number, chosen, now, rng)
        size = push(times, items, size, arrival, number)
    flow.sizes[0], flow.sizes[1], flow.sizes[2] = free, size, hops
    flow.next_birth[0] = next_birth
