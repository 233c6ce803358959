"""The CPU experiment as the study runs it: each scenario is a module of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Final, cast

from batonq.base.extras import need
from batonq.base.files import Json
from batonq.study.experiment import Cell, Experiment, Summary
from batonq.tasks.cpu.listing import Listed
from batonq.tasks.cpu.options import CpuOptions

NAME: Final = "cpu"
JUDGES: Final = ("unicorn", "iced_x86", "z3")
MODULES: Mapping[str, str] = MappingProxyType(
    {"shared": "shared.scenario", "suite": "per_task.scenario"}
)


def experiment(options: CpuOptions) -> Experiment:
    """Lay out the cells of a run.

    Raises:
        BatonqError: for a judge that is not installed, or a task that cannot be read.
    """
    for judge in JUDGES:
        need(judge)
    module = _module(options.scenario)
    cells = cast(list[Cell], module.cells(options))
    config = {**options.to_json(), **module.identity(options)}
    return Experiment(NAME, config, cells, run_cell, summarise)


def run_cell(config: Mapping[str, Json]) -> Json:
    """Compute one cell."""
    return _module(config["scenario"]).run_cell(config)


def summarise(config: Mapping[str, Json], cells: Sequence[Json]) -> Summary:
    """Sum up a finished run."""
    return cast(Summary, _module(config["scenario"]).summarise(config, cells))


def programs(config: Mapping[str, Json], cells: Sequence[Json]) -> list[Listed]:
    """What learners and peers came to in the cells given, task by task."""
    return cast(list[Listed], _module(config["scenario"]).programs(cells))


def _module(scenario: str) -> ModuleType:
    return import_module(f"batonq.tasks.cpu.{MODULES[scenario]}")
