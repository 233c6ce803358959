"""Held-out tasks as a part of the scenario "shared": cells, rows, lines to reach and sections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from batonq.base.files import Json
from batonq.study.experiment import Cell, Section, Table
from batonq.study.intervals import bootstrap, over_questions, over_seeds
from batonq.study.lines import Line
from batonq.study.rows import Interval, Row, Scalar
from batonq.tasks.cpu.heldout import work
from batonq.tasks.cpu.options import CpuOptions

Output = Mapping[str, Any]

FIRST: Final = 100  # seeds below were looked at while settings were chosen
SHOPS: Final = ("bits", "mean", "sign", "order")
# (network, visible vectors): all with the first, then what is varied one by one.
POINTS: Final = (
    ("32 neurons", 16),
    ("32 neurons", 4),
    ("32 neurons", 1),
    ("linear", 16),
    ("one step", 16),
)
QUICK_SHOPS: Final = ("bits", "sign")
QUICK_POINTS: Final = (("32 neurons", 16), ("32 neurons", 1))
FULL: Final[Mapping[str, Json]] = {
    "training": 250,
    "held_out": 30,
    "handoffs": 400_000,
    "goes_on": 4_000,
}
QUICK: Final[Mapping[str, Json]] = {
    "training": 100,
    "held_out": 8,
    "handoffs": 60_000,
    "goes_on": 1_000,
}
SETS: Final = {"training": "trained on", "held_out": "held out", "named": "named"}
WAYS: Final = ("trained", "untrained", "random")
GOES_ON: Final = ("trained", "scratch", "table", "random")
WHERE: Final = "held out"

TEXT: Final = (
    "One set of networks for each crew, trained on drawn tasks, then given tasks it has never "
    "met. All functions that up to 5 instructions of the crew's menu leave in eax are listed with "
    "their shortest programs; a quarter is held out, and so are all functions of the named jobs, "
    "which were chosen by hand. Training draws from the rest, up to 4 instructions, 250 jobs of "
    "each length. Functions of 5 instructions are longer than any trained on.\n\n"
    "An agent works out what each of its own instructions would leave, and sees how that is "
    "related to the wanted output: equal words and bits, and whether one operation, or two after "
    "another, of arithmetic, logic, shifting or selection, would give it. Such relations are "
    "general knowledge of words, put in by us: 'one step' has those of one operation only. Which "
    "instructions others have is learnt through quotes alone. A tabular agent has no row for a "
    "state it has not met, hence proves no held-out task.\n\n"
    "Proved: Z3 proves a program that was right on all test vectors; 'of 10' takes one greedy "
    "attempt and nine in which every fifth action is any permitted one. Random agents have as many "
    "attempts; untrained ones have random weights. Two intervals: over seeds, each of which draws "
    "tasks and networks of its own; and over tasks, by the bootstrap (a named task's figure is its "
    "mean over seeds)."
)
GOING_ON: Final = (
    "Learning goes on with one held-out task at a time, until a workflow first ends with every "
    "test right. 'scratch' begins with new networks; 'table' is tabular IC-Q with its usual hope; "
    "'random' acts at random. Where a task is not solved in the budget, the budget is counted, "
    "which flatters the slower. Intervals are over tasks, paired."
)


def plan(options: CpuOptions) -> list[Cell]:
    """A cell for each crew, network, view and seed."""
    quick = options.quick
    return [
        Cell(
            f"heldout-{shop}-{network.replace(' ', '_')}-vectors{vectors}-seed{number}",
            {
                "scenario": options.scenario,
                "kind": "heldout",
                "shop": shop,
                "network": network,
                "vectors": vectors,
                "number": FIRST + options.seed + number,
                **(QUICK if quick else FULL),
            },
        )
        for network, vectors in (QUICK_POINTS if quick else POINTS)
        for shop in (QUICK_SHOPS if quick else SHOPS)
        for number in range(options.repetitions)
    ]


def compute(config: Mapping[str, Json]) -> Json:
    """Compute one cell."""
    return work.compute(config)


def points(outputs: Sequence[Output]) -> list[tuple[str, int]]:
    """The networks and views that there are, in order."""
    return list(dict.fromkeys((one["network"], one["vectors"]) for one in outputs))


def proved(
    outputs: Sequence[Output], point: tuple[str, int], of: str, way: str, tries: int
) -> list[tuple[int, str, int, float]]:
    """(seed, task, shortest length, whether proved) of every job of a set; `tries` 0: one, 1: 10.

    A named task has one name for all seeds, a drawn one a name in each seed.
    """
    found = []
    for one in outputs:
        if (one["network"], one["vectors"]) == point:
            scored, seed = one["sets"][of], one["number"]
            for name, length, both in zip(
                scored["names"], scored["shortest"], scored[way], strict=True
            ):
                known = name if of == "named" else f"{seed}-{name}"
                found.append((seed, known, length, float(both[tries])))
    return found


def seeds_and_tasks(jobs: Sequence[tuple[int, str, int, float]]) -> tuple[Interval, Interval]:
    """The share of jobs, with its interval over seeds and over tasks."""
    return over_seeds(_means(jobs, 0)), _over_tasks(_means(jobs, 1))


def _means(jobs: Sequence[tuple[int, str, int, float]], by: int) -> Float[np.ndarray, " _"]:
    groups: dict[Any, list[float]] = {}
    for job in jobs:
        groups.setdefault(job[by], []).append(job[3])
    return np.array([np.mean(group) for group in groups.values()])


def _over_tasks(values: Float[np.ndarray, " task"]) -> Interval:
    if np.ptp(values) == 0.0:
        value = float(values[0])
        return Interval(value, value, value, len(values), "instances")
    return replace(over_questions(values), n_kind="instances")


def _lengths(jobs: Sequence[tuple[int, str, int, float]]) -> list[int]:
    return sorted({job[2] for job in jobs}, key=lambda length: (length == 0, length))


def _shown(length: int) -> str:
    return str(length) if length else f"over {work.LONGEST}"


def rows(outputs: Sequence[Output]) -> tuple[Row, ...]:
    """Shares proved, by network, view, set, shortest length and attempts."""
    found = []
    for network, vectors in points(outputs):
        for of in SETS:
            for way in WAYS:
                learner = "random" if way == "random" else "icq_neural"
                for tries, attempts in ((0, 1), (1, work.TRIES)):
                    jobs = proved(outputs, (network, vectors), of, way, tries)
                    setting: dict[str, Scalar] = {
                        "scenario": "shared",
                        "vectors": vectors,
                        "split": of,
                        "network": network if way == "trained" else way,
                        "attempts": attempts,
                    }
                    for length in (None, *_lengths(jobs)):
                        some = [job for job in jobs if length in (None, job[2])]
                        shown = "all" if length is None else _shown(length)
                        over = seeds_and_tasks(some)[0]
                        found.append(over.row({**setting, "shortest": shown}, learner, "proved"))
    return tuple(found)


def lines(outputs: Sequence[Output]) -> tuple[Line, ...]:
    """What was hoped for of held-out tasks, at the first network and view."""
    point = points(outputs)[0]
    found = []
    for of in ("held_out", "named"):
        greedy = proved(outputs, point, of, "trained", 0)
        chance = proved(outputs, point, of, "random", 1)
        better = over_seeds(_means(greedy, 0) - _means(chance, 0))
        found.append(
            Line(
                WHERE,
                f"{SETS[of]}: proved at the first attempt, less random with {work.TRIES}",
                better,
                "above 0",
                (better.value if better.low is None else better.low) > 0.0,
                "means over all lengths; over seeds",
            )
        )
    ratio = _ratio(_going_on(outputs, point), "table")
    found.append(
        Line(
            WHERE,
            "handoffs until a held-out task is solved: tables from scratch over networks",
            ratio,
            "above 1",
            (ratio.value if ratio.low is None else ratio.low) > 1.0,
            "budget counted where unsolved; over tasks",
        )
    )
    return tuple(found)


def sections(outputs: Sequence[Output]) -> tuple[Section, ...]:
    """What generalises, and how much sooner held-out tasks are solved."""
    return (
        Section("Held-out tasks", TEXT, tuple(_table(outputs, point) for point in points(outputs))),
        Section(
            "Held-out tasks: learning goes on",
            GOING_ON,
            tuple(_going_on_table(outputs, point) for point in points(outputs)),
        ),
    )


def _table(outputs: Sequence[Output], point: tuple[str, int]) -> Table:
    shown: list[tuple[str | float | Interval | None, ...]] = []
    for of, title in SETS.items():
        scored = {
            (way, tries): proved(outputs, point, of, way, tries) for way in WAYS for tries in (0, 1)
        }
        for length in _lengths(scored["trained", 0]):
            some = {key: [job for job in jobs if job[2] == length] for key, jobs in scored.items()}
            over, tasks = seeds_and_tasks(some["trained", 0])
            rest = [seeds_and_tasks(jobs)[0].value for jobs in list(some.values())[2:]]
            several = seeds_and_tasks(some["trained", 1])[0]
            count = len({job[1] for job in some["trained", 0]})
            shown.append((title, _shown(length), count, over, tasks, several, *rest))
    return Table(
        f"Share proved: {point[0]}, {point[1]} visible vectors",
        (
            "tasks",
            "shortest",
            "number",
            "trained",
            "the same, over tasks",
            "trained, of 10",
            "untrained",
            "untrained, of 10",
            "random",
            "random, of 10",
        ),
        tuple(shown),
    )


def _going_on(outputs: Sequence[Output], point: tuple[str, int]) -> dict[str, np.ndarray]:
    """Handoffs by way, and lengths, of all held-out tasks on which learning went on."""
    some = [one["transfer"] for one in outputs if (one["network"], one["vectors"]) == point]
    return {
        name: np.concatenate([np.array(one[name], float) for one in some])
        for name in ("shortest", *GOES_ON)
    }


def _ratio(times: Mapping[str, Float[np.ndarray, " task"]], way: str) -> Interval:
    """Geometric mean over tasks of the handoffs of `way` over those of trained networks."""
    logs = np.log(times[way] / times["trained"])
    if np.ptp(logs) == 0.0:
        return Interval(float(np.exp(logs[0])), None, None, len(logs), "instances")
    return replace(bootstrap(_geometric, logs), n_kind="instances")


def _geometric(logs: np.ndarray, axis: int) -> Any:
    """Geometric mean of what these are the logarithms of."""
    return np.exp(np.mean(logs, axis=axis))


def _going_on_table(outputs: Sequence[Output], point: tuple[str, int]) -> Table:
    times = _going_on(outputs, point)
    budget = max(float(times[name].max()) for name in GOES_ON)
    shown: list[tuple[str | float | Interval | None, ...]] = []
    for length in np.unique(times["shortest"]).tolist():
        some = {name: values[times["shortest"] == length] for name, values in times.items()}
        medians = [float(np.median(some[name])) for name in GOES_ON]
        solved = [float(np.mean(some[name] < budget)) for name in GOES_ON]
        ratios = [_ratio(some, name) for name in GOES_ON[1:]]
        shown.append((int(length), len(some["trained"]), *medians, *solved, *ratios))
    return Table(
        f"{point[0]}, {point[1]} visible vectors; budget {budget:g} handoffs",
        (
            "shortest",
            "tasks",
            *(f"median, {name}" for name in GOES_ON),
            *(f"solved, {name}" for name in GOES_ON),
            *(f"{name} / trained" for name in GOES_ON[1:]),
        ),
        tuple(shown),
    )
