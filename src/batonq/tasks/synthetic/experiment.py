"""The synthetic experiment as the study runs it: cells, their work, and the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from batonq.base.files import Json
from batonq.study.experiment import Cell, Experiment, Summary
from batonq.tasks.synthetic import summary
from batonq.tasks.synthetic.axes import NEURAL, axis_named
from batonq.tasks.synthetic.known import exact
from batonq.tasks.synthetic.network import neural_seed, width_seed, widths
from batonq.tasks.synthetic.options import WIDTH, SyntheticOptions
from batonq.tasks.synthetic.tabular import one_seed

NAME: Final = "synthetic"


def experiment(options: SyntheticOptions) -> Experiment:
    """Lay out the cells of a run: per point of an axis what is exact, and one cell per seed."""
    cells = [cell for axis in options.parts for cell in _cells(axis, options)]
    # What takes longest goes first, so that no worker is left with it in the end.
    cells.sort(key=lambda cell: -float(cell.config["cost"]))
    return Experiment(NAME, options.to_json(), cells, run_cell, summarise)


def _cells(name: str, options: SyntheticOptions) -> list[Cell]:
    shared = {"axis": name, "seed": options.seed, "quick": options.quick}
    numbers = range(options.repetitions)
    if name == WIDTH:
        return [
            Cell(
                f"width-m={width}-seed{number}",
                {**shared, "cell": f"m={width}", "width": width, "number": number, "cost": 0},
            )
            for width in widths(options.quick)
            for number in numbers
        ]
    cells = []
    for setting in axis_named(name, options.seed, options.quick).settings:
        point = {**shared, "cell": setting.cell}
        exact_cost = (setting.dials.n_cells * setting.blocks) ** 3
        cells.append(
            Cell(f"{name}-{setting.cell}-exact", {**point, "number": None, "cost": exact_cost})
        )
        cells += [
            Cell(
                f"{name}-{setting.cell}-seed{number}",
                {**point, "number": number, "cost": setting.handoffs * setting.streams},
            )
            for number in numbers
        ]
    return cells


def run_cell(config: Mapping[str, Json]) -> Json:
    """Compute one cell."""
    return {**{key: config[key] for key in ("axis", "cell", "number")}, **_computed(config)}


def _computed(config: Mapping[str, Json]) -> dict[str, Json]:
    name, seed, number = config["axis"], config["seed"], config["number"]
    if name == WIDTH:
        return width_seed(seed, number, config["width"])
    settings = axis_named(name, seed, config["quick"]).settings
    setting = next(one for one in settings if one.cell == config["cell"])
    if number is None:
        return exact(setting, certified=name != NEURAL)
    return neural_seed(setting, seed, number) if name == NEURAL else one_seed(setting, seed, number)


def summarise(config: Mapping[str, Json], cells: Sequence[Json]) -> Summary:
    """Sum up a finished run."""
    return summary.summarise(config, cells)
