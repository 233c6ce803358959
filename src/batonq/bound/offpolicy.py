"""Off-policy: what another policy of one agent would be worth, from that agent's own records.

The quantity is defined in docs/evaluate.md: the expected return of a segment, from the arrival of
control to the quote that closes it, if this agent alone acted otherwise while arrivals, other
agents and their quotes stayed as they were.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from batonq.base.errors import DataError
from batonq.bound import offpolicy_refusals as refusals
from batonq.bound.assumption import Assumption, Status
from batonq.bound.lines import Figure
from batonq.bound.offpolicy_estimates import (
    Estimate,
    Matrix,
    doubly_robust,
    fitted,
    last,
    less,
    observed,
    ratios,
    snips,
    weights,
)
from batonq.bound.offpolicy_fit import Fit
from batonq.bound.offpolicy_intervals import groups, interval, p_value
from batonq.bound.offpolicy_policies import Policy, chances
from batonq.bound.offpolicy_result import Line, OffPolicy
from batonq.bound.segments import SegmentTable, check_gamma, segments, table_of, table_of_log
from batonq.icq.log import Log
from batonq.icq.record import Handoff

ESTIMATORS: Final = ("dr", "snips", "fqe")
FEWEST: Final = 30  # workflows
WRONG: Final = 0.01  # p value below which a fit counts as contradicted by the weights


def evaluate(
    records: Sequence[Handoff] | Log | SegmentTable,
    policy: Policy | Matrix,
    *,
    gamma: float | None = None,
    estimator: str | None = "dr",
    confidence: float = 0.95,
) -> OffPolicy:
    """Estimate what a policy would be worth, from one agent's records under its behaviour.

    Args:
        records: its handoffs in order of time, of one workflow after the other; a log; or segments
            as `segments.table_of` gives them, for workflows that ran at the same time.
        policy: observation -> {action: chance}, as a function or a mapping, or the chances of each
            decision of a table as an array.
        gamma: discount per unit of time; a log and a table know theirs.
        estimator: "dr": doubly robust, which needs the right propensities; "snips": importance
            sampling, which needs them too; "fqe": fitted Q, which needs what is seen to tell all
            within a segment; None: all three.
        confidence: of the intervals, in (0, 1).

    Raises:
        DataError: if the records cannot tell, naming what they lack.
    """
    if estimator is not None and estimator not in ESTIMATORS:
        raise DataError(f"estimator '{estimator}': give one of {', '.join(ESTIMATORS)}")
    if not 0 < confidence < 1:
        raise DataError(f"confidence {confidence:g}: give a number between 0 and 1")
    case = _case(_table(records, gamma), policy)
    wanted = ESTIMATORS if estimator is None else (estimator,)
    lines, refused = [], None
    made: dict[str, Estimate] = {}
    for name in wanted:
        try:
            made[name] = _estimate(case, name)
            lines.append(_line(case, name, made[name], confidence))
        except DataError as error:
            refused = refused or error
            none = Figure(None, note=f"not available: {error}")
            lines.append(Line(name, none, none))
    if refused is not None and all(line.value.value is None for line in lines):
        raise refused
    table, final = case.table, last(case.table, case.weight)
    return OffPolicy(
        agent=table.agent,
        confidence=confidence,
        n=len(table),
        decisions=len(table.y),
        dropped=table.dropped,
        ess=case.ess,
        largest=float(final.max() / final.sum()) if final.any() else 0.0,
        behaviour=_figure(table, case.behaviour, confidence),
        lines=tuple(lines),
        assumptions=tuple(_assumptions(case, made)),
    )


@dataclass(frozen=True, eq=False)
class _Case:
    """What all estimators of one evaluation share."""

    table: SegmentTable
    chances: Matrix
    weight: np.ndarray
    ess: float
    behaviour: Estimate
    fitted: tuple[Estimate, Fit] | DataError


def _table(records: Sequence[Handoff] | Log | SegmentTable, gamma: float | None) -> SegmentTable:
    if isinstance(records, Log | SegmentTable):
        if gamma is not None and gamma != records.gamma:
            raise DataError(f"gamma: {gamma:g}, but the records have {records.gamma:g}")
        return table_of_log(records) if isinstance(records, Log) else records
    check_gamma(gamma)
    found, dropped = segments(records)
    return table_of(found, float(gamma or 0.0), dropped=dropped)


def _case(table: SegmentTable, policy: Policy | Matrix) -> _Case:
    """Check what every estimator needs, and compute what they share."""
    refusals.need_propensities(table)
    workflows = len(np.unique(table.workflow))
    if workflows < FEWEST:
        raise DataError(
            f"records: {workflows} workflows of {len(table)} segments, wanted {FEWEST}; record "
            "longer"
        )
    each = chances(table, policy)
    ratio = ratios(table, each)
    weight = weights(table, ratio)
    refusals.need_choice(table, each, weight)
    try:
        found: tuple[Estimate, Fit] | DataError = fitted(table, each)
    except DataError as error:
        found = error
    ess = refusals.effective(table, weight, ratio)
    return _Case(table, each, weight, ess, observed(table), found)


def _estimate(case: _Case, name: str) -> Estimate:
    """An estimate; refused where the records lack what it needs."""
    table = case.table
    if not isinstance(case.fitted, DataError):
        refusals.need_actions(table, case.fitted[1])
    if name == "fqe":
        if isinstance(case.fitted, DataError):
            raise case.fitted
        refusals.need_pairs(case.fitted[1])
        return case.fitted[0]
    refusals.need_effect(table, case.ess)
    refusals.need_mean_weight(table, case.weight)
    if name == "snips":
        return snips(table, case.weight)
    return doubly_robust(table, case.chances, case.weight)


def _figure(table: SegmentTable, estimate: Estimate, confidence: float) -> Figure:
    low, high = interval(estimate, groups(table, estimate.part), confidence)
    return Figure(estimate.value, low, high)


def _line(case: _Case, name: str, one: Estimate, confidence: float) -> Line:
    gain = less(one, case.behaviour)
    return Line(name, _figure(case.table, one, confidence), _figure(case.table, gain, confidence))


def _assumptions(case: _Case, made: Mapping[str, Estimate]) -> Iterator[Assumption]:
    """What the intervals rest on, and what can be said of it."""
    table = case.table
    yield Assumption(
        "arrivals, other agents and their quotes stay as they were",
        "not checkable",
        "what the policy changes elsewhere is not in one agent's records",
    )
    final = last(table, case.weight)
    yield Assumption(
        "propensities are those that were used",
        "supplied",
        f"mean weight {final.mean():.3g}, 1 expected; none clipped",
    )
    if isinstance(case.fitted, DataError):
        return
    fit, found = case.fitted
    untried = float(found.visits[found.count == 0].sum() / found.visits.sum())
    if untried > 0:
        yield Assumption(
            "actions had a chance wherever the policy takes them",
            "not checkable",
            f"{untried:.1%} of its decisions are actions never taken at what was seen, which came "
            "too seldom to tell",
        )
    if "fqe" in made and len(table.y) > len(table):
        yield _tells_all(case, fit, made.get("dr"))
    if table.dropped:
        yield Assumption(
            "segments without an outcome are like the others",
            "not checkable",
            f"{table.dropped} left out",
        )


def _tells_all(case: _Case, fit: Estimate, robust: Estimate | None) -> Assumption:
    """Whether weights, which need no such thing, contradict the fit."""
    name = "what is seen tells all within a segment (fqe)"
    try:
        gap = less(fit, robust or _estimate(case, "dr"))
        p = p_value(gap, groups(case.table, gap.part))
    except DataError:
        return Assumption(name, "not checkable", "weights cannot be used to check it")
    status: Status = "not met" if p < WRONG else "not checkable"
    return Assumption(name, status, f"fqe less dr {gap.value:.3g}, p {p:.3g}")
