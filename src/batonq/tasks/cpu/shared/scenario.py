"""The scenario "shared" as the CPU experiment runs it: its parts, their cells, and the report.

A part is a module with `plan(options)`, `compute(config)`, `lines(outputs)`, `rows(outputs)` and
`sections(outputs)`, the last three given the outputs of its own cells. `PARTS` says which of
them computes a kind of cell.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from importlib import import_module
from types import MappingProxyType, ModuleType
from typing import Any, Final, cast

from batonq.base.files import Json
from batonq.study.experiment import Cell, Summary
from batonq.tasks.cpu.files import to_table
from batonq.tasks.cpu.listing import Listed
from batonq.tasks.cpu.options import SHARED, CpuOptions
from batonq.tasks.cpu.shared import learning, summary
from batonq.tasks.cpu.shared.workshop import workshop

PARTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "learn": "shared.learning",
        "optimum": "shared.learning",
        "gap": "shared.gap",
        "heldout": "heldout.study",
    }
)


def cells(options: CpuOptions) -> list[Cell]:
    """The cells of all parts."""
    modules = list(dict.fromkeys(PARTS.values()))
    return [
        Cell(cell.key, {"scenario": options.scenario, **cell.config})
        for name in modules
        for cell in cast(list[Cell], _module(name).plan(options))
    ]


def identity(options: CpuOptions) -> dict[str, Json]:
    """A digest of the jobs, and the budget."""
    jobs = workshop(options.quick)
    text = repr((jobs.crews, jobs.jobs, jobs.vectors.tolist()))
    return {
        "jobs": sha256(text.encode()).hexdigest(),
        "handoffs": learning.QUICK_HANDOFFS if options.quick else learning.HANDOFFS,
    }


def run_cell(config: Mapping[str, Json]) -> Json:
    """Compute one cell."""
    return _module(PARTS[config["kind"]]).compute(config)


def summarise(config: Mapping[str, Json], outputs: Sequence[Json]) -> Summary:
    """Sum up a finished run."""
    return summary.summarise(config, cast(Sequence[dict[str, Any]], outputs))


def programs(outputs: Sequence[Json]) -> list[Listed]:
    """The program of every job, learner and seed, in the order of the cells."""
    by_number = {
        len(jobs.jobs): [(job.task.name, to_table(job.task)) for job in jobs.jobs]
        for jobs in (workshop(), workshop(quick=True))
    }
    return [
        Listed(
            name=name,
            scenario=SHARED,
            where=f"vectors{cell['view']}",
            learner=cell["learner"],
            seed=cell["number"],
            task=table,
            program=one["program"],
            options=tuple((agent, what) for agent, what in one["options"]),
            verdict=one["verdict"],
            handoffs=cell["handoffs"],
        )
        for cell in outputs
        if cell["kind"] == "learn"
        for one, (name, table) in zip(
            cell["programs"], by_number[len(cell["programs"])], strict=True
        )
    ]


def _module(name: str) -> ModuleType:
    return import_module(f"batonq.tasks.cpu.{name}")
