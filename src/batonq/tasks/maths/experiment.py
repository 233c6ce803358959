"""The maths experiment as the study runs it: cells, their work, and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from batonq.base.data import content_sha256, locate
from batonq.base.files import Json
from batonq.study.experiment import Cell, Experiment, Summary
from batonq.tasks.maths import drift, drift_summary, fold, summary
from batonq.tasks.maths.live.recorded import recorded_files
from batonq.tasks.maths.options import MathsOptions

NAME: Final = "maths"
FILES: Final = {  # what the results of a data set depend on, named by their checksums
    "gsm8k": ("gsm8k", "recorded_gsm8k"),
    "mmlu": ("mmlu_math", "recorded_mmlu_math"),
    "generated": (),
}
QUESTIONS: Final = {  # the same for the pool `local`, beside the recorded answers
    "gsm8k": ("gsm8k",),
    "mmlu": ("mmlu_math",),
    "generated": (),
    "mathqa": ("mathqa",),
}


def experiment(options: MathsOptions) -> Experiment:
    """Lay out the cells of a run: one per pool, parse and fold, or per pool, change and seed.

    Raises:
        DataError: if a data file is missing or damaged.
    """
    shared = {
        **options.to_json(),
        "data": None if options.data is None else str(options.data),
        "recorded": None if options.recorded is None else str(options.recorded),
    }
    cells = (
        _drift_cells(options, shared) if options.scenario == "drift" else _folds(options, shared)
    )
    config = {**options.to_json(), "files": _checksums(options)}
    return Experiment(NAME, config, cells, run_cell, summarise)


def _checksums(options: MathsOptions) -> dict[str, str]:
    names = (QUESTIONS if options.local else FILES)[options.dataset]
    sums = {name: content_sha256(locate(name, options.data)) for name in names}
    if options.local:
        files = recorded_files(options.dataset, options.recorded)
        sums |= {path.name: content_sha256(path) for path in files}
    return sums


def _folds(options: MathsOptions, shared: Mapping[str, Json]) -> list[Cell]:
    return [
        Cell(
            f"{pool}-{parse}-fold{number}",
            {
                **shared,
                "pool": pool,
                "parse": parse,
                "fold": number,
                "tables": parse == options.parse_names[0],
            },
        )
        for pool in options.pool_names
        for parse in options.parse_names
        for number in range(options.folds)
    ]


def _drift_cells(options: MathsOptions, shared: Mapping[str, Json]) -> list[Cell]:
    price = options.prices[0] if options.prices else drift.PRICE
    return [
        Cell(
            f"{pool}-{change}-seed{number}",
            {
                **shared,
                "pool": pool,
                "parse": options.parse_names[0],
                "change": change,
                "number": number,
                "price": price,
            },
        )
        for pool in options.pool_names
        for change in drift.CHANGES
        for number in range(options.seeds)
    ]


def run_cell(config: Mapping[str, Json]) -> Json:
    """Compute one cell."""
    return drift.run_drift(config) if config["scenario"] == "drift" else fold.run_fold(config)


def summarise(config: Mapping[str, Json], cells: Sequence[Json]) -> Summary:
    """Sum up a finished run."""
    if config["scenario"] == "drift":
        return drift_summary.summarise(config, cells)
    return summary.summarise(config, cells)
