"""Segments: what one agent did from the arrival of control until it handed on, from its records.

A segment starts when control arrives. An action whose receiver is the agent itself goes on with
the next record of the same workflow; any other closes the segment, with the receiver's quote or
with the end of the workflow.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int

from batonq.base.errors import DataError
from batonq.icq.log import Log
from batonq.icq.record import NOT_ENDED, TERMINAL, Handoff

WorkflowOf = Callable[[Handoff], Hashable]
UNKNOWN: Final = -1  # number of a default that was not logged
SURE: Final = 1 - 1e-9  # a propensity from which on nothing else could have been taken


@dataclass(frozen=True)
class Segment:
    """An agent's decisions in one workflow, from the arrival of control until it handed on.

    Attributes:
        workflow: which workflow; segments of one workflow count as dependent. None if unknown.
        steps: its records in order; all but the last have the agent itself as receiver.
    """

    workflow: Hashable
    steps: tuple[Handoff, ...]


@dataclass(frozen=True)
class Seen:
    """What else was logged with a decision.

    Attributes:
        permitted: numbers of the actions that were permitted.
        values: by action, the value the agent acted on; empty if not logged.
        default: the action the pipeline would have taken without the agent; None if unknown.
    """

    permitted: frozenset[int]
    values: Mapping[int, float] = field(default_factory=dict)
    default: int | None = None


@dataclass(frozen=True, eq=False)
class SegmentTable:
    """One agent's segments as arrays: a row is a decision, and rows of a segment are neighbours.

    Attributes:
        agent: whose they are.
        gamma: discount per unit of time, in [0, 1].
        observations: information states by number.
        actions: names of the actions by number.
        y: number of the information state of each decision.
        action: number of the action taken.
        propensity: chance of the action taken, in (0, 1]; NaN where it was not logged.
        reward: gathered during the option, discounted to its start.
        discount: gamma**tau of the option.
        quote: value of what came after the segment; 0 if the segment goes on or the workflow ended.
        start: first row of each segment; segments are in order of arrival.
        workflow: number of each segment's workflow.
        permitted: actions permitted at each decision.
        values: values the agent acted on; NaN where not logged.
        default: number of the default action; `UNKNOWN` where not logged.
        dropped: segments left out since their last outcome or quote is missing.
    """

    agent: str
    gamma: float
    observations: tuple[Hashable, ...]
    actions: tuple[Hashable, ...]
    y: Int[np.ndarray, " row"]
    action: Int[np.ndarray, " row"]
    propensity: Float[np.ndarray, " row"]
    reward: Float[np.ndarray, " row"]
    discount: Float[np.ndarray, " row"]
    quote: Float[np.ndarray, " row"]
    start: Int[np.ndarray, " segment"]
    workflow: Int[np.ndarray, " segment"]
    permitted: Bool[np.ndarray, "row action"]
    values: Float[np.ndarray, "row action"]
    default: Int[np.ndarray, " row"]
    dropped: int = 0

    def __len__(self) -> int:
        """How many segments there are."""
        return len(self.start)

    def lengths(self) -> Int[np.ndarray, " segment"]:
        """Decisions of each segment."""
        return np.diff(self.start, append=len(self.y))

    def segment(self) -> Int[np.ndarray, " row"]:
        """Number of the segment of each decision."""
        return np.repeat(np.arange(len(self)), self.lengths())

    def goes_on(self) -> Bool[np.ndarray, " row"]:
        """Whether the next row belongs to the same segment."""
        inside = np.ones(len(self.y) + 1, np.bool_)
        inside[self.start] = False
        inside[-1] = False
        return inside[1:]

    def depths(self) -> list[tuple[Int[np.ndarray, " alive"], Int[np.ndarray, " alive"]]]:
        """For the first, second, ... decision of segments: which have one, and its row."""
        lengths = self.lengths()
        order = np.argsort(-lengths, kind="stable")
        alive = np.searchsorted(-lengths[order], -np.arange(1, lengths.max(initial=0) + 1), "right")
        return [(order[:n], self.start[order[:n]] + depth) for depth, n in enumerate(alive)]


def segments(
    handoffs: Iterable[Handoff], workflow_of: WorkflowOf | None = None
) -> tuple[list[Segment], int]:
    """Cut one agent's records into segments.

    Args:
        handoffs: its records in order of time. Those of one workflow are in order; different
            workflows may be interleaved if `workflow_of` tells them apart.
        workflow_of: which workflow a record belongs to; without it, all are taken to follow each
            other as one stream, in which nothing of another workflow stands inside a segment.

    Returns:
        Segments in order of arrival, and how many were left out since they are not closed: their
        last record goes on, or waits for a quote.

    Raises:
        DataError: if records of several agents are mixed or one comes twice.
    """
    agents: set[str] = set()
    known: set[str] = set()
    running: dict[Hashable, list[Handoff]] = {}
    begun: list[tuple[Hashable, list[Handoff]]] = []
    for one in handoffs:
        agents.add(one.agent)
        if one.handoff_id in known:
            raise DataError(f"records: handoff '{one.handoff_id}' comes twice; give each once")
        known.add(one.handoff_id)
        workflow = None if workflow_of is None else workflow_of(one)
        if workflow not in running:
            running[workflow] = []
            begun.append((workflow, running[workflow]))
        running[workflow].append(one)
        if not _goes_on(one):
            del running[workflow]
    if len(agents) > 1:
        raise DataError(
            f"records: of the agents {', '.join(sorted(agents))}; give those of one agent"
        )
    closed = [Segment(workflow, tuple(steps)) for workflow, steps in begun if _closed(steps[-1])]
    return closed, len(begun) - len(closed)


def table_of(
    found: Sequence[Segment],
    gamma: float,
    *,
    actions: Sequence[Hashable] | None = None,
    seen: Mapping[str, Seen] | None = None,
    dropped: int = 0,
) -> SegmentTable:
    """Segments as arrays.

    Args:
        found: closed segments of one agent, in order of arrival.
        gamma: discount per unit of time of the records.
        actions: names of the actions by number; the numbers themselves by default.
        seen: by handoff_id, what else was logged with the decision; without it every action
            counts as permitted.
        dropped: how many segments were left out.

    Raises:
        DataError: if there is none, or a record holds what cannot be.
    """
    check_gamma(gamma)
    steps = [step for one in found for step in one.steps]
    if not steps:
        raise DataError(f"records: no closed segment, {dropped} are still open; wait for outcomes")
    named = tuple(actions) if actions else tuple(range(1 + max(step.action for step in steps)))
    order = {y: k for k, y in enumerate(dict.fromkeys(step.observation for step in steps))}
    numbers: dict[Hashable, int] = {}
    keys = [(k,) if one.workflow is None else one.workflow for k, one in enumerate(found)]
    sizes = np.array([len(one.steps) for one in found])
    duration = np.array([step.duration for step in steps], float)
    quote = [step.quote if _has_quote(step) else 0.0 for step in steps]
    table = SegmentTable(
        agent=steps[0].agent,
        gamma=gamma,
        observations=tuple(order),
        actions=named,
        y=np.array([order[step.observation] for step in steps]),
        action=np.array([step.action for step in steps]),
        propensity=np.array([step.propensity for step in steps], float),
        reward=np.array([step.reward for step in steps], float),
        discount=gamma**duration,
        quote=np.array(quote, float),
        start=np.cumsum(sizes) - sizes,
        workflow=np.array([numbers.setdefault(key, len(numbers)) for key in keys]),
        **_logged([(seen or {}).get(step.handoff_id) for step in steps], len(named)),
        dropped=dropped,
    )
    _check(table, duration, [step.handoff_id for step in steps])
    return table


def table_of_log(log: Log) -> SegmentTable:
    """The segments of a log, whose rows follow each other as one stream.

    Raises:
        DataError: if no segment is closed.
    """
    own = log.agents.index(log.agent)
    goes_on = (log.receiver == own) & (log.end == NOT_ENDED)
    last = np.flatnonzero(~goes_on)
    if not len(last):
        raise DataError(f"log of '{log.agent}': no segment is closed; record longer")
    n = int(last[-1]) + 1
    quote = np.where(goes_on | (log.end == TERMINAL), 0.0, log.quote)
    return SegmentTable(
        agent=log.agent,
        gamma=log.gamma,
        observations=log.observations,
        actions=tuple(range(log.mask.shape[1])),
        y=log.y[:n],
        action=log.action[:n],
        propensity=log.propensity[:n],
        reward=log.reward[:n],
        discount=log.discounts()[:n],
        quote=quote[:n],
        start=np.concatenate([[0], last[:-1] + 1]),
        workflow=np.arange(len(last)),
        permitted=log.mask[log.y[:n]],
        values=log.values[log.y[:n]],
        default=np.full(n, UNKNOWN),
        dropped=int(n < len(log)),
    )


def drawn(table: SegmentTable) -> SegmentTable:
    """Leave out segments whose first decision was not drawn by chance from what was permitted.

    What is left out is known before anything comes of it, so that the rest is as good as before;
    its value is that of the arrivals that are left. Left out are records made while the default
    was taken in any case, and imported ones without a propensity.

    Raises:
        DataError: if nothing is left.
    """
    first = table.start
    choice = table.permitted[first].sum(axis=1) > 1
    keep = ~(choice & ~(table.propensity[first] < SURE)) & ~np.isnan(table.propensity[first])
    if not keep.any():
        raise DataError("records: no decision was drawn by chance; record with exploration")
    rows = np.repeat(keep, table.lengths())
    sizes = table.lengths()[keep]
    columns = ("y", "action", "propensity", "reward", "discount", "quote")
    tables = ("permitted", "values", "default")
    return replace(
        table,
        start=np.cumsum(sizes) - sizes,
        workflow=np.unique(table.workflow[keep], return_inverse=True)[1],
        **{name: getattr(table, name)[rows] for name in columns + tables},
    )


def check_gamma(gamma: float | None) -> None:
    """Raise a DataError unless it is a discount."""
    if gamma is None or not 0 <= gamma <= 1:
        raise DataError(f"records: gamma is {gamma}; give the discount, in [0, 1]")


def _goes_on(one: Handoff) -> bool:
    return one.end is None and one.receiver == one.agent


def _has_quote(one: Handoff) -> bool:
    return not _goes_on(one) and one.end != "terminal"


def _closed(one: Handoff) -> bool:
    return not _goes_on(one) and (one.end == "terminal" or one.quote is not None)


def _logged(extra: Sequence[Seen | None], n_actions: int) -> dict[str, np.ndarray]:
    """What else was logged, as columns of the table."""
    shape = (len(extra), n_actions)
    permitted, values = np.ones(shape, np.bool_), np.full(shape, np.nan)
    default = np.full(len(extra), UNKNOWN)
    for k, one in enumerate(extra):
        if one is not None:
            permitted[k] = False
            permitted[k, list(one.permitted)] = True
            values[k, list(one.values)] = list(one.values.values())
            default[k] = UNKNOWN if one.default is None else one.default
    return {"permitted": permitted, "values": values, "default": default}


def _check(table: SegmentTable, duration: np.ndarray, names: Sequence[str]) -> None:
    """Name the first record with a number that cannot be."""
    given = table.propensity[~np.isnan(table.propensity)]
    good = np.isnan(table.propensity)
    good[~good] = (given > 0) & (given <= 1)
    for what, column, possible in (
        ("propensity", table.propensity, good),
        ("reward", table.reward, np.isfinite(table.reward)),
        ("duration", duration, (duration > 0) & np.isfinite(duration)),
        ("quote", table.quote, np.isfinite(table.quote)),
        ("action", table.action, table.permitted[np.arange(len(duration)), table.action]),
    ):
        if not possible.all():
            k = int(np.argmin(possible))
            raise DataError(
                f"records: handoff '{names[k]}': {what} is {column[k]:g}, which cannot be; "
                "leave that record out or mend it"
            )
