"""What a router learns when a packet it sent has arrived: of the time it took and one number."""

from __future__ import annotations

import numpy as np

from batonq.base.compiled import compiled
from batonq.icq import update
from batonq.tasks.routing.networks import icq_router, peers, rules
from batonq.tasks.routing.networks.choosing import least, target
from batonq.tasks.routing.networks.rules import Memory, Rule
from batonq.tasks.routing.networks.world import World, wait

ICQ, PREDICTIVE, DUAL = rules.ICQ, rules.PREDICTIVE, rules.DUAL
Q_ROUTING, Q_ROUTING_QUEUE = rules.Q_ROUTING, rules.Q_ROUTING_QUEUE
NEVER = peers.NEVER

step = compiled(update.step)


@compiled
def measure(links: np.ndarray, link: int, travelled: float) -> None:
    """The sender's own mean of the time packets take on its link, after one more."""
    links[link]["travels"] += 1
    links[link]["travel"] += (travelled - links[link]["travel"]) / links[link]["travels"]


@compiled
def note(rule: Rule, links: np.ndarray, link: int, now: float, error: float, count: int) -> None:
    """Whether an answer over a link is good news, and how far answers over it usually are off."""
    if count > icq_router.YOUNG and error > rule.news * links[link]["usual"] and rule.news > 0.0:
        links[link]["news_at"], links[link]["gain"] = now, error
    links[link]["usual"] += icq_router.USUAL_STEP * (abs(error) - links[link]["usual"])


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
    settled: float,
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
        settled: `icq_router.settled` of the rule's step.
    """
    value = kept.value
    if rule.kind == ICQ:
        if not rule.private:
            value[entry] = step(value[entry], target(sent - now, 1.0, answer), rule.step)
            return
        count = kept.updates[entry] + 1
        kept.updates[entry] = count
        size = rule.step if count > settled else icq_router.size(count, rule.step)
        if service > 0.0:
            size = icq_router.aged(size, now - kept.updated[entry], service)
            note(rule, links, link, now, answer - value[entry], count)
        kept.updated[entry] = now
        value[entry] = step(value[entry], answer, size)
    elif rule.kind in (Q_ROUTING, DUAL):
        value[entry] = peers.moved(value[entry], (now - sent) - answer, rule.step)
    elif rule.kind == Q_ROUTING_QUEUE:
        told = service + links[link]["delay"] - answer
        value[entry] = peers.moved(value[entry], told, rule.step)
    elif rule.kind == PREDICTIVE:
        learn_predictively(rule, kept, entry, now, service, (now - sent) - answer)


@compiled
def learn_predictively(
    rule: Rule, kept: Memory, entry: int, now: float, service: float, told: float
) -> None:
    """Predictive Q-routing: estimate, best estimate, recovery rate and time of the update.

    The first estimate is the first best one too: a best of 0, which no packet can reach, would be
    remembered for good. Time between two updates counts as one service time at least, which is
    the paper's unit: less is possible only where delays vary.

    Args:
        rule: how to learn.
        kept: updated in place.
        entry: the sender's entry for destination and link.
        now: the time, in ms.
        service: service time of a packet, in ms.
        told: time until the receiver had the packet, and its own least estimate, in ms.
    """
    error = told - kept.value[entry]
    kept.value[entry] += rule.step * error
    if kept.updated[entry] == NEVER:
        kept.best[entry] = kept.value[entry]
    else:
        kept.best[entry] = min(kept.best[entry], kept.value[entry])
        since = max(now - kept.updated[entry], service)
        if since > 0.0:
            kept.recovery[entry] = peers.recovered(
                kept.recovery[entry], error, since, rule.recovery, rule.decay
            )
    kept.updated[entry] = now


@compiled
def learn_backwards(
    world: World,
    rule: Rule,
    kept: Memory,
    links: np.ndarray,
    router: int,
    source: int,
    back: int,
    told: float,
    now: float,
) -> None:
    """Dual Q-routing: the receiver learns of the way back to the source, from a second scalar.

    Args:
        world: the network and its setting.
        rule: how to learn.
        kept: updated in place.
        links: of which the receiver's own queues are read.
        router: the receiver.
        source: where the packet was born.
        back: the receiver's link to where it came from.
        told: the sender's least estimate of the time to the source, which came with the packet.
        now: the time, in ms.
    """
    if source == router:
        return
    begin, degree = world.indptr[router], world.indptr[router + 1] - world.indptr[router]
    entry = (len(world.indptr) - 1) * begin + source * degree + back - begin
    whole = wait(links, back, now) + world.service + links[back]["delay"] + told
    kept.value[entry] = peers.moved(kept.value[entry], whole, rule.back_step)


@compiled
def way_back(world: World, kept: Memory, links: np.ndarray, router: int, source: int) -> float:
    """Dual Q-routing: what a router that sends a packet on says of the way to its source, in ms."""
    if source == router:
        return 0.0
    return least(world, kept, links, router, source)
