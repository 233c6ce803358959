"""Step sizes as functions of how often this cell and action were updated (its local clock)."""

from __future__ import annotations

from typing import NamedTuple

from batonq.base.errors import ModelError


class Clock(NamedTuple):
    """The family scale / (offset + rate * n)**power, n = 1, 2, ... counting local updates."""

    scale: float
    offset: float
    rate: float
    power: float


def size(clock: Clock, n: int) -> float:
    """Step size of the n-th update (n >= 1) of a cell and action, in (0, 1]."""
    base = clock.offset + clock.rate * n
    if clock.power == 1.0:
        return clock.scale / base
    return float(clock.scale * base**-clock.power)


def rescaled_linear(contraction: float) -> Clock:
    """1 / (1 + (1 - contraction) n): the default (theory, section 3).

    Args:
        contraction: beta or an upper bound on it such as gamma, in [0, 1]. At 1, which leaves the
            step at 1 for ever, `sample_mean` is used instead.

    Raises:
        ModelError: if it is outside [0, 1].
    """
    if not 0 <= contraction <= 1:
        raise ModelError(f"clock: contraction {contraction:g} is not in [0, 1]")
    return Clock(1.0, 1.0, 1.0 - contraction, 1.0) if contraction < 1 else sample_mean()


def constant(step: float) -> Clock:
    """The same step, in (0, 1], for ever.

    Raises:
        ModelError: if it is outside (0, 1].
    """
    if not 0 < step <= 1:
        raise ModelError(f"clock: constant step {step:g} is not in (0, 1]")
    return Clock(step, 1.0, 0.0, 1.0)


def power(exponent: float) -> Clock:
    """n**-exponent, with the exponent in (0.5, 1] for convergence.

    Raises:
        ModelError: if it is outside (0.5, 1].
    """
    if not 0.5 < exponent <= 1:
        raise ModelError(f"clock: power {exponent:g} is not in (0.5, 1]")
    return Clock(1.0, 0.0, 1.0, exponent)


def sample_mean() -> Clock:
    """1 / n: the value is the mean of its targets. Right for frozen answers, slow otherwise."""
    return power(1.0)
