"""check_qfunction: does a Q-function keep the contract that agents rely on?"""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence

import numpy as np

from batonq.base.errors import ModelError
from batonq.icq.qfunction import QFunction


def check_qfunction(
    make: Callable[[], QFunction], observations: Sequence[Hashable], n_actions: int
) -> None:
    """Check a Q-function on a few information states.

    Checks the methods; that values have one finite number per action; that a quote is the largest
    permitted value, whatever the others are; that asking changes nothing; that updates toward a
    target bring the value nearer to it; and that a frozen copy does not move with the original.

    Args:
        make: makes a new Q-function.
        observations: at least one information state it accepts.
        n_actions: number of actions.

    Raises:
        ModelError: naming the first thing that is wrong.
    """
    q = make()
    if not isinstance(q, QFunction):
        raise ModelError(f"Q-function: {type(q).__name__} lacks values, quote, update or frozen")
    for y in observations:
        _check_quotes(q, y, n_actions)
    for y in observations:
        for action in range(n_actions):
            _check_learning(make(), y, action, n_actions)
    _check_frozen(make(), observations[0], n_actions)


def _values(q: QFunction, y: Hashable, n_actions: int) -> np.ndarray:
    values = np.array(q.values(y, np.ones(n_actions, np.bool_)), np.float64)
    if values.shape != (n_actions,) or not np.isfinite(values).all():
        raise ModelError(
            f"Q-function: values at {y!r} are {values}; give {n_actions} finite numbers"
        )
    return values


def _check_quotes(q: QFunction, y: Hashable, n_actions: int) -> None:
    before = _values(q, y, n_actions)
    for only in range(n_actions):
        mask = np.arange(n_actions) == only
        quote = q.quote(y, mask)
        if not math.isclose(quote, before[only], rel_tol=1e-6, abs_tol=1e-9):
            raise ModelError(
                f"Q-function: with only action {only} permitted at {y!r} the quote is {quote}, "
                f"the value {before[only]}"
            )
    if not np.array_equal(before, _values(q, y, n_actions)):
        raise ModelError(f"Q-function: asking for a quote at {y!r} changed the values")


def _check_learning(q: QFunction, y: Hashable, action: int, n_actions: int) -> None:
    target = float(_values(q, y, n_actions)[action]) + 1.0
    for _ in range(200):
        q.update(y, action, target)
    left = abs(float(_values(q, y, n_actions)[action]) - target)
    if not left < 0.5:
        raise ModelError(
            f"Q-function: 200 updates of action {action} at {y!r} left {left:g} of a distance of 1"
        )


def _check_frozen(q: QFunction, y: Hashable, n_actions: int) -> None:
    q.update(y, 0, 1.0)
    copy = q.frozen()
    before = _values(copy, y, n_actions)
    for _ in range(10):
        q.update(y, 0, -5.0)
    if not np.array_equal(before, _values(copy, y, n_actions)):
        raise ModelError("Q-function: the frozen copy moved when the original learnt")
