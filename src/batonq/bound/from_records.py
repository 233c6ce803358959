"""What a run tells by itself, and what one agent can tell from its own log. Theory, section 12."""

from __future__ import annotations

import numpy as np

from batonq.base.errors import BatonqError, DataError
from batonq.bound.assumption import Assumption
from batonq.bound.features import held_out
from batonq.bound.lines import Figure, Term, Terms
from batonq.bound.serial import residual_memory, serial_test
from batonq.icq.log import Log
from batonq.icq.run import Run


def of_run(run: Run) -> Terms:
    """What the seeds of a run tell by themselves."""
    missing = "not available: needs the model or an agent's log"
    none = Figure(None, note=missing)
    table = Figure(0.0, note="values are a table")
    return Terms(
        str(run),
        (
            Term("approximation", table, table, table),
            Term("interface gap", none, none, none),
            Term("residual", none, _seed_spread(run), none),
            Term("total", none, none, none),
            Term("policy loss", none, none, none),
        ),
        (Assumption("seeds are independent", "met", "each has its own generator"),),
    )


def _seed_spread(run: Run) -> Figure:
    """Standard deviation over seeds of what was learnt, over pairs as they were updated."""
    if run.seeds < 2:
        return Figure(None, note="not available: one seed has no spread; train with seeds >= 2")
    total, weight = 0.0, 0.0
    for name in run.tables[0]:
        tables = [one[name] for one in run.tables]
        common = set(tables[0].observations).intersection(*(set(t.observations) for t in tables))
        rows = [[t.observations.index(y) for y in sorted(common, key=repr)] for t in tables]
        values = np.array([t.q[row] for t, row in zip(tables, rows, strict=True)])
        counts = np.array([t.counts[row] for t, row in zip(tables, rows, strict=True)])
        share = counts.mean(axis=0) * (counts > 0).all(axis=0)
        total += float((share * values.var(axis=0, ddof=1)).sum())
        weight += float(share.sum())
    if weight == 0:
        return Figure(None, note="not available: no pair was updated in every seed")
    return Figure(
        float(np.sqrt(total / weight)),
        note=f"standard deviation of the values over {run.seeds} seeds, without their common bias",
    )


def of_log(log: Log) -> Terms:
    """What one agent can tell from its own records."""
    none = Figure(None, note="not available: one agent's records hold no exact solution")
    table = Figure(0.0, note="values are a table")
    unknown = Figure(
        None,
        note="not available: one agent's records cannot show that its interface is exact; the "
        "certificate needs every agent to take part (bound.sandwich)",
    )
    return Terms(
        f"log of agent '{log.agent}', {len(log)} handoffs",
        (
            Term("approximation", table, table, table),
            Term("interface gap", none, _explained(log), unknown),
            Term("residual", none, _own_noise(log), unknown),
            Term("total", none, none, unknown),
            Term("policy loss", none, none, unknown),
        ),
        (_serial(log),),
    )


def _explained(log: Log) -> Figure:
    """The largest part of the squared gap residual that one logged field explains."""
    try:
        tests = [one for one in held_out(log) if one.explained is not None]
    except DataError as error:
        return Figure(None, note=f"not available: {error}")
    if not tests:
        return Figure(None, note="not available: no logged field could be tested")
    top = max(tests, key=lambda one: one.explained.value if one.explained else -np.inf)
    part = top.explained
    assert part is not None  # noqa: S101 - those without were left out
    return Figure(
        part.value,
        part.low,
        part.high,
        f"squared gap residual that field '{top.field}' explains, adjusted p {top.adjusted:.3g}; "
        "a lower bound on the squared residual, up to noise",
    )


def _own_noise(log: Log) -> Figure:
    try:
        memory = residual_memory(log)
    except BatonqError as error:
        return Figure(None, note=f"not available: {error}")
    n_pairs = len(np.unique(log.y * log.mask.shape[1] + log.action))
    ends = (memory.variance, memory.variance_low, memory.variance_high)
    value, low, high = (float(np.sqrt(n_pairs * end / len(log))) for end in ends)
    return Figure(
        value,
        low,
        high,
        f"standard error of a table of means over these records, {n_pairs} pairs; "
        f"memory inflates the variance {memory.inflation:.3g} times",
    )


def _serial(log: Log) -> Assumption:
    name = "residuals have no memory, as behind an exact interface"
    try:
        found = serial_test(log)
    except BatonqError as error:
        return Assumption(name, "not checkable", str(error))
    rejected = found.p < 0.05
    return Assumption(
        name, "not met" if rejected else "not checkable", f"serial test, p {found.p:.3g}"
    )
