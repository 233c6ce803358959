"""How a node's agent draws its action, with the exact chance of each: a propensity is never lost.

Studies draw with `icq.behaviour`, which is compiled; this is its counterpart for one decision, with
what operators need: a canary share, a cap by the hour, and actions never to be explored.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from batonq.base.errors import ModelError


@dataclass(frozen=True)
class Exploration:
    """How much an agent explores while its policy is applied.

    Attributes:
        epsilon: chance of any permitted action, in [0, 1].
        temperature: if given, chances proportional to exp(value / temperature) replace epsilon.
        per_hour: at most so many explored decisions an hour; None: no cap.
        never: actions that are only taken when they are the best or the default.
        canary: share of decisions left to the policy; the others take the default. In [0, 1].

    Raises:
        ModelError: for a number out of range.
    """

    epsilon: float = 0.1
    temperature: float | None = None
    per_hour: int | None = None
    never: frozenset[str] = frozenset()
    canary: float = 1.0

    def __post_init__(self) -> None:
        for name in ("epsilon", "canary"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise ModelError(f"exploration: {name} is {value:g}; give a number in [0, 1]")
        if self.temperature is not None and not 0 < self.temperature < math.inf:
            raise ModelError(f"exploration: temperature is {self.temperature:g}; give one > 0")
        if self.per_hour is not None and self.per_hour < 0:
            raise ModelError(f"exploration: per_hour is {self.per_hour}; give 0 or more")


def best(actions: Sequence[str], values: Sequence[float], default: str | None) -> int:
    """Number of the action of largest value; among equals the default, else the first."""
    top = max(values)
    if default is not None and default in actions and values[actions.index(default)] == top:
        return actions.index(default)
    return values.index(top)


def chances(
    actions: Sequence[str],
    values: Sequence[float],
    default: str | None,
    exploration: Exploration,
    explore: bool = True,
) -> list[float]:
    """Chance of each permitted action; they sum to 1.

    Args:
        actions: the permitted ones, at least one.
        values: what each is thought to be worth.
        default: what is taken outside the canary share; the best action if None or not permitted.
        exploration: how much.
        explore: whether exploring is allowed just now (a cap may be reached).
    """
    greedy = best(actions, values, default)
    each = [0.0] * len(actions)
    free = _free(actions, exploration.never) if explore else ()
    if not free:
        each[greedy] = 1.0
    elif exploration.temperature is not None:
        top = values[greedy]
        weights = [math.exp((values[k] - top) / exploration.temperature) for k in free]
        if greedy not in free:
            free, weights = [*free, greedy], [*weights, 1.0]
        total = sum(weights)
        for k, weight in zip(free, weights, strict=True):
            each[k] = weight / total
    else:
        share = exploration.epsilon / len(free)
        for k in free:
            each[k] = share
        each[greedy] += 1.0 - exploration.epsilon
    if exploration.canary < 1.0:
        usual = actions.index(default) if default in actions else greedy
        each = [exploration.canary * one for one in each]
        each[usual] += 1.0 - exploration.canary
    return each


def _free(actions: Sequence[str], never: Collection[str]) -> Sequence[int]:
    if not never:
        return range(len(actions))
    return [k for k, action in enumerate(actions) if action not in never]


def drawn(each: Sequence[float], u: float) -> int:
    """The action that a uniform number in [0, 1) draws; one with chance 0 never."""
    last = 0
    for k, chance in enumerate(each):
        if chance > 0.0:
            last = k
            u -= chance
            if u < 0.0:
                break
    return last


class HourlyCap:
    """Counts explored decisions of the running hour.

    It is not kept over a restart: then an hour may see the cap twice.
    """

    def __init__(self, per_hour: int | None) -> None:
        self._per_hour = per_hour
        self._hour = -1
        self._used = 0

    def free(self, now: float) -> bool:
        """Whether one more may be explored at `now`, in seconds."""
        if self._per_hour is None:
            return True
        hour = int(now // 3600)
        if hour != self._hour:
            self._hour, self._used = hour, 0
        return self._used < self._per_hour

    def use(self) -> None:
        """One was explored."""
        self._used += 1
