"""The routing experiment as the study runs it: each scenario is a module of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Final, cast

from batonq.base.files import Json
from batonq.study.experiment import Cell, Experiment, Summary
from batonq.tasks.routing.options import RoutingOptions

NAME: Final = "routing"
MODULES: Mapping[str, str] = MappingProxyType(
    {
        "triage": "triage.scenario",
        "static": "networks.paths",
        "jitter": "networks.paths",
        "load": "networks.load",
        "failure": "networks.change",
        "shift": "networks.change",
    }
)


def experiment(options: RoutingOptions) -> Experiment:
    """Lay out the cells of a run.

    Raises:
        BatonqError: for a network that cannot be read.
    """
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


def _module(scenario: str) -> ModuleType:
    return import_module(f"batonq.tasks.routing.{MODULES[scenario]}")
