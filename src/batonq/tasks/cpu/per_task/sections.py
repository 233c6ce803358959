"""The parts of the report after the lines to reach."""

from __future__ import annotations

from functools import partial
from typing import Final

import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure

from batonq.study import figures
from batonq.study.experiment import Drawing, Section, Table
from batonq.study.figures import Curve
from batonq.study.rows import Interval
from batonq.tasks.cpu.drawing import Options, handoffs
from batonq.tasks.cpu.per_task.notes import TEXTS
from batonq.tasks.cpu.per_task.readings import GROUPS, Output, Readings

Line = tuple[str | float | Interval | None, ...]
N_POINTS: Final = 25
DRAWN: Final = 12  # programs in one drawing of handoffs
FEWEST: Final = 100  # handoffs at which the curve begins
TIMED: Final = ("icq", "random")  # whose handoffs are told task by task


def points(budget: int) -> Float[np.ndarray, " point"]:
    """Numbers of handoffs, evenly spaced on a logarithmic scale, up to the budget."""
    return np.geomspace(min(FEWEST, budget), budget, N_POINTS)


def shares(readings: Readings) -> Table:
    """Everybody's share of tasks proved, by set and by length."""
    lines: list[Line] = [
        (
            menu,
            who,
            *(readings.share(menu, who, group) for group in GROUPS),
            readings.spent(menu, who) if who != "sygus" else None,
        )
        for menu in readings.sets
        for who in readings.who(menu)
    ]
    columns = ("set", "learner", *GROUPS, "median spent where proved")
    return Table("Share of tasks proved", columns, tuple(lines))


def curves(readings: Readings, budget: int) -> Section:
    """Share proved against handoffs."""
    drawings = tuple(
        Drawing(
            f"suite-curve-{menu}",
            f"Share of tasks proved within a number of handoffs, instructions: {menu}; bands are "
            "over seeds.",
            "Curves rise with the number of handoffs and level off; breadth_first's rises first.",
            partial(_curves, readings, menu, budget),
        )
        for menu in readings.sets
    )
    return Section("Proved against handoffs", TEXTS["curve"], drawings=drawings)


def _curves(readings: Readings, menu: str, budget: int) -> Figure:
    at = points(budget)
    shown = {
        who: Curve(at, readings.curve(menu, who, at))
        for who in readings.who(menu)
        if who != "sygus"
    }
    figure = figures.curves(shown, "handoffs, or instructions executed", "share proved")
    figure.axes[0].set_xscale("log")
    return figure


def programs(readings: Readings) -> Section:
    """Programs of IC-Q beside the references."""
    lines: list[Line] = []
    for menu in readings.sets:
        for task in readings.tasks(menu):
            best = readings.best(menu, "icq", task["name"])
            trials = readings.trials(menu, "icq", task["name"])
            lines.append(
                (
                    task["name"],
                    menu,
                    _listed(task["reference"]),
                    _listed(best["program"]) if best else _why(trials[0]["note"]),
                    "; ".join(best["writers"]) if best else None,
                    float(best["duration"]) if best else None,
                    float(task["duration"]) if task["reference"] else None,
                )
            )
    columns = ("program", "set", "reference", "found", "writers", "duration", "reference's")
    table = Table("Found by IC-Q, beside the reference", columns, tuple(lines))
    drawings = tuple(
        Drawing(
            f"suite-handoffs-{menu}",
            f"How control went round while IC-Q's agents wrote, instructions: {menu}; of the "
            f"programs proved the {DRAWN} with most options.",
            "Agents of several classes take turns; most hand on after one line.",
            partial(handoffs, shown),
        )
        for menu in readings.sets
        if (shown := _rounds(readings, menu))
    )
    return Section("Programs", TEXTS["programs"], (table,), drawings)


def _rounds(readings: Readings, menu: str) -> dict[str, Options]:
    """Options of IC-Q's programs, the longest ones, in the order of the tasks."""
    found = {
        task["name"]: best["options"]
        for task in readings.tasks(menu)
        if (best := readings.best(menu, "icq", task["name"])) and best["options"]
    }
    kept = sorted(found, key=lambda name: -len(found[name]))[:DRAWN]
    return {name: options for name, options in found.items() if name in kept}


def _listed(program: str) -> str | None:
    return program.replace("\n", "; ") or None


def _why(note: str) -> str:
    return f"unsolved: {note}"


def lengths(readings: Readings) -> Section:
    """Shares by the exact length of the reference."""
    lines: list[Line] = []
    for menu in readings.sets:
        for length in sorted({task["length"] for task in readings.tasks(menu)}):
            names = [task["name"] for task in readings.tasks(menu) if task["length"] == length]
            for who in readings.who(menu):
                found = [
                    one["proved"] for name in names for one in readings.trials(menu, who, name)
                ]
                lines.append((menu, length, len(names), who, sum(found) / len(found)))
    columns = ("set", "length", "tasks", "learner", "proved")
    table = Table("Share proved by length, over tasks and seeds", columns, tuple(lines))
    return Section("By length", TEXTS["lengths"], (table,))


def tasks(readings: Readings) -> Section:
    """Every task, everybody."""
    return Section(
        "Task by task", TEXTS["tasks"], tuple(_by_task(readings, menu) for menu in readings.sets)
    )


def _by_task(readings: Readings, menu: str) -> Table:
    everybody = readings.who(menu)
    lines: list[Line] = []
    for task in readings.tasks(menu):
        told = [_seeds(readings, menu, who, task) for who in everybody]
        times = [_median(readings, menu, who, task) for who in TIMED]
        lines.append((task["name"], task["title"], task["length"], task["menu"], *told, *times))
    columns = ("program", "title", "length", "instructions", *everybody)
    return Table(
        f"Seeds with a proof, {menu}",
        (*columns, *(f"handoffs of {who}" for who in TIMED)),
        tuple(lines),
    )


def _seeds(readings: Readings, menu: str, who: str, task: Output) -> str:
    found = [one["proved"] for one in readings.trials(menu, who, task["name"])]
    return f"{sum(found)}/{len(found)}"


def _median(readings: Readings, menu: str, who: str, task: Output) -> float | None:
    spent = [one["spent"] for one in readings.trials(menu, who, task["name"]) if one["proved"]]
    return float(np.median(spent)) if spent else None
