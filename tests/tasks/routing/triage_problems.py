"""Small triage problems for tests, and a solver of them that shares nothing with the package."""

from __future__ import annotations

from functools import cache
from itertools import product

import numpy as np

from batonq.tasks.routing.triage.instance import Instance


def by_hand(first=2.0, second=3.0, gamma=0.9):
    """Two fair coins: heads of the first means specialist 0, else the second tells 1 from 2."""
    return Instance(
        np.full((2, 2), 0.25),
        np.array([[0, 0], [1, 2]]),
        (np.full(2, first), np.full(2, second)),
        gamma,
    )


def small(seed, size=3, specialists=3):
    """A problem drawn without the package's own way of drawing: any rule, any prior."""
    rng = np.random.default_rng(seed)
    values = tuple(int(count) for count in rng.integers(2, 4, size=size))
    prior = rng.exponential(size=values) + 0.05
    rule = rng.integers(specialists, size=values)
    rule.flat[:specialists] = range(specialists)
    means = tuple(rng.uniform(1, 5, size=count) for count in values)
    return Instance(prior / prior.sum(), rule, means, 0.95)


def expectimax(instance):
    """Value of every first holder by plain recursion over tickets, as tuples with None for blank.

    A ticket is handed on at most `3 K` times, which no optimal policy exceeds.
    """
    size, gamma = len(instance.means), instance.gamma
    worlds = {
        world: float(instance.prior[world])
        for world in product(*(range(len(mean)) for mean in instance.means))
    }

    def fits(world, ticket):
        return all(seen is None or seen == own for seen, own in zip(ticket, world, strict=True))

    def chance(ticket, more=lambda world: True):
        return sum(p for world, p in worlds.items() if fits(world, ticket) and more(world))

    @cache
    def value(holder, ticket, left):
        if ticket[holder] is None:
            total = 0.0
            for found, mean in enumerate(instance.means[holder]):
                p = 1 / mean
                discount = sum(p * (1 - p) ** (t - 1) * gamma**t for t in range(1, 400))
                after = (*ticket[:holder], found, *ticket[holder + 1 :])
                share = chance(after) / chance(ticket)
                total += share * discount * value(holder, after, left)
            return total
        ends = [
            chance(ticket, lambda world, k=k: instance.specialist[world] == k) / chance(ticket)
            for k in range(int(instance.specialist.max()) + 1)
        ]
        hands = []
        if left:
            others = (k for k in range(size) if k != holder)
            hands = [gamma * value(k, ticket, left - 1) for k in others]
        return max(ends + hands)

    return [value(k, (None,) * size, 3 * size) for k in range(size)]
