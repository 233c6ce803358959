"""The rule made by hand: ask in one fixed order until one specialist is sure to be right."""

from __future__ import annotations

from functools import reduce

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.tasks.routing.triage.instance import Instance
from batonq.tasks.routing.triage.model import Triage


def fixed_rule(problem: Triage) -> Int[np.ndarray, " state"]:
    """The policy that asks in the best fixed order, and stops when the specialist is sure.

    It knows the decision tree, the chances and the durations. What it does not do is to let the
    next question depend on the answers.
    """
    return rule_of_order(problem, best_order(problem.instance))


def rule_of_order(problem: Triage, order: tuple[int, ...]) -> Int[np.ndarray, " state"]:
    """The policy of an order: hand to the first in it whose facet is not on the ticket."""
    model, size = problem.model, problem.instance.size
    waiting = problem.digits[:, list(order)] == 0
    following = np.array(order)[waiting.argmax(axis=1)][problem.ticket]
    certain = model.reward.max(axis=1) >= 1 - 1e-12
    specialist = size + model.reward[:, size:].argmax(axis=1)
    own = problem.digits[problem.ticket, model.holder] == 0
    policy: np.ndarray = np.where(own, model.holder, np.where(certain, specialist, following))
    return policy


def best_order(instance: Instance) -> tuple[int, ...]:
    """The best order for a request that begins at any agent, by dynamic programming over sets.

    Whether the specialist is sure, and the discount so far, depend on which facets are known and
    not on their order, so that the value of an order is a sum over the sets it passes through.
    """
    size = instance.size
    gains = _gains(instance)
    rest = np.zeros(2**size)  # value still to come once the asked ones of the order are this set
    chosen = np.zeros(2**size, np.int64)
    for known in range(2**size - 2, -1, -1):
        options = [
            (gains[known, k] + rest[known | 1 << k], -k) for k in range(size) if not known >> k & 1
        ]
        rest[known], number = max(options)
        chosen[known] = -number
    order: list[int] = []
    while len(order) < size:
        order.append(int(chosen[sum(1 << k for k in order)]))
    return tuple(order)


def _gains(instance: Instance) -> Float[np.ndarray, "set facet"]:
    """What asking a facet next adds on average over first holders, by set asked in order."""
    size = instance.size
    sure = np.stack([_sure(instance, known) for known in range(2**size)])
    worth = np.stack([_discount(instance, known) for known in range(2**size)]) * instance.prior
    gains = np.zeros((2**size, size))
    for known in range(2**size):
        for facet in range(size):
            for first in range(size):
                before = known | 1 << first
                after = before | 1 << facet
                newly = sure[after] & ~sure[before]
                gains[known, facet] += worth[after][newly].sum() / size
    return gains


def _sure(instance: Instance, known: int) -> Bool[np.ndarray, ...]:
    """Whether the known facets tell the specialist, for each combination."""
    hidden = tuple(k for k in range(instance.size) if not known >> k & 1)
    rule = instance.specialist
    low, high = rule.min(axis=hidden, keepdims=True), rule.max(axis=hidden, keepdims=True)
    return np.broadcast_to(low == high, rule.shape)


def _discount(instance: Instance, known: int) -> Float[np.ndarray, ...]:
    """Mean discount until the known facets are all on the ticket, for each combination."""
    gamma = instance.gamma
    factors = [
        gamma / (mean - (mean - 1) * gamma) if known >> k & 1 else np.ones(len(mean))
        for k, mean in enumerate(instance.means)
    ]
    hands = gamma ** max(known.bit_count() - 1, 0)
    product: np.ndarray = hands * reduce(np.multiply.outer, factors)
    return product
