"""Scalar: the range and rounding by which a quote becomes the one number that crosses.

A quote in [low, high] is sent as a code, an integer of `bits` bits, or with the rounding "exact" as
a 64-bit float. Plain numbers in and out: a node calls this once per handoff.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Final, Literal, get_args

from batonq.base.errors import WireError

Rounding = Literal["nearest", "stochastic", "exact"]

MOST_BITS: Final = 16  # of a code
EXACT_BITS: Final = 64
# Within these no spacing of 16 bits under- or overflows.
LARGEST_BOUND: Final = 1e150
SMALLEST_WIDTH: Final = 1e-150


@dataclass(frozen=True, slots=True)
class Scalar:
    """What the one number may be, and how it is written.

    Attributes:
        low: smallest quote; at most 0, since a workflow that ends is worth 0.
        high: largest quote; at least 0. `range_from_reward` gives both.
        bits: of a code, 1 to 16; 64 if exact.
        rounding: "nearest", biased by half a spacing at most; "stochastic", up or down with the
            chances that keep the mean; "exact", a 64-bit float, which can carry some 52 bits of
            anything. Usual pairs: 8 nearest, 4 stochastic.

    Raises:
        WireError: if a bound is not a finite number or too large, if 0 is outside, or if bits and
            rounding do not go together.
    """

    low: float
    high: float
    bits: int = 8
    rounding: Rounding = "nearest"

    def __post_init__(self) -> None:
        low, high = number(self.low, "low"), number(self.high, "high")
        if not -LARGEST_BOUND <= low <= 0 <= high <= LARGEST_BOUND:
            raise WireError(
                f"scalar: the range [{low:g}, {high:g}] must contain 0, the value of a workflow "
                f"that ended, and nothing beyond {LARGEST_BOUND:g}"
            )
        if high - low < SMALLEST_WIDTH:
            raise WireError(
                f"scalar: the range [{low:g}, {high:g}] is empty; give low < high, at least "
                f"{SMALLEST_WIDTH:g} apart"
            )
        if self.rounding not in get_args(Rounding):
            raise WireError(f"scalar: rounding must be one of {', '.join(get_args(Rounding))}")
        most, least = (EXACT_BITS,) * 2 if self.rounding == "exact" else (MOST_BITS, 1)
        if type(self.bits) is not int or not least <= self.bits <= most:
            raise WireError(
                f"scalar: bits of the rounding '{self.rounding}' must be a whole number, {least} "
                f"to {most}"
            )
        object.__setattr__(self, "low", low + 0.0)  # -0.0 and 0.0 are one range
        object.__setattr__(self, "high", high + 0.0)


def number(value: Any, what: str) -> float:
    """`value` as a float: a finite int or float, not a bool.

    Raises:
        WireError: if it is anything else; the message starts with `what`.
    """
    if type(value) is float or type(value) is int:
        try:
            real = float(value)
        except OverflowError:
            real = math.inf
        if math.isfinite(real):
            return real
        raise WireError(f"{what}: must be finite, is {'NaN' if real != real else 'too large'}")
    raise WireError(f"{what}: must be a number, is {type(value).__name__}")


def encode(scalar: Scalar, value: float, u: float) -> int | float:
    """What is sent for a quote: a code in 0..2^bits - 1, or the float itself if exact.

    Args:
        scalar: of the party that quotes.
        value: the quote, in [low, high]; `clamp` it before.
        u: uniform in [0, 1), drawn by the caller; used by the rounding "stochastic" only.

    Raises:
        WireError: if `value` or `u` is outside, or NaN.
    """
    low, high = scalar.low, scalar.high
    if not low <= value <= high:
        raise WireError(f"quote {value!r} is not in the declared [{low:g}, {high:g}]; clamp it")
    if scalar.rounding == "exact":
        return float(value)
    place = (value - low) / (high - low) * ((1 << scalar.bits) - 1)
    below = int(place)
    # Compared, not added: below + u could round up to the next code for a value on a code.
    if scalar.rounding == "nearest":
        return below + 1 if place - below >= 0.5 else below
    if not 0 <= u < 1:
        raise WireError(f"stochastic rounding: u {u!r} is not in [0, 1)")
    return below + 1 if u < place - below else below


def decode(scalar: Scalar, code: Any) -> float:
    """The quote that a code stands for, in [low, high].

    Args:
        scalar: of the party that quoted.
        code: what came, of whatever type.

    Raises:
        WireError: unless it is an int in 0..2^bits - 1 (a bool is none); if exact, a finite number
            in [low, high].
    """
    low, high = scalar.low, scalar.high
    if scalar.rounding == "exact":
        value = number(code, "value")
        if not low <= value <= high:
            raise WireError(f"value: {value!r} is not in the declared [{low:g}, {high:g}]")
        return value
    most = (1 << scalar.bits) - 1
    if type(code) is not int:
        raise WireError(f"code: must be a whole number, is {type(code).__name__}")
    if not 0 <= code <= most:
        shown = code if abs(code) < 10**20 else "too large"
        raise WireError(f"code: {shown} is not in 0..{most} ({scalar.bits} bits)")
    if code == 0 or code == most:  # the quotient below can miss an end by a last digit
        return high if code else low
    return (low * (most - code) + high * code) / most


def clamp(scalar: Scalar, value: float) -> tuple[float, bool]:
    """The nearest value in [low, high], and whether that is another one.

    For one's own quotes alone, and counted; what others send outside is refused instead.

    Raises:
        WireError: if `value` is NaN.
    """
    if value != value:
        raise WireError("quote: is NaN; what was learnt is damaged")
    if value < scalar.low:
        return scalar.low, True
    if value > scalar.high:
        return scalar.high, True
    return value, False


def spacing(scalar: Scalar) -> float:
    """How far apart two neighbouring codes are, in units of reward: Delta; 0 if exact."""
    if scalar.rounding == "exact":
        return 0.0
    return (scalar.high - scalar.low) / ((1 << scalar.bits) - 1)


def rounding_term(scalar: Scalar, contraction: float) -> float:
    """The most that rounding quotes can move the values learnt, in units of reward.

    A quote that is off by at most e moves the target of an update by at most beta e in the mean,
    hence its fixed point Q' by |Q' - Q| <= beta (e + |Q' - Q|), so by beta e / (1 - beta). To the
    nearest code e = Delta / 2. Stochastically e < Delta if all roundings went the same way; but
    their mean is the quote itself, so that the expected target and its fixed point do not move at
    all: what is left is noise, of variance at most Delta^2 / 4 per quote, which the step sizes
    average out.

    Quotes that had to be clamped are off by more, and are not covered.

    Args:
        scalar: the same for all quotes.
        contraction: beta in [0, 1), or an upper bound on it such as gamma if durations are at
            least 1.

    Raises:
        WireError: if `contraction` is outside.
    """
    if not 0 <= contraction < 1:
        raise WireError(f"rounding: contraction {contraction!r} is not in [0, 1)")
    error = spacing(scalar) * (0.5 if scalar.rounding == "nearest" else 1.0)
    return contraction * error / (1 - contraction)


def range_from_reward(low: float, high: float, gamma: float) -> tuple[float, float]:
    """The range of a quote from the range of reward per unit of time, made to contain 0.

    If no option of duration tau gathers more than rmax (1 - gamma^tau) / (1 - gamma), discounted
    to its start, then with any later value of at most V = rmax / (1 - gamma) it is worth at most
    rmax (1 - gamma^tau) / (1 - gamma) + gamma^tau V = V; likewise from below; an end is worth 0.

    The premise holds for reward of at most rmax per primitive step, and for reward that flows at a
    rate of at most rmax per unit of time, whatever the durations, fractions too: then the option
    gathers at most rmax (1 - gamma^tau) / (-ln gamma), and -ln gamma >= 1 - gamma. A reward paid at
    once satisfies it if it is at most rmax min(tau, 1), as (1 - gamma^tau) / (1 - gamma) is concave
    in tau. So with durations below one unit of time a price c for each call need NOT: it takes
    rmax >= c (1 - gamma) / (1 - gamma^shortest). Or give the range itself (`quote_range`), from
    what a whole workflow can cost and earn.

    Args:
        low: smallest reward per unit of time.
        high: largest.
        gamma: discount per unit of time, in [0, 1).

    Raises:
        WireError: if gamma is outside (at 1 reward adds up without bound), or the reward's range is
            empty, not finite, or too wide.
    """
    low, high = number(low, "reward range"), number(high, "reward range")
    if low > high:
        raise WireError(f"reward range: [{low:g}, {high:g}] is empty; give low <= high")
    if number(gamma, "gamma") == 1:
        raise WireError(
            "gamma 1: reward per unit of time does not bound a quote; give quote_range, from what "
            "a whole workflow can cost and earn"
        )
    if not 0 <= gamma < 1:
        raise WireError(f"gamma {gamma:g} is not in [0, 1]")
    scalar = Scalar(min(low, 0.0) / (1 - gamma), max(high, 0.0) / (1 - gamma))
    return scalar.low, scalar.high
