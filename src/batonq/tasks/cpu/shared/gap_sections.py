"""The gap of small workshops in the report: rows, tables and drawings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import numpy as np
from matplotlib.figure import Figure

from batonq.study import figures
from batonq.study.experiment import Drawing, Section, Table
from batonq.study.intervals import over_instances
from batonq.study.rows import Interval, Row
from batonq.tasks.cpu.options import SHARED
from batonq.tasks.cpu.shared.gap_lines import (
    MEASURES,
    Output,
    bounds_of,
    exact_of,
    gaps_of,
    had_of,
    right_of,
)
from batonq.tasks.cpu.shared.learning import VIEWS

LOOPS: Final = MappingProxyType({"uniform": "loop, uniform", "greedy": "loop, epsilon-greedy"})
TEXT: Final = (
    "Small workshops: up to 6 jobs of one crew with programs of at most 3 instructions, and a menu "
    "of just these. Every state (what is to be done, the machine's words on all vectors, the "
    "holder) is listed; a machine state that takes more than 3 instructions ends the workflow with "
    "nothing. Behind k vectors a holder sees the words and the wanted outputs on the first k. "
    "Exact: Q* - Qhat* o psi by exact solution under the uniform behaviour; value is "
    "gamma^duration, at most 1. Realised: the distance from Q* of tables that IC-Q learns behind "
    "the view; in L2(mu) the root of the mean product of two seeds' errors, the sup where the "
    "exact one is largest, the loss that of the greedy policy.\n\n"
    "The bounds on the sup are those of Proposition 1: from |eta| / (1 + beta) to the smaller of "
    "|eta| / (1 - beta) and the signed resolvent. |eta|^2 is also told by agents' own records, "
    "from a field they log but do not act on (the machine state): an estimate from below, as what "
    "was met fewer than 8 times does not count. It is over the agents whose records suffice, and "
    "so is the exact figure beside it. kappa is how long what a cell hides is remembered, in "
    "visits. The certificate is Theorem S, with the full view only: it needs a bound on what a "
    "view hides, which for a narrower one is nearly the whole range.\n\n"
    "Loop: the learning loop of E4B on the same jobs, which breaks off after a number of primitive "
    "steps instead of at a machine state; once with the uniform behaviour of the theory and once "
    "epsilon-greedy, as at full scale, where what IC-Q tends to behind a narrow view is another "
    "aggregated solution."
)


def rows(outputs: Sequence[Any]) -> tuple[Row, ...]:
    """Exact, realised and estimated figures by view, means over small workshops."""
    return tuple(_rows(gaps_of(outputs)))


def _rows(cells: Sequence[Output]) -> Iterator[Row]:
    for view in VIEWS if cells else ():
        for name in MEASURES:
            where = _setting(view, f"gap {name}")
            exact = over_instances(exact_of(cell, view, name) for cell in cells)
            yield exact.row(where, "icq", "term")
            yield over_instances(had_of(c, view, name).value for c in cells).row(
                where, "icq", "measured"
            )
        seen = [cell["views"][str(view)] for cell in cells]
        eta = _setting(view, "eta squared")
        yield over_instances(one["records"]["exact"] for one in seen).row(eta, "icq", "term")
        yield over_instances(one["records"]["square"] for one in seen).row(eta, "icq", "estimate")
        right, ratio = _setting(view, "jobs right"), _setting(view, "value of jobs")
        for where, name in ((right, "right"), (ratio, "ratio")):
            told = over_instances(one["predicted"][name] for one in seen)
            yield told.row(where, "icq", "term")
            for how in ("uniform", "greedy"):
                had = over_instances(np.mean(one["loop"][how][name]) for one in seen)
                yield had.row({**where, "behaviour": how}, "icq", "measured")
        residual = over_instances(np.mean(one["realised"]["residual"]) for one in seen)
        yield residual.row(_setting(view, "residual"), "icq", "measured")
    proved = [one["certificate"]["loss"] for one in cells if isinstance(one["certificate"], dict)]
    if proved:
        where = _setting(VIEWS[0], "policy loss")
        yield over_instances(proved).row(where, "icq", "certificate")


def _setting(view: int, of: str) -> dict[str, str | int | float | bool | None]:
    return {"scenario": SHARED, "part": "small workshops", "vectors": view, "of": of}


def sections(
    outputs: Sequence[Any], measured: Mapping[int, Interval] | None = None
) -> tuple[Section, ...]:
    """The part of the report on the gap.

    Args:
        outputs: of the run; those of other kinds are passed over.
        measured: by number of vectors, the share of jobs proved at full scale, to be drawn beside
            what the small workshops foretell.
    """
    cells = gaps_of(outputs)
    if not cells:
        return ()
    drawings = (
        Drawing(
            "shared-gap",
            "The gap in L2(mu) behind 16, 8, 4, 2 and 1 vectors, one colour a small workshop: "
            "exact (lines), and as trained tables have it (points with 95 % intervals).",
            "Points lie on the lines, which rise from 16 vectors to 1.",
            partial(_gap_figure, cells),
        ),
        Drawing(
            "shared-gap-foretold",
            "Share of jobs done behind each view, means over small workshops: foretold by the "
            "aggregated solution, had by the learning loop, and, where it was run, at full scale.",
            "All curves fall from 1 at 16 vectors; the loop's lie near the foretold one.",
            partial(_foretold, cells, dict(measured or {})),
        ),
    )
    tables = (_means(cells), _instances(cells), _terms(cells), _loops(cells))
    return (Section("Interface gap: small workshops, exactly", TEXT, tables, drawings),)


def _means(cells: Sequence[Output]) -> Table:
    told = []
    for view in VIEWS:
        figures_of: list[Interval] = []
        for name in MEASURES:
            figures_of.append(over_instances(exact_of(cell, view, name) for cell in cells))
            figures_of.append(over_instances(had_of(cell, view, name).value for cell in cells))
        told.append((view, *figures_of))
    kinds = [f"{kind} {name}" for name in ("L2(mu)", "sup", "loss") for kind in ("exact", "had")]
    return Table("Gap: means over small workshops", ("vectors", *kinds), tuple(told))


def _instances(cells: Sequence[Output]) -> Table:
    told = []
    for cell in cells:
        for view in VIEWS:
            low, high = bounds_of(cell, view)
            told.append(
                (
                    f"{cell['number']}, {cell['crew']}",
                    view,
                    cell["views"][str(view)]["cells"],
                    exact_of(cell, view, "rms"),
                    had_of(cell, view, "rms"),
                    f"{low:.3g} to {high:.3g}",
                    exact_of(cell, view, "sup"),
                    had_of(cell, view, "sup"),
                    exact_of(cell, view, "loss"),
                    had_of(cell, view, "loss"),
                )
            )
    columns = ("workshop", "vectors", "cells", "L2(mu)", "had", "bounds on sup", "sup", "had")
    return Table("One by one; intervals are over seeds", (*columns, "loss", "had"), tuple(told))


def _terms(cells: Sequence[Output]) -> Table:
    """What the terms are made of; ends of ranges over workshops where they differ."""
    told = []
    for view in VIEWS:
        seen = [cell["views"][str(view)] for cell in cells]
        kappas = [one["memory"]["kappa"] for one in seen if isinstance(one["memory"], dict)]
        inflations = [one["records"]["inflation"] for one in seen if one["records"]["inflation"]]
        covered = np.mean([one["records"]["covered"] for one in seen])
        proved = [
            cell["certificate"]["loss"]
            for cell in cells
            if view == VIEWS[0] and isinstance(cell["certificate"], dict)
        ]
        told.append(
            (
                view,
                over_instances(one["records"]["exact"] for one in seen),
                over_instances(one["records"]["square"] for one in seen),
                f"{covered:.0%}",
                over_instances(np.mean(one["realised"]["residual"]) for one in seen),
                _range(kappas),
                _range(inflations),
                over_instances(proved) if proved else None,
            )
        )
    columns = (
        "vectors",
        "|eta|^2, exact",
        "from records",
        "records told of",
        "residual of the run",
        "kappa",
        "variance inflated by memory",
        "policy loss, certified",
    )
    mixing = _range([cell["mixing"] for cell in cells if not isinstance(cell["mixing"], str)])
    caption = (
        f"Terms. {_range([cell['states'] for cell in cells])} states, mixing time {mixing} epochs; "
        "memory is computed for models of at most 2,000 states"
    )
    return Table(caption, columns, tuple(told))


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.3g} to {max(values):.3g}" if values else "-"


def _loops(cells: Sequence[Output]) -> Table:
    told = []
    for view in VIEWS:
        seen = [cell["views"][str(view)] for cell in cells]
        figures_of = [
            over_instances(np.mean(part[name]) for part in parts)
            for name in ("right", "ratio")
            for parts in (
                [one["predicted"] for one in seen],
                [one["loop"]["uniform"] for one in seen],
                [one["loop"]["greedy"] for one in seen],
            )
        ]
        told.append((view, *figures_of))
    kinds = [
        f"{name}, {kind}"
        for name in ("right", "value ratio")
        for kind in ("foretold", *LOOPS.values())
    ]
    return Table(
        "Share of jobs right, and value over the optimum's: foretold, and in the learning loop",
        ("vectors", *kinds),
        tuple(told),
    )


def _gap_figure(cells: Sequence[Output]) -> Figure:
    return figures.gaps(
        [[exact_of(cell, view, "rms") for view in VIEWS] for cell in cells],
        [[had_of(cell, view, "rms") for view in VIEWS] for cell in cells],
        [str(view) for view in VIEWS],
        "vectors seen",
    )


def _foretold(cells: Sequence[Output], measured: Mapping[int, Interval]) -> Figure:
    groups = {"foretold": [_right(cells, view, "predicted") for view in VIEWS]}
    for how in ("uniform", "greedy"):
        groups[LOOPS[how]] = [_right(cells, view, "loop", how) for view in VIEWS]
    if all(view in measured for view in VIEWS):
        groups["full scale, proved"] = [measured[view] for view in VIEWS]
    points = {
        name: [(Interval(float(k)), one) for k, one in enumerate(found)]
        for name, found in groups.items()
    }
    figure = figures.frontier(points, "vectors seen", "share of jobs done")
    figure.axes[0].set_xticks(range(len(VIEWS)), [str(view) for view in VIEWS])
    figure.axes[0].set_ylim(-0.05, 1.05)
    return figure


def _right(cells: Sequence[Output], view: int, *part: str) -> Interval:
    """Share of jobs done behind a view, mean over small workshops."""
    return over_instances(right_of(cell, view, *part) for cell in cells)
