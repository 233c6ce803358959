"""What a policy is worth, and the instances that are posed, with their oracle."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from batonq.base.errors import ModelError
from batonq.smdp.exact import Solution, evaluate, optimal
from batonq.smdp.model import FiniteICSMDP
from batonq.tasks.routing.triage import settings
from batonq.tasks.routing.triage.instance import TRIES, drawn
from batonq.tasks.routing.triage.model import Triage, triage
from batonq.tasks.routing.triage.rules import fixed_rule

SURE: Final = 1e-9  # what an accuracy may lack of 1 by rounding


@dataclass(frozen=True)
class Score:
    """What a policy comes to from the initial law.

    Attributes:
        value: expected discounted reward.
        accuracy: chance that the workflow ends, and with the right specialist.
    """

    value: float
    accuracy: float


def score(
    model: FiniteICSMDP,
    policy: Float[np.ndarray, "state action"] | Int[np.ndarray, " state"],
) -> Score:
    """Value and accuracy of a policy of states, exactly.

    A workflow that goes round for ever is never right: values at gamma = 1 are limits from 0.
    """
    value = evaluate(model, policy).value
    right = evaluate(replace(model, gamma=1.0), policy).value
    return Score(float(model.initial @ value), float(model.initial @ right))


@dataclass(frozen=True, eq=False)
class Posed:
    """An instance as it is posed: its model without senders, and what it is measured against.

    Attributes:
        problem: the instance and its model.
        oracle: the exact solution.
        best: score of the oracle's policy.
        fixed: score of the best fixed order.
    """

    problem: Triage
    oracle: Solution
    best: Score
    fixed: Score


def posed(size: int, seed: int, number: int) -> Posed:
    """The `number`-th instance that is worth posing.

    Two kinds are drawn again. Time costs, so that where one guess is nearly sure even the oracle
    may guess; posed are those whose oracle is always right. And the order must matter: posed are
    those where no fixed order comes to 99.5 % of the oracle's value.

    Raises:
        ModelError: if the size is outside its range.
    """
    for attempt in range(TRIES):
        problem = triage(drawn(size, seed, number, attempt))
        oracle = optimal(problem.model)
        best = score(problem.model, oracle.policy)
        if best.accuracy < 1 - SURE:
            continue
        fixed = score(problem.model, fixed_rule(problem))
        if fixed.value < settings.RATIO * best.value:
            return Posed(problem, oracle, best, fixed)
    raise ModelError(f"triage: no instance with {size} facets is worth posing; give another seed")
