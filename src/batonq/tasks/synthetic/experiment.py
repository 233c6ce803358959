"""The synthetic experiment as the study runs it: cells, their work, and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from batonq.base.files import Json
from batonq.study.experiment import Cell, Experiment, Summary
from batonq.tasks.synthetic import summary, tabular
from batonq.tasks.synthetic.axes import TABULAR, tabular_axis
from batonq.tasks.synthetic.options import SyntheticOptions

NAME: Final = "synthetic"


def experiment(options: SyntheticOptions) -> Experiment:
    """Lay out the cells of a run: per point of an axis what is exact, and one cell per seed."""
    cells = [cell for axis in options.chosen for cell in _cells(axis, options)]
    # What takes longest goes first, so that no worker is left with it in the end.
    cells.sort(key=lambda cell: -float(cell.config["cost"]))
    return Experiment(NAME, options.to_json(), cells, run_cell, summarise)


def _cells(name: str, options: SyntheticOptions) -> list[Cell]:
    if name not in TABULAR:
        return []
    cells = []
    for setting in tabular_axis(name, options.seed, options.quick).settings:
        shared = {"axis": name, "cell": setting.cell, "seed": options.seed, "quick": options.quick}
        exact_cost = (setting.dials.n_cells * setting.blocks) ** 3
        cells.append(
            Cell(f"{name}-{setting.cell}-exact", {**shared, "number": None, "cost": exact_cost})
        )
        cells += [
            Cell(
                f"{name}-{setting.cell}-seed{number}",
                {**shared, "number": number, "cost": setting.handoffs * setting.streams},
            )
            for number in range(options.repetitions)
        ]
    return cells


def run_cell(config: Mapping[str, Json]) -> Json:
    """Compute one cell."""
    axis = tabular_axis(config["axis"], config["seed"], config["quick"])
    setting = next(one for one in axis.settings if one.cell == config["cell"])
    found = (
        tabular.exact(setting)
        if config["number"] is None
        else tabular.one_seed(setting, config["seed"], config["number"])
    )
    return {"axis": config["axis"], "cell": config["cell"], "number": config["number"], **found}


def summarise(config: Mapping[str, Json], cells: Sequence[Json]) -> Summary:
    """Sum up a finished run."""
    return summary.summarise(config, cells)
