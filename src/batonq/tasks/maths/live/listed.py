"""The three figures listed with the paper, beside what this project's own live runs found.

The figures are listed without the method or the models that gave them, so a difference from them
says nothing about either. Our cell of a data set is filled by a finished run on all its test
questions with models that are served; a run of local models, or on fewer questions, has a line of
its own. What nobody has run stays empty.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from batonq.base.files import Json
from batonq.study.experiment import Table
from batonq.study.rows import Interval

LISTED: Final = {"mathqa": ("MathQA", 83.6), "mmlu": ("MMLU", 88.1), "gsm8k": ("GSM8K", 96.0)}
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
    for dataset, (title, figure) in LISTED.items():
        fits = dataset == name and _fills(config, stopped)
        told = (_models(config), config["questions"], figure, *ours)
        empty = (NOT_RUN, None, figure, None, None)
        lines.append((title, *(told if fits else empty)))
    if not _fills(config, stopped):
        title = LISTED.get(name, (name, None))[0]
        local = "local: " if _local(config) else ""
        lines.append((title, local + _models(config), everything.n, None, *ours))
    return Table(CAPTION, COLUMNS, tuple(lines))


def _fills(config: Mapping[str, Json], stopped: bool) -> bool:
    """Whether a run is one on a listed data set's whole test, with models that are served."""
    every = config["questions"] == config["available"] and not config["subjects"]
    whole = config["split"] == "test" and every and not stopped
    return config["dataset"] in LISTED and whole and not _local(config)


def _local(config: Mapping[str, Json]) -> bool:
    return any(model["parameters"] is not None for model in config["models"])


def _models(config: Mapping[str, Json]) -> str:
    return ", ".join(model["label"] for model in config["models"])


def _percent(share: Interval) -> Interval:
    low, high = (None if end is None else 100 * end for end in (share.low, share.high))
    return Interval(100 * share.value, low, high, share.n, share.n_kind)
