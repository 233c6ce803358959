"""The three terms of the bound in the maths report: rows and a section."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from batonq.base.files import Json
from batonq.study.experiment import Section, Table
from batonq.study.rows import Interval, Row
from batonq.tasks.maths.statistics import means
from batonq.tasks.maths.terms import SQUARED, Shares, gathered

Place = tuple[str, str]  # pool and parse
KIND: Final = {  # term: how its figure came about
    "approximation": "measured",
    "gap": "measured",
    "residual": "estimate",
    "loss": "measured",
    "loss_upper": "certificate",
}
TEXT: Final = (
    "The bound adds three terms, here on the training questions, as root mean squares over "
    "decisions of an explorer with equal chances, in units of one right answer. Approximation: "
    "linear IC-Q's values against the exact solution over the cells of its interface; it holds "
    "what shrinkage takes away and what private features add beside the cells. Interface gap: "
    "that exact solution against hindsight, which knows the recorded answers before anybody is "
    "asked and which nobody can reach; it is exact on these questions. Residual: the standard "
    "error of the learnt values from having so many questions only, estimated from halves; as "
    "replay covers every move of every question, no mixing time enters. Loss: what the exact "
    "policy of the cells earns less than hindsight per question, and the proved bound on it "
    "(signed resolvent). Intervals are 95 %, by bootstrap over questions, each question counted "
    "as in the folds that learnt from it. A certificate of the values from the agents' own records "
    "(Theorem S) is not available: the interfaces are not exact, and no bound on what they hide "
    "was declared."
)


def term_rows(
    setting: Mapping[str, str | float | None], fold_cells: Sequence[Json]
) -> Iterator[Row]:
    """A row per interface and term of one pool and parse.

    Args:
        setting: the place, without interface and lambda.
        fold_cells: its folds, as `run_fold` returned them.
    """
    for found in fold_cells[0]["terms"]:
        place = {**setting, "interface": found["interface"], "lambda": found["price"]}
        for name, interval in intervals(gathered(fold_cells, found["interface"])).items():
            term = "loss" if name == "loss_upper" else name
            yield interval.row({**place, "term": term}, "icq", KIND[name])


def intervals(one: Shares) -> dict[str, Interval]:
    """Every term with its interval over questions; the squared ones as roots."""
    found = {name: means(values).interval() for name, values in vars(one).items()}
    return {
        name: _root(interval) if name in SQUARED else interval for name, interval in found.items()
    }


def _root(square: Interval) -> Interval:
    low, high = (
        None if end is None else float(np.sqrt(max(end, 0.0)))
        for end in (
            square.low,
            square.high,
        )
    )
    return Interval(float(np.sqrt(square.value)), low, high, square.n, square.n_kind)


def section(groups: Mapping[Place, Sequence[Json]]) -> Section:
    """The report's section on the terms."""
    lines = tuple(
        (pool, parse, found["price"], found["interface"], *intervals(one).values())
        for (pool, parse), fold_cells in groups.items()
        for found in fold_cells[0]["terms"]
        for one in (gathered(fold_cells, found["interface"]),)
    )
    columns = (
        "pool",
        "parse",
        "lambda",
        "interface",
        "approximation",
        "interface gap",
        "residual (estimate)",
        "loss",
        "loss at most",
    )
    return Section("The three terms of the bound", TEXT, (Table("Terms", columns, lines),))
