"""Promises: what a peer quoted against what came of it, tested handoff by handoff.

A quote is a promise: the value of what was handed on. What came of it is the discounted return from
the receiver's arrival on, observed by this node. The test (`batonq.bound.sequential`) bets, handoff
by handoff in the order of the quotes, that the peer promised too much; it is right at any time
with the stated chance whatever the peer does, as long as the peer does not decide what is
observed. It tells that quotes exceed what came of them, not why: an honest peer that is still
learning may promise too much as well. `docs/trust.md` has the terms, the proof and the limits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from typing import Final

from batonq.base.errors import ModelError, WireError
from batonq.base.files import Json
from batonq.bound.sequential import Wealth, bet

MEMORY: Final = 300  # values that a running mean looks back over


@dataclass(frozen=True)
class Terms:
    """What a peer's quotes are held to.

    Attributes:
        low: smallest value that can be realised; the declared range of quotes, or a narrower one
            that is known to hold. The narrower, the sooner a peer is found out.
        high: the largest.
        tolerance: excess of quotes over what came of them that is put up with, as a share of
            high - low, in [0, 1). Covers rounding, and a receiver that explores a little.
        alpha: chance that a peer within the tolerance is ever flagged from the start, in (0, 1).
        run_length: mean number of handoffs until a peer within the tolerance is flagged for a
            change, above 1.
        burn_in: first handoffs that are not tested, >= 0: a peer that starts to learn promises
            too much or too little.
        window: quotes that may be waiting for what came of them, >= 1; the oldest is then given
            up.
        harm: mean excess, as a share of high - low, above which a flagged peer is quarantined.

    Raises:
        ModelError: naming the first one out of its range.
    """

    low: float
    high: float
    tolerance: float = 0.01
    alpha: float = 0.05
    run_length: float = 10_000.0
    burn_in: int = 75
    window: int = 256
    patience: float = math.inf
    harm: float = 0.05

    def __post_init__(self) -> None:
        checks = {
            f"range {self.low:g} .. {self.high:g} is empty or not finite": (
                math.isfinite(self.low) and math.isfinite(self.high) and self.low < self.high
            ),
            f"tolerance {self.tolerance:g} is not in [0, 1)": 0 <= self.tolerance < 1,
            f"alpha {self.alpha:g} is not in (0, 1)": 0 < self.alpha < 1,
            f"run_length {self.run_length:g} is not above 1": self.run_length > 1,
            f"burn_in {self.burn_in} is negative": self.burn_in >= 0,
            f"window {self.window} is not positive": self.window >= 1,
            f"patience {self.patience:g} is not positive": self.patience > 0,
            f"harm {self.harm:g} is negative": self.harm >= 0,
        }
        for what, good in checks.items():
            if not good:
                raise ModelError(f"promises: {what}")

    @property
    def span(self) -> float:
        """Length of the range."""
        return self.high - self.low


@dataclass(frozen=True)
class Sample:
    """Mean and variance of values, of which the last `MEMORY` or so count.

    Attributes:
        count: values so far.
        mean: their mean; 0 without any.
        variance: their mean squared distance from it.
    """

    count: int = 0
    mean: float = 0.0
    variance: float = 0.0

    def add(self, value: float) -> Sample:
        """The sample with one more value."""
        size = 1.0 / min(self.count + 1, MEMORY)
        moved = value - self.mean
        mean = self.mean + size * moved
        variance = (1.0 - size) * (self.variance + size * moved * moved)
        return Sample(self.count + 1, mean, variance)

    def noise(self, span: float) -> float:
        """Squared standard error of the mean, infinite without values.

        One value with a deviation of half of `span` is added, so that two equal values are not
        taken for certainty.
        """
        n = min(self.count, MEMORY)
        return (n * self.variance + span * span / 4.0) / (n * n) if n else math.inf


@dataclass(frozen=True)
class Promise:
    """A quote that waits for what came of it.

    Attributes:
        handoff_id: of which handoff.
        quote: what the peer promised.
        workflow: of which workflow, if known.
        value: what came of it; None as long as that is not known.
        gone: whether that will never be known.
        at: when it was quoted, in seconds.
    """

    handoff_id: str
    quote: float
    workflow: str | None = None
    value: float | None = None
    gone: bool = False
    at: float = 0.0


@dataclass(frozen=True)
class Ledger:
    """What one peer promised and what came of it.

    Attributes:
        waiting: quotes in order, the oldest not yet resolved.
        kept: handoffs of which quote and outcome are known, burn-in included.
        over: bets that it promises too much.
        under: bets that it promises too little.
        excess: quote less what came of it.
        realised: what came of it.
        unobserved: quotes of which it will never be known.
        late: outcomes that came after their quote was given up, or of no known quote.
        repeated: quotes left out because another handoff of their workflow was counted.
        outside: outcomes outside the range, counted as its nearer end.
    """

    waiting: tuple[Promise, ...] = ()
    kept: int = 0
    over: Wealth = field(default_factory=Wealth)
    under: Wealth = field(default_factory=Wealth)
    excess: Sample = field(default_factory=Sample)
    realised: Sample = field(default_factory=Sample)
    unobserved: int = 0
    late: int = 0
    repeated: int = 0
    outside: int = 0


def quoted(
    terms: Terms,
    ledger: Ledger,
    handoff_id: str,
    quote: float,
    workflow: str | None = None,
    at: float = 0.0,
) -> Ledger:
    """The ledger after the peer quoted.

    Args:
        terms: what the peer is held to.
        ledger: before.
        handoff_id: of which handoff; a second quote for it changes nothing.
        quote: what it promised.
        workflow: of which workflow, if known.
        at: when, in seconds; never decreasing.

    Raises:
        WireError: if the quote is not finite.
    """
    _finite("quote", handoff_id, quote)
    if any(one.handoff_id == handoff_id for one in ledger.waiting):
        return ledger
    ledger = _late(terms, ledger, at)
    waiting = (*ledger.waiting, Promise(handoff_id, quote, workflow, at=at))
    if len(waiting) > terms.window:
        waiting = (replace(waiting[0], gone=True), *waiting[1:])
    return _resolve(terms, replace(ledger, waiting=waiting))


def realised(terms: Terms, ledger: Ledger, handoff_id: str, value: float) -> Ledger:
    """The ledger after it became known what came of a handoff.

    Handoffs of one workflow share what comes of them, so that a second one says nothing new: those
    of its workflow that wait as well are left out.

    Args:
        terms: what the peer is held to.
        ledger: before.
        handoff_id: of which handoff; one that is not waiting counts as late.
        value: the return from the receiver's arrival on, discounted to it.

    Raises:
        WireError: if the value is not finite.
    """
    _finite("realised value", handoff_id, value)
    this = next((one for one in ledger.waiting if one.handoff_id == handoff_id), None)
    if this is None:
        return replace(ledger, late=ledger.late + 1)
    kept = tuple(
        one
        for one in ledger.waiting
        if one is this or one.workflow is None or one.workflow != this.workflow
    )
    repeated = ledger.repeated + len(ledger.waiting) - len(kept)
    ledger = replace(ledger, waiting=kept, repeated=repeated)
    return _resolve(terms, _put(ledger, handoff_id, value, gone=False))


def gone(terms: Terms, ledger: Ledger, handoff_id: str) -> Ledger:
    """The ledger after it became clear that what came of a handoff will never be known."""
    return _resolve(terms, _put(ledger, handoff_id, None, gone=True))


def released(ledger: Ledger) -> Ledger:
    """The ledger after an operator released the peer: the test starts afresh, means stay."""
    return replace(ledger, over=Wealth(), under=Wealth())


def to_json(ledger: Ledger) -> Json:
    """The ledger as JSON, to start again from."""
    plain = {name: getattr(ledger, name) for name in _COUNTS}
    return {
        "waiting": [
            [one.handoff_id, one.quote, one.workflow, one.value, one.gone] for one in ledger.waiting
        ],
        "over": ledger.over.to_json(),
        "under": ledger.under.to_json(),
        "excess": _sample(ledger.excess),
        "realised": _sample(ledger.realised),
        **plain,
    }


def from_json(stored: Json) -> Ledger:
    """Read back what `to_json` wrote."""
    return Ledger(
        waiting=tuple(Promise(*one) for one in stored["waiting"]),
        over=Wealth.from_json(stored["over"]),
        under=Wealth.from_json(stored["under"]),
        excess=Sample(*stored["excess"]),
        realised=Sample(*stored["realised"]),
        **{name: int(stored[name]) for name in _COUNTS},
    )


_COUNTS: Final = ("kept", "unobserved", "late", "repeated", "outside")


def _sample(sample: Sample) -> list[float]:
    return [sample.count, sample.mean, sample.variance]


def _late(terms: Terms, ledger: Ledger, now: float) -> Ledger:
    """Give up what has waited longer than `patience`."""
    waiting = ledger.waiting
    if not waiting or now - waiting[0].at <= terms.patience:
        return ledger
    given_up = tuple(
        replace(one, gone=True) if one.value is None and now - one.at > terms.patience else one
        for one in waiting
    )
    return _resolve(terms, replace(ledger, waiting=given_up))


def _put(ledger: Ledger, handoff_id: str, value: float | None, *, gone: bool) -> Ledger:
    """Resolve a waiting promise, once: the first outcome counts."""
    waiting = tuple(
        replace(one, value=value, gone=gone)
        if one.handoff_id == handoff_id and one.value is None
        else one
        for one in ledger.waiting
    )
    return replace(ledger, waiting=waiting)


def _resolve(terms: Terms, ledger: Ledger) -> Ledger:
    """Count the oldest promises as far as they are resolved.

    In the order of the quotes, not of the outcomes: if failures come back sooner than successes,
    those that came first are the worse ones, and an honest peer would look bad.
    """
    waiting = list(ledger.waiting)
    while waiting and (waiting[0].gone or waiting[0].value is not None):
        one = waiting.pop(0)
        if one.value is None:
            ledger = replace(ledger, unobserved=ledger.unobserved + 1)
        else:
            ledger = _count(terms, ledger, one.quote, one.value)
    return replace(ledger, waiting=tuple(waiting))


def _count(terms: Terms, ledger: Ledger, quote: float, value: float) -> Ledger:
    held = min(max(value, terms.low), terms.high)
    tolerance = terms.tolerance * terms.span
    excess = quote - held
    over, under = ledger.over, ledger.under
    if ledger.kept >= terms.burn_in:
        over = bet(over, excess - tolerance, terms.span + tolerance)
        under = bet(under, -excess - tolerance, terms.span + tolerance)
    return replace(
        ledger,
        kept=ledger.kept + 1,
        over=over,
        under=under,
        excess=ledger.excess.add(excess),
        realised=ledger.realised.add(held),
        outside=ledger.outside + (held != value),
    )


def _finite(what: str, handoff_id: str, value: float) -> None:
    if not math.isfinite(value):
        raise WireError(f"handoff '{handoff_id}': {what} {value} is not a finite number")
