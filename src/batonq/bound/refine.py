"""Which field should we reveal next? On a finite model exactly; from one agent's records too.

On a model: the gap |Q* - Qhat* o psi|_2 of the model behind the refined interface. From a log:
which fields explain residuals at all, with the chance of any false finding controlled; among
those, the one that moves the agent's values most. Theory, section 12.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.base.errors import DataError, ModelError
from batonq.bound.blocks import enough_blocks
from batonq.bound.features import HeldOut, centred, chosen, held_out, pairs, residuals, split
from batonq.bound.gap import gap
from batonq.bound.refit import change
from batonq.icq.log import Log
from batonq.smdp import interface
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import policy_of_cells, uniform

ERROR_RATE: Final = 0.01  # chance of naming any field when none carries anything
NEGLIGIBLE: Final = 1e-9  # share of the squared gap below which a model's field removes nothing

Fields = Mapping[str, Int[np.ndarray, " state"]]


@dataclass(frozen=True)
class Candidate:
    """What revealing one field would do.

    Attributes:
        field: its name.
        removed: squared gap removed, in L2(mu) over the handoffs of whom it is revealed to: exact
            on a model; from a log, |Q_f - Q_0|^2, an estimate. None if not available.
        low: lower end of its 95 % interval; None if exact or not available.
        high: upper end.
        gap: on a model, root mean square gap that is left over those handoffs.
        gap_everywhere: the same over all handoffs.
        shift: from a log, mean of Q_f - Q_0: by how much values would rise.
        score: what candidates are ranked by: on a model what is removed; from a log see `refine`.
        explained: from a log, the part |h|^2 of the squared gap residual that the field explains.
        p: from a log, chance of so much explained if the field carried nothing.
        adjusted: that, adjusted over all candidates (Holm).
        handoffs_needed: own handoffs that would resolve it; None if resolved, infinite if what it
            explains is not estimated to be positive.
        reason: why it is not available; "" if it is.
    """

    field: str
    removed: float | None = None
    low: float | None = None
    high: float | None = None
    gap: float | None = None
    gap_everywhere: float | None = None
    shift: float | None = None
    score: float = -math.inf
    explained: float | None = None
    p: float | None = None
    adjusted: float | None = None
    handoffs_needed: float | None = None
    reason: str = ""


@dataclass(frozen=True)
class Refinement:
    """The answer: `best` is the field to reveal, or None if nothing helps.

    Attributes:
        best: its name.
        candidates: all of them, what removes most first.
        agent: to whom the field would be revealed; None for every holder.
        handoffs: records read; None on a model.
        gap: on a model, root mean square gap now over the handoffs of whom it is revealed to.
        error_rate: chance of naming any field if none carries anything; None on a model.
    """

    best: str | None
    candidates: tuple[Candidate, ...]
    agent: str | None
    handoffs: int | None
    gap: float | None
    error_rate: float | None

    def __str__(self) -> str:
        return _table(self)


def refine(
    source: FiniteICSMDP | Log,
    candidates: Fields | Sequence[str] | None = None,
    *,
    agent: str | None = None,
    behaviour: Float[np.ndarray, "cell action"] | None = None,
    error_rate: float = ERROR_RATE,
    seed: int = 0,
) -> Refinement:
    """Say which field to reveal next.

    From a log, with Q_f the values refitted with the field shown and D = Q_f - Q_0 (`bound.refit`),
    the squared gap falls by |D|^2 + 2 <Q* - Q_f, D>. `removed` is the first term, which is all of
    it where Q_f is as good as the field allows; the second is beyond one agent's records. Fields
    are ranked with a guess of it, that the other agents' interfaces hide as much as this one's.
    Which of them carry anything at all is tested without any such assumption.

    Args:
        source: a finite model, or one agent's log under frozen values.
        candidates: names of fields of the model or log, all by default; for a model also, by
            name, a whole number per state.
        agent: on a model, to whom it would be revealed; every holder by default.
        behaviour: on a model, probability of each action in each cell; uniform by default.
        error_rate: for a log, the chance in (0, 1) of naming any field if none carries anything.
        seed: of the random signs behind p values.

    Raises:
        ModelError: if a model has no candidates, or one does not fit it.
        DataError: if the log lacks a candidate, is another agent's, its values moved, or it is too
            short.
    """
    if not isinstance(source, FiniteICSMDP | Log):
        raise ModelError(
            f"refine: got a {type(source).__name__}; give a finite model, or the log of one agent "
            "(observe returns a log for each)"
        )
    if seed < 0:
        raise ModelError(f"refine: seed is {seed}; give 0 or more")
    if isinstance(candidates, str):
        candidates = (candidates,)
    if isinstance(source, Log):
        if behaviour is not None or agent not in (None, source.agent):
            raise DataError(
                f"refine: this is the log of agent '{source.agent}' under the behaviour it was "
                "recorded with; leave `agent` and `behaviour` out"
            )
        if isinstance(candidates, Mapping):
            raise DataError("candidates: name fields of the log; a log has no states to number")
        if not 0 < error_rate < 1:
            raise DataError(f"error rate: {error_rate:g} is not in (0, 1)")
        return _from_log(source, candidates, error_rate, seed)
    return _on_model(source, _fields(source, candidates), agent, behaviour)


def _fields(model: FiniteICSMDP, candidates: Fields | Sequence[str] | None) -> Fields:
    """The candidates of a model by name."""
    fields = model.fields if candidates is None else candidates
    if not isinstance(fields, Mapping):
        unknown = [name for name in fields if name not in model.fields]
        if unknown:
            raise ModelError(f"candidates: the model has no field '{unknown[0]}'")
        fields = {name: model.fields[name] for name in fields}
    if not fields:
        raise ModelError("candidates: the model has no fields; name some, a whole number per state")
    return fields


def _on_model(
    model: FiniteICSMDP,
    fields: Fields,
    agent: str | None,
    behaviour: Float[np.ndarray, "cell action"] | None,
) -> Refinement:
    if agent is not None and agent not in model.agents:
        raise ModelError(f"agent: '{agent}' is none of {', '.join(model.agents)}")
    shown = np.ones(model.n_states, np.bool_)
    if agent is not None:
        shown = model.holder == model.agents.index(agent)
        if not shown.any():
            raise ModelError(
                f"agent: '{agent}' never decides, so nothing is revealed; name another"
            )
    chances = uniform(model) if behaviour is None else behaviour
    own, _, error = _gaps(model, chances, shown)
    found = []
    for name, of_state in fields.items():
        if of_state.shape != model.holder.shape or of_state.dtype.kind not in "biu":
            raise ModelError(
                f"candidates: field '{name}' is {of_state.dtype} of shape {of_state.shape}, wanted "
                f"{model.holder.shape}: one whole number a state"
            )
        refined = model.seen_as(interface.refine(model.cell, np.where(shown, of_state, 0)))
        lifted = np.zeros((refined.n_cells, model.n_actions))
        lifted[refined.cell] = policy_of_cells(model, chances)
        left, left_everywhere, _ = _gaps(refined, lifted, shown)
        removed = own**2 - left**2
        found.append(
            Candidate(name, removed, gap=left, gap_everywhere=left_everywhere, score=removed)
        )
    ranked = _ranked(found)
    largest = ranked[0].removed or 0.0
    zero = max(NEGLIGIBLE * own**2, 4 * error * own, error**2)
    best = ranked[0].field if largest > zero else None
    return Refinement(best, ranked, agent, None, own, None)


def _gaps(
    model: FiniteICSMDP, behaviour: Float[np.ndarray, "cell action"], shown: Bool[np.ndarray, " _"]
) -> tuple[float, float, float]:
    """Root mean square gap over the handoffs of some states, over all, and its possible error."""
    term = gap(model, behaviour)
    squares = term.visits * np.where(model.mask, term.difference, 0.0) ** 2
    own = squares[shown].sum() / term.visits[shown].sum()
    return math.sqrt(own), math.sqrt(squares.sum()), term.error


def _from_log(
    log: Log, candidates: Sequence[str] | None, error_rate: float, seed: int
) -> Refinement:
    names = chosen(log, candidates)
    tests = held_out(log, names, seed=seed)
    coarse = pairs(log)
    apart = centred(residuals(log), coarse, log.mask.size)
    n_blocks = enough_blocks(apart, coarse, log.mask.size)
    possible = sum(test.explained is not None for test in tests)
    found = [_candidate(log, test, n_blocks, error_rate, possible) for test in tests]
    ranked = _ranked(_scored(found, len(log.agents)))
    helps = [one for one in ranked if one.adjusted is not None and one.adjusted <= error_rate]
    best = helps[0].field if helps else None
    return Refinement(best, ranked, log.agent, len(log), None, error_rate)


def _candidate(
    log: Log, test: HeldOut, n_blocks: int, error_rate: float, possible: int
) -> Candidate:
    part = test.explained
    if part is None or test.adjusted is None:
        return Candidate(test.field, reason=test.reason)
    found = change(log, split(log, test.field), log.fields[test.field].code, n_blocks)
    needed = None
    if test.adjusted > error_rate:
        needed = len(log) * max(1.0, part.times_needed(error_rate / possible))
    return Candidate(
        test.field,
        removed=found.moved.value,
        low=found.moved.low,
        high=found.moved.high,
        shift=found.shift,
        explained=part.value,
        p=part.p,
        adjusted=test.adjusted,
        handoffs_needed=needed,
    )


def _scored(found: Sequence[Candidate], n_agents: int) -> list[Candidate]:
    """Candidates from a log with their scores: |D|^2 + 2 (N - 1) (sum of shifts) shift.

    With D = Q_f - Q_0 the squared gap falls by |D|^2 + 2 <Q* - Q_f, D>. What is left, Q* - Q_f, is
    beyond one agent's records; its mean is the worth of what all the agents do not see, guessed to
    be for each of the others the sum of what the candidates are worth to this one.
    """
    worth = sum(max(one.shift or 0.0, 0.0) for one in found)
    return [
        one
        if one.removed is None or one.shift is None
        else replace(one, score=one.removed + 2 * (n_agents - 1) * worth * one.shift)
        for one in found
    ]


def _ranked(found: Sequence[Candidate]) -> tuple[Candidate, ...]:
    """What removes most first; what is not available last."""
    return tuple(sorted(found, key=lambda one: one.score, reverse=True))


def _table(answer: Refinement) -> str:
    whom = "every holder" if answer.agent is None else f"agent '{answer.agent}'"
    head = f"reveal to {whom}: " + (answer.best or "none of the candidates")
    rows: list[tuple[str, ...]]
    if answer.error_rate is None:
        head += f"  (exact; gap now {answer.gap:.4g})"
        rows = [("field", "gap left", "squared gap removed")]
        rows += [(one.field, _number(one.gap), _number(one.removed)) for one in answer.candidates]
    else:
        head += (
            f"  (estimate from {answer.handoffs} own handoffs; "
            f"chance of any false finding {answer.error_rate:g})"
        )
        rows = [("field", "squared gap removed", "95 % interval", "adjusted p", "handoffs needed")]
        rows += [_row(one) for one in answer.candidates]
    widths = [max(len(row[k]) for row in rows) for k in range(len(rows[0]))]
    lines = [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]
    reasons = [f"{one.field}: {one.reason}" for one in answer.candidates if one.reason]
    return "\n".join([head, *lines, *reasons])


def _row(one: Candidate) -> tuple[str, ...]:
    if one.low is None or one.high is None:
        return (one.field, "not available", "", "", "")
    needed = one.handoffs_needed
    text = "enough" if needed is None else f"about {needed:.2g}"
    if needed is not None and math.isinf(needed):
        text = "no effect seen"
    interval = f"{one.low:.3g} to {one.high:.3g}"
    return (one.field, _number(one.removed), interval, _number(one.adjusted), text)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"
