"""The scenario "triage" as the routing experiment runs it: cells, their work, and the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

from batonq.base.files import Json
from batonq.study.experiment import Cell, Summary
from batonq.tasks.routing.options import RoutingOptions
from batonq.tasks.routing.triage import settings, summary
from batonq.tasks.routing.triage.gaps import gaps, terms
from batonq.tasks.routing.triage.learning import learn, narrow


def cells(options: RoutingOptions) -> list[Cell]:
    """One cell per kind of work, size and instance; what takes longest goes first."""
    quick = options.quick
    plan = {
        "learn": settings.QUICK_SIZES if quick else settings.SIZES,
        "narrow": settings.NARROW_SIZES,
        "gaps": settings.QUICK_GAP_SIZES if quick else settings.GAP_SIZES,
        "terms": settings.QUICK_GAP_SIZES if quick else settings.TERM_SIZES,
    }
    work = [
        (kind, size, number)
        for kind, sizes in plan.items()
        for size in sizes
        for number in range(settings.instances(quick))
    ]
    work.sort(key=lambda one: -one[1])
    return [
        Cell(
            f"{kind}-size{size}-instance{number}",
            {
                "scenario": options.scenario,
                "kind": kind,
                "size": size,
                "number": number,
                "seeds": options.repetitions,
                "seed": options.seed,
                "quick": quick,
            },
        )
        for kind, size, number in work
    ]


def identity(_options: RoutingOptions) -> dict[str, Json]:
    """Nothing else: the instances are drawn from the seed."""
    return {}


def run_cell(config: Mapping[str, Json]) -> Json:
    """Compute one cell."""
    kind, size, number = config["kind"], config["size"], config["number"]
    given = (size, number, config["seeds"], config["seed"])
    work: dict[str, Callable[[], dict[str, Json]]] = {
        "learn": lambda: learn(*given),
        "narrow": lambda: narrow(*given),
        "gaps": lambda: gaps(*given, config["quick"]),
        "terms": lambda: terms(*given, config["quick"]),
    }
    return {"kind": kind, "size": size, "number": number, **work[kind]()}


def summarise(config: Mapping[str, Json], outputs: Sequence[Json]) -> Summary:
    """Sum up a finished run."""
    return summary.summarise(config, cast(Sequence[dict[str, Any]], outputs))
