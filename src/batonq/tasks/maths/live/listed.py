"""The three figures listed with the paper, beside what this project's own live runs found.

The figures are listed without the method or the models that gave them, so a difference from them
says nothing about either. Our cell of a data set is filled by a finished run on all its test
questions with models that are served; a run of local models, or on fewer questions, has a line of
its own. What nobody has run stays empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from batonq.base.files import Json
from batonq.study.experiment import Table
from batonq.study.rows import Interval


@dataclass(frozen=True)
class Listed:
    """A figure listed with the paper: on which data set, in per cent, and its test's questions."""

    title: str
    figure: float
    questions: int


LISTED: Final = {
    "mathqa": Listed("MathQA", 83.6, 2985),
    "mmlu": Listed("MMLU", 88.1, 648),
    "gsm8k": Listed("GSM8K", 96.0, 1319),
}
NOT_RUN: Final = "not run"
CAPTION: Final = (
    "Per cent right: figures listed with the paper (method and models not shown) beside this run"
)
COLUMNS: Final = ("data set", "models", "questions", "listed", "all, as learnt", "judged half")
NOTE: Final = (
    "The listed figures name neither method nor models, so they are shown and not compared with. "
    "Of MMLU, our questions are elementary and high-school mathematics only. 'All, as learnt' "
    "counts every question as it was answered, those included on which agents explored."
)


def table(
    config: Mapping[str, Json], stopped: bool, everything: Interval, judged: Interval | None
) -> Table:
    """The listed figures, and this run's where it belongs.

    Args:
        config: of the run.
        stopped: whether it ended before its last question.
        everything: share of right answers over all its questions.
        judged: over those that were judged; None if there are none.
    """
    name = config["dataset"]
    ours = (_percent(everything), None if judged is None else _percent(judged))
    lines: list[tuple[str | float | Interval | None, ...]] = []
    for dataset, one in LISTED.items():
        fits = dataset == name and _fills(config, stopped)
        told = (_models(config), one.questions, one.figure, *ours)
        empty = (NOT_RUN, None, one.figure, None, None)
        lines.append((one.title, *(told if fits else empty)))
    if not _fills(config, stopped):
        title = LISTED[name].title if name in LISTED else name
        local = "local: " if _local(config) else ""
        lines.append((title, local + _models(config), everything.n, None, *ours))
    return Table(CAPTION, COLUMNS, tuple(lines))


def _fills(config: Mapping[str, Json], stopped: bool) -> bool:
    """Whether a run is one on a listed data set's whole test, with models that are served."""
    one = LISTED.get(config["dataset"])
    every = one is not None and config["questions"] == one.questions and not config["subjects"]
    return every and config["split"] == "test" and not stopped and not _local(config)


def _local(config: Mapping[str, Json]) -> bool:
    return any(model["parameters"] is not None for model in config["models"])


def _models(config: Mapping[str, Json]) -> str:
    return ", ".join(model["label"] for model in config["models"])


def _percent(share: Interval) -> Interval:
    low, high = (None if end is None else 100 * end for end in (share.low, share.high))
    return Interval(100 * share.value, low, high, share.n, share.n_kind)
