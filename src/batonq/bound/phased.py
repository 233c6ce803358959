"""Theorem 2: phases of frozen answers with any regressor, here the mean; it needs a bound on beta.

One table f; in each phase the holder's entry becomes the mean of R + gamma**tau c v, v from the
frozen f of the phase. The error b obeys b(p) <- beta max b + radius(p) + h(p). Theorem S certifies
more from the same data and needs no beta; this is the bound it replaces. Theory, Theorem 2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.base.errors import ModelError
from batonq.bound.assumption import Assumption
from batonq.bound.concentration import Moments, prior, radius
from batonq.bound.gap import Gap, horizon, is_exact
from batonq.bound.phases import Stream, best_of, lengths, stream
from batonq.bound.premises import discount_bound, settled_range
from batonq.bound.residual import Watched
from batonq.icq.behaviour import Behaviour, uniform
from batonq.smdp.model import FiniteICSMDP


@dataclass(frozen=True, eq=False)
class Phased:
    """What Theorem 2 says of the last table, with probability 1 - delta.

    Attributes:
        values: the table learnt; -inf where not permitted.
        radii: bound on `|values - Qhat*|`, which is Q* behind an exact interface.
        bound: bound on `|values - Q*|` over all states: the gap and the largest of `radii`.
        loss: 2 bound / (1 - beta): most that the policy greedy in `values` loses to the oracle.
        contraction: the beta that was used.
        delta: chance that this fails.
        handoffs: how many were used.
        phases: how many phases of frozen answers.
        assumptions: what was assumed, and whether it holds.
    """

    values: Float[np.ndarray, "cell action"]
    radii: Float[np.ndarray, "cell action"]
    bound: float
    loss: float
    contraction: float
    delta: float
    handoffs: int
    phases: int
    assumptions: tuple[Assumption, ...]


def memory_term(
    count: Int[np.ndarray, "*pair"], residual: float, span: float, log_events: float
) -> Float[np.ndarray, "*pair"]:
    """The part h of the error that a gap adds to the mean of n samples: 0 behind (X).

    min{||eta||, span(U) (sqrt(log_events / (2 n)) + 1 / n)}; the second needs a single stream and a
    fixed behaviour. Theory, Theorem 2.
    """
    n = np.maximum(count, 1)
    term: np.ndarray = np.minimum(residual, span * (np.sqrt(log_events / (2 * n)) + 1 / n))
    return term


def phase_errors(
    before: Float[np.ndarray, "*pair"],
    slack: Float[np.ndarray, "*pair"],
    count: Int[np.ndarray, "*pair"],
    contraction: float,
    width: float,
) -> Float[np.ndarray, "*pair"]:
    """One step of the recursion: min{rho, beta max b + slack}; unchanged where n = 0."""
    after: np.ndarray = np.minimum(width, contraction * before.max() + slack)
    return np.where(count > 0, after, before)


def phased(
    model: FiniteICSMDP,
    *,
    handoffs: int,
    delta: float = 0.05,
    behaviour: Behaviour | None = None,
    interval: tuple[float, float] | None = None,
    contraction: float | None = None,
    estimate_contraction: bool = False,
    gap: Gap | None = None,
    memory: Watched | None = None,
    plan: list[int] | None = None,
    seed: int = 0,
) -> Phased:
    """Play a finite model in phases of frozen answers and bound the error of what was learnt.

    Args:
        model: the model, seen through its interface.
        handoffs: how many to play.
        delta: chance of failure, in (0, 1).
        behaviour: how actions are drawn; uniform by default, which it must be with a gap.
        interval: range of targets as in `sandwich`.
        contraction: an upper bound on the full model's beta, as supplied; not given, the largest
            gamma**tau that an option which goes on can have.
        estimate_contraction: take beta from the samples instead, which needs an exact interface.
        gap: the model's gap under the uniform behaviour; without it the interface must be exact.
        memory: its watched chains; without, the gap's residual is used alone.
        plan: handoffs of each phase; planned from the contraction if not given.
        seed: of all that is random.

    Raises:
        ModelError: if the interface is not exact and no gap is given, if a beta cannot be had, or
            if an argument is out of its range.
    """
    if not 0 < delta < 1:
        raise ModelError(f"certificate: delta {delta:g} is not in (0, 1)")
    exact = is_exact(model)
    _check(exact, gap, contraction, estimate_contraction, plan)
    gap = None if exact else gap
    if gap is not None:
        _check_gap(model, gap, behaviour)
    low, high = settled_range(model, interval)
    pairs, mask = int(model.cell_mask.sum()), model.cell_mask
    beta = discount_bound(model) if contraction is None else contraction
    steps = lengths(handoffs, pairs, beta) if plan is None else plan
    # Under (X) and a supplied beta all of delta goes to the radii; else halves.
    shared = delta / (2.0 if gap is not None or estimate_contraction else 1.0)
    kept = _play(
        stream(model, uniform() if behaviour is None else behaviour, seed),
        steps,
        (low, high),
        shared / pairs / 2,
        estimate_contraction,
    )
    if estimate_contraction:
        beta = min(kept.contraction(mask, (delta - shared) / pairs), discount_bound(model))
    errors = _errors(kept, mask, beta, high - low, (gap, memory, delta - shared))
    bound = float(errors.max()) + (0.0 if gap is None else gap.sup)
    return Phased(
        values=np.where(mask, kept.values, -np.inf),
        radii=np.where(mask, errors, np.inf),
        bound=bound,
        loss=2 * bound * horizon(beta),
        contraction=beta,
        delta=delta,
        handoffs=sum(steps),
        phases=len(steps),
        assumptions=_assumptions(exact, contraction, estimate_contraction, beta),
    )


def _errors(
    kept: _Kept,
    mask: Bool[np.ndarray, "cell action"],
    beta: float,
    width: float,
    hidden: tuple[Gap | None, Watched | None, float],
) -> Float[np.ndarray, "cell action"]:
    """The recursion over all phases, from half the range; `hidden` has the share of delta too."""
    gap, memory, share = hidden
    errors = np.where(mask, width / 2, 0.0)
    handoffs = sum(int(seen.count.sum()) for seen in kept.seen)
    for seen, radii in zip(kept.seen, kept.radii, strict=True):
        slack = radii
        if gap is not None:
            # Two sides, every pair, every number of visits; phases were fixed beforehand.
            events = math.log(2 * int(mask.sum()) * handoffs / share)
            span = math.inf if memory is None else memory.span
            slack = radii + memory_term(seen.count, gap.residual_sup, span, events)
        errors = np.where(mask, phase_errors(errors, slack, seen.count, beta, width), 0.0)
    return errors


def _check_gap(model: FiniteICSMDP, gap: Gap, behaviour: Behaviour | None) -> None:
    """Raise a ModelError unless behaviour and gap are those that the theorem is about."""
    if behaviour is not None and behaviour != uniform():
        raise ModelError(
            "certificate: refused: with a gap the behaviour must be fixed, and the gap is that of "
            "the uniform one; leave `behaviour` out"
        )
    evenly = model.mask / model.mask.sum(axis=1, keepdims=True)
    alike = gap.visits.shape == model.mask.shape
    if not (alike and np.allclose(gap.visits, gap.visits.sum(axis=1, keepdims=True) * evenly)):
        raise ModelError(
            "certificate: refused: the gap is not of this model under the uniform behaviour; "
            "give gap(model, uniform(model))"
        )


def _check(
    exact: bool,
    gap: Gap | None,
    contraction: float | None,
    estimate_contraction: bool,
    plan: list[int] | None,
) -> None:
    if plan is not None and min(plan, default=0) < 1:
        raise ModelError(f"certificate: plan {plan}; give each phase at least one handoff")
    if not exact and gap is None:
        raise ModelError(
            "certificate: refused: the interface hides something; give the `gap`, which takes the "
            "model to compute, or reveal it"
        )
    if not exact and estimate_contraction:
        raise ModelError(
            "certificate: refused: beta cannot be estimated where the interface hides something: "
            "hidden states may have longer discounts; supply `contraction`"
        )
    if contraction is not None and not 0 <= contraction < 1:
        raise ModelError(f"certificate: contraction {contraction:g} is not in [0, 1)")


@dataclass(frozen=True, eq=False)
class _Kept:
    """What playing the phases left: the last table, moments, radii and moments of gamma**tau c."""

    values: Float[np.ndarray, "cell action"]
    seen: list[Moments]
    radii: list[Float[np.ndarray, "cell action"]]
    discounts: list[Moments]

    def contraction(self, mask: Bool[np.ndarray, "cell action"], delta: float) -> float:
        """Beta from the samples of gamma**tau c: their spreads add up, as guesses may restart.

        1 where some permitted pair was never visited, of which the samples tell nothing.
        """
        count = np.sum([one.count for one in self.discounts], axis=0)
        total = np.sum([one.count * one.mean for one in self.discounts], axis=0)
        spread = np.sum([one.spread for one in self.discounts], axis=0)
        mean = total / np.maximum(count, 1)
        reach = mean + radius(Moments(count, mean, spread), 1.0, delta)
        return float(np.where(count > 0, reach, 1.0)[mask].max())


def _play(
    stream: Stream, steps: list[int], interval: tuple[float, float], share: float, discounts: bool
) -> _Kept:
    """Play all phases; `share` is the chance of failure of one side of one pair, for all phases."""
    low, high = interval
    values = np.full(stream.model.cell_mask.shape, (low + high) / 2)
    ones = [np.ones(stream.model.n_cells)] if discounts else []
    kept = _Kept(values, [], [], [])
    for length in steps:
        delta = share * length / sum(steps)
        last = kept.seen[-1].spread / steps[len(kept.seen) - 1] * length if kept.seen else np.nan
        spread = np.broadcast_to(np.maximum(last, 1e-9 * (high - low) ** 2), values.shape)
        weights = prior(spread, high - low, delta)
        answers = [best_of(stream.model, values), *ones]
        guesses = [values.copy(), *(np.full(values.shape, 0.5) for _ in ones)]
        seen, *rest = stream.phase(length, answers, guesses, values, (True, *(False for _ in ones)))
        kept.radii.append(radius(seen, high - low, delta, weights))
        kept.seen.append(seen)
        kept.discounts.extend(rest)
        values[:] = np.where(seen.count > 0, seen.mean, values)
    return kept


def _assumptions(
    exact: bool, contraction: float | None, estimated: bool, beta: float
) -> tuple[Assumption, ...]:
    hidden = Assumption(
        "exact interface, or the gap known",
        "met",
        "rewards and kernels are the same within each cell" if exact else "computed from the model",
    )
    name = "an upper bound on the contraction of the full model"
    if estimated:
        return hidden, Assumption(name, "met", f"beta <= {beta:.4g} from samples, within delta")
    if contraction is None:
        return hidden, Assumption(name, "met", f"beta <= gamma**tau_min = {beta:.4g}")
    return hidden, Assumption(name, "supplied", f"given beta <= {beta:.4g}")
