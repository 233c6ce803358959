"""Testing by betting: is a mean above 0, asked after every observation, at a level that holds.

X_1, X_2, ... are at least -width, and m_s = E[X_s | what was known before]. For a fixed share l in
(0, 1) the capital

    K_t = prod_{s <= t} (1 + l X_s / width)

is never negative. N_t = K_t / prod (1 + l m_s / width) is a martingale that starts at 1, and since
log is concave, prod (1 + l m_s / width) <= (1 + l mean(m) / width)^t. So K_t <= N_t at every t at
which the mean of m_1 .. m_t is at most 0, and by Ville's inequality the chance that K_t ever
reaches 1 / alpha at such a t is at most alpha. A mixture of several shares, fixed beforehand, is
again such a capital. Nothing has to be independent or equally distributed.

Against a change after a long time, R_t = (1 + R_{t-1}) (1 + l X_t / width) sums the capitals that
start at 1, 2, ..., t. If every m_s is at most 0, R_t - t is a supermartingale, so that the mean
time until R_t first reaches a level L is at least L, and the chance that it does within t is at
most t / L (Shin, Ramdas and Rinaldo 2022 call it a Shiryaev-Roberts e-detector).

`docs/trust.md` has the proofs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from batonq.base.errors import ModelError
from batonq.base.files import Json

SHARES: Final = (0.04, 0.1, 0.2, 0.4, 0.65, 0.9)  # of the largest bet that can never ruin
WEIGHTS: Final = (0.05, 0.1, 0.2, 0.25, 0.2, 0.2)  # small shares serve long, faint excesses
_LOG_WEIGHTS: Final = tuple(math.log(weight) for weight in WEIGHTS)
_NOTHING: Final = -math.inf


@dataclass(frozen=True)
class Wealth:
    """What has been won so far by betting that a mean is above 0.

    Attributes:
        count: bets so far.
        capitals: log K_t of each share of `SHARES`.
        restarted: log R_t of each share; -inf before the first bet.
        peak: the largest log of the mixture of the K so far, 0 at the start.
        peak_restarted: the same of the R; -inf before the first bet.
    """

    count: int = 0
    capitals: tuple[float, ...] = (0.0,) * len(SHARES)
    restarted: tuple[float, ...] = (_NOTHING,) * len(SHARES)
    peak: float = 0.0
    peak_restarted: float = _NOTHING

    @property
    def now(self) -> float:
        """Log of the mixture of capitals as it stands."""
        return _mixture(self.capitals)

    @property
    def now_restarted(self) -> float:
        """Log of the mixture of restarted capitals as it stands."""
        return _mixture(self.restarted)

    def shows(self, alpha: float) -> bool:
        """Has the capital ever reached 1 / alpha?

        Args:
            alpha: chance, in (0, 1), of a yes at a time at which the mean so far was at most 0.
        """
        _check(0 < alpha < 1, f"alpha {alpha:g} is not in (0, 1)")
        return self.peak >= -math.log(alpha)

    def shows_change(self, length: float) -> bool:
        """Has the restarted capital ever reached `length`?

        Args:
            length: mean number of bets, above 1, until a yes while every mean is at most 0.
        """
        _check(length > 1, f"mean run length {length:g} is not above 1")
        return self.peak_restarted >= math.log(length)

    def to_json(self) -> Json:
        """As JSON; an infinity is null."""
        return {
            "count": self.count,
            "capitals": list(self.capitals),
            "restarted": [None if one == _NOTHING else one for one in self.restarted],
            "peak": self.peak,
            "peak_restarted": None if self.peak_restarted == _NOTHING else self.peak_restarted,
        }

    @staticmethod
    def from_json(stored: Json) -> Wealth:
        """Read back what `to_json` wrote."""
        restarted = tuple(_NOTHING if one is None else float(one) for one in stored["restarted"])
        peak = stored["peak_restarted"]
        return Wealth(
            int(stored["count"]),
            tuple(float(one) for one in stored["capitals"]),
            restarted,
            float(stored["peak"]),
            _NOTHING if peak is None else float(peak),
        )


def bet(wealth: Wealth, x: float, width: float) -> Wealth:
    """The wealth after one more observation.

    Args:
        wealth: before it.
        x: the observation, at least -width; a smaller one counts as -width.
        width: how far below 0 an observation can fall, > 0; fixed before the observation.

    Raises:
        ModelError: if `x` is not finite or `width` not positive.
    """
    _check(math.isfinite(x), f"observation {x} is not finite")
    _check(0 < width < math.inf, f"width {width} is not positive and finite")
    part = max(x / width, -1.0)
    gains = [math.log1p(share * part) for share in SHARES]
    capitals = tuple(k + gain for k, gain in zip(wealth.capitals, gains, strict=True))
    restarted = tuple(_plus_one(r) + gain for r, gain in zip(wealth.restarted, gains, strict=True))
    return Wealth(
        wealth.count + 1,
        capitals,
        restarted,
        max(wealth.peak, _mixture(capitals)),
        max(wealth.peak_restarted, _mixture(restarted)),
    )


def bets_needed(excess: float, sd: float, width: float, alpha: float) -> float:
    """About how many bets it takes to show a mean above 0, in half of all cases. An estimate.

    log(1 / alpha) over the largest mean growth of a log capital, to second order:
    max over shares l of l e - l^2 (s^2 + e^2) / 2 with e = excess / width and s = sd / width.

    Args:
        excess: the mean.
        sd: standard deviation of an observation.
        width: how far below 0 an observation can fall.
        alpha: level of the test.

    Returns:
        The number; infinite if no bet grows.
    """
    e, s = excess / width, sd / width
    growth = max(share * e - share * share * (s * s + e * e) / 2 for share in SHARES)
    return -math.log(alpha) / growth if growth > 0 else math.inf


def _plus_one(log: float) -> float:
    """log(1 + exp(log)), whatever the size."""
    return log + math.log1p(math.exp(-log)) if log > 0 else math.log1p(math.exp(log))


def _mixture(logs: tuple[float, ...]) -> float:
    terms = [weight + log for weight, log in zip(_LOG_WEIGHTS, logs, strict=True)]
    top = max(terms)
    if top == _NOTHING:
        return top
    return top + math.log(math.fsum(math.exp(term - top) for term in terms))


def _check(good: bool, what: str) -> None:
    if not good:
        raise ModelError(f"sequential test: {what}")
