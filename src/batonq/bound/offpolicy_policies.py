"""Policies of one agent to be evaluated: chances of its actions, by what it sees."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float

from batonq.base.errors import DataError
from batonq.bound.segments import UNKNOWN, SegmentTable

Chances = Mapping[Any, float]  # by action, its chance
Policy = Callable[[Any], Chances] | Mapping[Any, Chances]
Matrix = Float[np.ndarray, "row action"]

TOLERANCE: Final = 1e-6  # by which chances may miss 1 when they are summed


def fixed(action: Hashable) -> Policy:
    """Always this action."""
    return lambda _observation: {action: 1.0}


def greedy(values: Mapping[Any, Mapping[Any, float]]) -> Policy:
    """The action of largest value at each observation, the first among equals."""
    return {y: {max(row, key=row.__getitem__): 1.0} for y, row in values.items()}


def uniform(actions: Mapping[Any, Any]) -> Policy:
    """Every action of an observation with equal chance.

    Args:
        actions: by observation, its actions (a collection).
    """
    return {y: dict.fromkeys(each, 1.0 / len(each)) for y, each in actions.items()}


def as_permitted(table: SegmentTable) -> Matrix:
    """Every action permitted at the decision with equal chance."""
    each: np.ndarray = table.permitted / table.permitted.sum(axis=1, keepdims=True)
    return each


def as_valued(table: SegmentTable) -> Matrix:
    """The action of largest value among those permitted, by the values the agent acted on then.

    Values were learnt from what came before the decision, not from what came of it: the policy is
    not favoured by the records it is judged on.

    Raises:
        DataError: if values were not logged with every decision.
    """
    known = np.isfinite(table.values) | ~table.permitted
    if not known.all():
        short = int((~known).any(axis=1).sum())
        raise DataError(
            f"policy greedy: {short} of {len(known)} records have no values; give the policy as "
            "a file {observation: action}"
        )
    best = np.where(table.permitted, table.values, -np.inf).argmax(axis=1)
    return _certain(table, best)


def as_default(table: SegmentTable) -> Matrix:
    """The default that the pipeline named with each decision.

    Raises:
        DataError: if a decision named none, or one that was not permitted.
    """
    rows = np.arange(len(table.y))
    named = table.default != UNKNOWN
    good = named & table.permitted[rows, np.where(named, table.default, 0)]
    if not good.all():
        raise DataError(
            f"policy default: {int((~good).sum())} of {len(good)} records name no default that was "
            "permitted; give `default` with every decision, or name the policy otherwise"
        )
    return _certain(table, table.default)


def chances(table: SegmentTable, policy: Policy | Matrix) -> Matrix:
    """Chance of each action at each decision.

    Masks come before the policy: where some of its actions were not permitted, the others take
    their share.

    Args:
        table: the decisions.
        policy: observation -> {action: chance}, as a function or a mapping, or the chances of each
            decision as an array.

    Raises:
        DataError: if chances are negative or do not sum to 1, an action is not in the records, an
            observation has no chances, or all that the policy takes was ruled out.
    """
    if isinstance(policy, np.ndarray):
        given = np.asarray(policy, float)
        if given.shape != table.permitted.shape:
            raise DataError(
                f"policy: has shape {given.shape}, wanted {table.permitted.shape}: a chance for "
                "each decision and action"
            )
    else:
        number = {name: k for k, name in enumerate(table.actions)}
        rows = [_row(policy, y, number) for y in table.observations]
        given = np.array(rows)[table.y]
    wrong = (given < 0).any(axis=1) | ~(np.abs(given.sum(axis=1) - 1) <= TOLERANCE)
    if wrong.any():
        raise DataError(
            f"policy: the chances at observation {_first(table, wrong)!r} are negative or do not "
            "sum to 1; mend them"
        )
    left = np.where(table.permitted, given, 0.0)
    total = left.sum(axis=1)
    if (total <= 0).any():
        raise DataError(
            f"policy: all it takes at observation {_first(table, total <= 0)!r} was ruled out in "
            f"{int((total <= 0).sum())} of {len(total)} decisions; give the other actions there a "
            "chance"
        )
    scaled: np.ndarray = left / total[:, None]
    return scaled


def _row(policy: Policy, y: Hashable, number: Mapping[Hashable, int]) -> list[float]:
    """Chances at one observation, in the order of the actions."""
    if callable(policy):
        told = policy(y)
    elif y in policy:
        told = policy[y]
    else:
        raise DataError(
            f"policy: says nothing of observation {y!r}, which the records have; add it"
        )
    row = [0.0] * len(number)
    for action, chance in told.items():
        if action not in number:
            known = ", ".join(map(str, number))
            raise DataError(
                f"policy: action {action!r} at observation {y!r} is none of the records', which "
                f"have {known}; what it would bring cannot be known from them"
            )
        row[number[action]] = float(chance)
    return row


def _certain(table: SegmentTable, action: np.ndarray) -> Matrix:
    matrix = np.zeros(table.permitted.shape)
    matrix[np.arange(len(action)), action] = 1.0
    return matrix


def _first(table: SegmentTable, wrong: Bool[np.ndarray, " row"]) -> Hashable:
    return table.observations[int(table.y[np.argmax(wrong)])]
