"""The parts of the report after the lines to reach."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final

import numpy as np
from matplotlib.figure import Figure

from batonq.study import figures
from batonq.study.experiment import Drawing, Section, Table
from batonq.study.figures import Curve
from batonq.study.gaps import realised
from batonq.study.graph import handoff_graph
from batonq.study.intervals import over_instances
from batonq.study.rows import Interval
from batonq.tasks.routing.triage.learning import COMPARED, DRAWN
from batonq.tasks.routing.triage.model import INTERFACES, LAST, OWN
from batonq.tasks.routing.triage.notes import TEXTS
from batonq.tasks.routing.triage.readings import (
    Output,
    Readings,
    Scores,
    monotone,
    oracle_scores,
    scores,
)

Line = tuple[str | float | Interval | None, ...]
NARROW: Final = ("feasible", *COMPARED, "centralised", "random")
TERMS: Final = ("approximation", "interface gap", "residual", "total", "policy loss")
KINDS: Final = ("measured", "estimate", "certificate")


def whole_scores(cells: Sequence[Output]) -> dict[str, Scores]:
    """Everybody with the whole ticket at one size."""
    names = [name for name in (*COMPARED, "centralised") if name in cells[0]["learners"]]
    found = {name: scores(cells, name) for name in ("icq", "fixed", *names[1:], "random")}
    return {"oracle": oracle_scores(cells), **found}


def learnt(readings: Readings) -> Table:
    """Every learner with the whole ticket, by size."""
    lines: list[Line] = []
    for size in readings.sizes("learn"):
        for name, scored in whole_scores(readings.of("learn", size)).items():
            found = scored.figures
            lines.append((size, name, found["value_ratio"], found["accuracy"], found["value"]))
    return Table(
        "Whole ticket, means over instances",
        ("size", "learner", "value over the oracle's", "accuracy", "value"),
        tuple(lines),
    )


def whole(readings: Readings) -> Section:
    """Values over sizes and over time."""
    sizes = readings.sizes("learn")
    models = []
    for size in sizes:
        cells, icq = readings.of("learn", size), scores(readings.of("learn", size), "icq")
        models.append(
            (
                size,
                cells[0]["states"],
                cells[0]["pairs"],
                cells[0]["points"][-1],
                float(icq.ratio.min()),
                float(icq.accuracy.min()),
            )
        )
    columns = ("size", "states", "pairs", "handoffs", "least value ratio", "least accuracy")
    return Section(
        "Whole ticket",
        TEXTS["whole"],
        (Table("Models, and the least of IC-Q over instances and seeds", columns, tuple(models)),),
        (
            Drawing(
                "triage-sizes",
                "Value over the oracle's against the number of facets; bands are over instances.",
                "IC-Q stays at 1 at every size; the other learners lie below.",
                partial(_over_sizes, readings),
            ),
            Drawing(
                "triage-learning",
                "Value of IC-Q's greedy policy over the oracle's while it learns, by size; bands "
                "are over instances.",
                "Every curve rises to 1.",
                partial(_over_time, readings),
            ),
        ),
    )


def _over_sizes(readings: Readings) -> Figure:
    sizes = readings.sizes("learn")
    by_size = [whole_scores(readings.of("learn", size)) for size in sizes]
    names = [name for name in by_size[-1] if name != "oracle"]
    shown = {
        name: Curve(
            np.array(sizes, float),
            np.stack([one[name].ratio.mean(axis=1) for one in by_size], axis=1),
        )
        for name in names
    }
    return figures.curves(shown, "facets", "value / oracle's", {"oracle": 1.0})


def _over_time(readings: Readings) -> Figure:
    shown = {}
    for size in readings.sizes("learn"):
        cells = readings.of("learn", size)
        ratios = [np.mean(cell["curve"], axis=0) / cell["oracle"]["value"] for cell in cells]
        share = 100 * np.array(cells[0]["points"]) / cells[0]["points"][-1]
        shown[f"size {size}, {cells[0]['points'][-1] / 1e6:g} M"] = Curve(share, np.array(ratios))
    return figures.curves(shown, "% of the handoffs", "value / oracle's")


def narrow(readings: Readings) -> Section:
    """Everybody behind the narrower interfaces."""
    lines = []
    for size in readings.sizes("narrow"):
        cells = readings.of("narrow", size)
        for interface in (LAST, OWN):
            for name in NARROW:
                found = scores(cells, name, interface).figures
                lines.append((size, interface, name, found["value_ratio"], found["accuracy"]))
    table = Table(
        "Narrower interfaces, means over instances",
        ("size", "interface", "learner", "value over the oracle's", "accuracy"),
        tuple(lines),
    )
    return Section("Narrower interfaces", TEXTS["narrow"], (table,))


def gap(readings: Readings) -> Section:
    """Predicted against realised, by size, and instance by instance."""
    sizes = readings.sizes("gaps")
    means, each = [], []
    for size in sizes:
        cells = readings.of("gaps", size)
        means += [_gap_means(size, cells, interface) for interface in INTERFACES]
        each += [_gap_of(cell, interface) for cell in cells for interface in INTERFACES]
    kinds = [
        f"{kind} {name}" for name in ("L2(mu)", "sup", "loss") for kind in ("exact", "realised")
    ]
    detail = ("L2(mu), exact", "realised", "bounds on sup", "sup, exact", "loss, exact", "monotone")
    return Section(
        "Interface gap, exact and realised",
        TEXTS["gap"],
        (
            Table("Means over instances", ("size", "interface", "cells", *kinds), tuple(means)),
            Table(
                "Instance by instance; intervals are over seeds",
                ("size", "instance", "interface", *detail),
                tuple(each),
            ),
        ),
        tuple(
            Drawing(
                f"triage-gap-size{size}",
                f"The gap in L2(mu) behind the nested interfaces, {size} facets: exact (line), and "
                "as the trained tables of each instance have it (points with 95 % intervals).",
                "Points lie on the lines, which rise from whole to own.",
                partial(_gap_figure, readings.of("gaps", size)),
            )
            for size in sizes
        ),
    )


def _gap_means(size: int, cells: Sequence[Output], interface: str) -> Line:
    pairs = []
    for name in ("rms", "sup", "loss"):
        pairs.append(over_instances(cell[interface]["predicted"][name] for cell in cells))
        pairs.append(over_instances(realised(cell, interface, name).value for cell in cells))
    return (size, interface, cells[0][interface]["cells"], *pairs)


def _gap_of(cell: Output, interface: str) -> Line:
    exact = cell[interface]["predicted"]
    holds = [name for name in ("rms", "sup", "loss") if monotone(cell, name)]
    return (
        cell["size"],
        cell["number"],
        interface,
        exact["rms"],
        realised(cell, interface, "rms"),
        f"{exact['low']:.3g} to {min(exact['high'], exact['resolvent']):.3g}",
        exact["sup"],
        exact["loss"],
        ", ".join(holds),
    )


def _gap_figure(cells: Sequence[Output]) -> Figure:
    return figures.gaps(
        [[cell[name]["predicted"]["rms"] for name in INTERFACES] for cell in cells],
        [[realised(cell, name, "rms") for name in INTERFACES] for cell in cells],
        INTERFACES,
        "interface",
    )


def terms(readings: Readings) -> Section:
    """The bound term by term."""
    lines = []
    for size in readings.sizes("terms"):
        cells = readings.of("terms", size)
        for interface in (name for name in INTERFACES if name in cells[0]):
            for term in TERMS:
                figures_of = (term_figure(cells, interface, term, kind) for kind in KINDS)
                missing = _missing(cells, interface, term)
                lines.append((size, interface, term, *figures_of, missing))
    table = Table(
        "Terms of the bound; a dash where no instance has the figure",
        ("size", "interface", "term", *KINDS, "not available"),
        tuple(lines),
    )
    return Section("The bound, term by term", TEXTS["terms"], (table,))


def term_figure(cells: Sequence[Output], interface: str, term: str, kind: str) -> Interval | None:
    """Mean of a figure over the instances that have it."""
    values = [cell[interface][term][kind]["value"] for cell in cells]
    known = [value for value in values if value is not None]
    return over_instances(known) if known else None


def _missing(cells: Sequence[Output], interface: str, term: str) -> str | None:
    """Of the estimate, on how many instances it is not available."""
    notes = [cell[interface][term]["estimate"] for cell in cells]
    tied = [one for one in notes if one["value"] is None and "two best" in one["note"]]
    return f"estimate: tied actions in {len(tied)} of {len(cells)}" if tied else None


def graph(readings: Readings) -> list[Section]:
    """The handoffs of one learnt policy, if it was kept."""
    kept = [cell for cell in readings.cells if "drawing" in cell]
    return [
        Section(
            "Who hands to whom",
            TEXTS["graph"],
            drawings=(
                Drawing(
                    "triage-graph",
                    f"Handoffs per request, {DRAWN[0]} facets, instance {DRAWN[1]}, first seed.",
                    "Agents on a circle with arrows from each to those it hands to.",
                    partial(
                        handoff_graph,
                        cell["drawing"]["agents"],
                        np.array(cell["drawing"]["flow"]),
                        np.array(cell["drawing"]["start"]),
                    ),
                ),
            ),
        )
        for cell in kept
    ]
