"""Which field to reveal, from 10^5 records of one agent, against the best of 6 in hindsight.

Random models: 3 agents with 2 cells each, 2 actions, 3 successor cells an option, gamma .95, and a
hidden part of 7 bits with a random joint law, each kept from epoch to epoch with its own chance in
(0, .9). Bit j moves rewards and successors by random signs and sizes, in proportion to its own
weight .3 exp(N(0, 1)). Six bits are candidates; the seventh is never shown. One agent logs the
candidates of its own handoffs while all act at random on Qhat*, and `refine` reads that log alone.
Realised gap: |Q* - Qhat* o psi'|_2 of the model with the chosen field revealed to that agent, over
its handoffs (own) and over all; compared with the best of the six. In the null case the candidates
have weight 0 and are independent of the seventh bit: there is a gap, but none of them explains it.
"""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any, Final

import numpy as np

from batonq.base.seeds import generator
from batonq.bound.refine import Refinement, refine
from batonq.icq.log import Field, Log
from batonq.icq.observe import observe
from batonq.smdp.exact import aggregated
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import uniform
from benchmarks._hidden import random_fields, share

AGENTS: Final = 3
RECORDS: Final = 100_000
NEAR: Final = 1.05  # within 5 % of the best
ALTERNATIVE, NULL = 10, 11  # seeds; the ranking rule was chosen on models of seed 0


def run(quick: bool) -> list[dict[str, Any]]:
    """A row for each case."""
    count = 4 if quick else 100
    return [_alternative(count), _null(count)]


def _alternative(count: int) -> dict[str, Any]:
    start = time.perf_counter()
    own, everywhere, chance, by_explained, by_removed, none = [], [], [], [], [], 0
    for number in range(count):
        model, fields = random_fields(generator(ALTERNATIVE, number), carries=True)
        answer = refine(_records(model, fields, number))
        exact = {one.field: one for one in refine(model, fields, agent="agent 0").candidates}
        gaps = {name: float(one.gap or 0) for name, one in exact.items()}
        all_gaps = {name: float(one.gap_everywhere or 0) for name, one in exact.items()}
        best, best_all = min(gaps.values()), min(all_gaps.values())
        none += answer.best is None
        picked = answer.best or max(gaps, key=lambda name: gaps[name])  # none counts as a miss
        own.append(gaps[picked] / best)
        everywhere.append(all_gaps[picked] / best_all)
        chance.append(np.mean([one <= NEAR * best for one in gaps.values()]))
        by_explained.append(gaps[_most(answer, "explained")] / best)
        by_removed.append(gaps[_most(answer, "removed")] / best)
    return {
        "case": "alternative",
        "models": count,
        "records": RECORDS,
        **share("within_5_percent", np.array(own) <= NEAR),
        "worst_ratio": float(max(own)),
        **share("within_5_percent_all_handoffs", np.array(everywhere) <= NEAR),
        "by_explained_only": float(np.mean(np.array(by_explained) <= NEAR)),
        "by_removed_only": float(np.mean(np.array(by_removed) <= NEAR)),
        "random_choice": float(np.mean(chance)),
        "none": none,
        "seconds": time.perf_counter() - start,
    }


def _null(count: int) -> dict[str, Any]:
    start = time.perf_counter()
    least, quiet, gaps = [], 0, []
    for number in range(count):
        model, fields = random_fields(generator(NULL, number), carries=False)
        answer = refine(_records(model, fields, number))
        quiet += answer.best is None
        least.append(min(one.adjusted for one in answer.candidates if one.adjusted is not None))
        gaps.append(refine(model, fields, agent="agent 0").gap)
    return {
        "case": "null",
        "models": count,
        "records": RECORDS,
        **share("none", np.arange(count) < quiet),
        **share("none_at_5_percent", np.array(least) > 0.05),
        "median_gap": float(np.median(np.array(gaps, float))),
        "seconds": time.perf_counter() - start,
    }


def _most(answer: Refinement, what: str) -> str:
    return max(answer.candidates, key=lambda one: getattr(one, what) or 0.0).field


def _records(model: FiniteICSMDP, fields: dict[str, np.ndarray], seed: int) -> Log:
    """The first `RECORDS` handoffs of agent 0 under uniform behaviour on Qhat*."""
    q = aggregated(model, uniform(model)).q
    handoffs = RECORDS * AGENTS
    while True:
        log = observe(model, q, handoffs=handoffs, seed=seed, fields=fields)["agent 0"]
        if len(log) >= RECORDS:
            return first(log, RECORDS)
        handoffs *= 2


def first(log: Log, count: int) -> Log:
    """The first rows of a log."""
    names = ("y", "action", "receiver", "end", "propensity", "reward", "duration", "quote")
    columns = {name: getattr(log, name)[:count] for name in names}
    fields = {name: Field(one.levels, one.code[:count]) for name, one in log.fields.items()}
    return replace(log, **columns, fields=fields)
