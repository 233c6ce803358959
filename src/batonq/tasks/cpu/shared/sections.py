"""What the outputs of the workshop come to, and the parts of the report made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, Final

import numpy as np
from jaxtyping import Bool, Float, Int
from matplotlib.figure import Figure

from batonq.study import figures
from batonq.study.experiment import Drawing, Section, Table
from batonq.study.figures import Curve
from batonq.study.intervals import over_seeds
from batonq.study.rows import Interval
from batonq.tasks.cpu.drawing import handoffs
from batonq.tasks.cpu.learning.learn import GAMMA
from batonq.tasks.cpu.shared.learning import OTHERS, VIEWS

Output = dict[str, Any]
Cells = tuple[str | float | Interval | None, ...]
FULL: Final = VIEWS[0]
SHOWN: Final = 6  # programs printed in the report
DRAWN: Final = 12  # programs of which is drawn how control went round

TEXT: Final = (
    "One set of agents learns all jobs at once: each job is a task, a placement of its inputs and "
    "a crew. The interface is how many of the 16 test vectors an agent sees. A job counts as "
    "proved if the program written for it greedily is right on the 16 vectors, proved by Z3 for "
    "all inputs, and right on 256 fresh inputs in Unicorn. The value of a job is gamma^(primitive "
    "steps), 0 where not proved; the feasible optimum is that of the cheapest program over "
    "machine and agents, found by exact search and proved.\n\n"
    "The centralised learner is one agent that sees all vectors and writes every instruction; "
    "its value is over its own optimum, as it need not begin with the first agent. Random agents "
    "draw every action; each job gets an equal share of the same number of handoffs, and its first "
    "program that counts is kept: a search with restarts that is told when to stop, not a policy."
)


@dataclass(frozen=True, eq=False)
class Scores:
    """A learner behind a view: what the programs of each seed are worth.

    Attributes:
        points: handoffs at which programs were judged.
        duration: primitive steps of each proved program, 0 where none.
        best: primitive steps of the optimum.
    """

    points: Int[np.ndarray, " point"]
    duration: Int[np.ndarray, "seed point job"]
    best: Int[np.ndarray, " job"]

    @property
    def proved(self) -> Bool[np.ndarray, "seed point job"]:
        """Whether a job counts as done."""
        return self.duration > 0

    @property
    def optimal(self) -> Bool[np.ndarray, "seed point job"]:
        """Whether its program is as cheap as any."""
        return self.proved & (self.duration <= self.best)

    @property
    def ratio(self) -> Float[np.ndarray, "seed point job"]:
        """Value over the feasible optimum's."""
        lost = np.where(self.proved, self.duration - self.best, 0)
        return np.where(self.proved, GAMMA**lost, 0.0)


@dataclass(frozen=True, eq=False)
class Readings:
    """The outputs of the cells "learn" and "optimum"."""

    cells: Sequence[Output]

    @cached_property
    def jobs(self) -> list[Output]:
        """Every job's optimum."""
        jobs: list[Output] = next(one for one in self.cells if one["kind"] == "optimum")["jobs"]
        return jobs

    @cached_property
    def length(self) -> Int[np.ndarray, " job"]:
        """Instructions of every job's shortest program."""
        return np.array([one["length"] for one in self.jobs])

    @cached_property
    def lengths(self) -> list[int]:
        """The lengths there are."""
        return sorted(set(self.length.tolist()))

    def of(self, learner: str, view: int = FULL) -> list[Output]:
        """Outputs of a learner, in the order of seeds."""
        found = [
            one
            for one in self.cells
            if one["kind"] == "learn" and (one["learner"], one["view"]) == (learner, view)
        ]
        return sorted(found, key=lambda one: one["number"])

    @property
    def ranks(self) -> Iterator[tuple[str, int]]:
        """Everybody: IC-Q behind each view, and the others."""
        yield from (("icq", view) for view in VIEWS)
        yield from ((name, FULL) for name in OTHERS)

    def scores(self, learner: str, view: int = FULL) -> Scores:
        """What a learner's programs are worth."""
        cells = self.of(learner, view)
        against = "alone" if learner == "centralised" else "duration"
        return Scores(
            np.array(cells[0]["points"]),
            np.array([cell["durations"] for cell in cells]),
            np.array([one[against] for one in self.jobs]),
        )


def figures_of(found: Scores, jobs: Bool[np.ndarray, " job"] | None = None) -> dict[str, Interval]:
    """By metric the mean over jobs at the end, with its interval over seeds."""
    kept = slice(None) if jobs is None else jobs
    named = {"proved": found.proved, "feasible_ratio": found.ratio, "optimal": found.optimal}
    return {
        name: over_seeds(array[:, -1, kept].mean(axis=1).astype(float))
        for name, array in named.items()
    }


def table(readings: Readings) -> Table:
    """Everybody at the end."""
    lines: list[Cells] = []
    for learner, view in readings.ranks:
        found = figures_of(readings.scores(learner, view))
        lines.append((learner, view, *found.values()))
    return Table(
        f"All {len(readings.jobs)} jobs; intervals are over seeds",
        ("learner", "vectors seen", "share proved", "value / optimum", "share at the optimum"),
        tuple(lines),
    )


def sections(readings: Readings) -> tuple[Section, ...]:
    """The workshop's parts of the report."""
    drawings = (
        Drawing(
            "shared-learning",
            "Share of jobs proved against handoffs, by learner and by how many vectors are seen; "
            "bands are over seeds.",
            "With 16 vectors IC-Q rises to 1; with fewer it stays lower, and lowest with one.",
            partial(_over_time, readings),
        ),
        Drawing(
            "shared-vectors",
            "What is lost against vectors seen: 1 less the value over the feasible optimum's, and "
            "the share of jobs not proved; bands are over seeds.",
            "Both curves fall as more vectors are seen, to 0 at 16.",
            partial(_over_vectors, readings),
        ),
    )
    return (
        Section("Shared agents", TEXT, (_by_length(readings), _by_crew(readings)), drawings),
        Section(
            "The jobs",
            "",
            (_memory(readings), _programs(readings)),
            (
                Drawing(
                    "shared-handoffs",
                    f"How control went round in the {DRAWN} jobs with the longest programs; full "
                    "view, first seed.",
                    "Agents of several classes take turns; most hand on after one line.",
                    partial(_rounds, readings),
                ),
            ),
        ),
    )


def _by_length(readings: Readings) -> Table:
    """Share proved by the length of the shortest program."""
    lines: list[Cells] = [
        ("jobs", "", *(int((readings.length == one).sum()) for one in readings.lengths))
    ]
    for learner, view in readings.ranks:
        found = readings.scores(learner, view)
        told = (
            figures_of(found, readings.length == one)["feasible_ratio"] for one in readings.lengths
        )
        lines.append((learner, view, *told))
    heads = (f"{one} instructions" for one in readings.lengths)
    caption = "Value over the feasible optimum's, by the length of the shortest program"
    return Table(caption, ("learner", "vectors seen", *heads), tuple(lines))


def _by_crew(readings: Readings) -> Table:
    """Value by crew."""
    crew = np.array([one["crew"] for one in readings.jobs])
    names = list(dict.fromkeys(crew.tolist()))
    lines: list[Cells] = [("jobs", "", *(int((crew == name).sum()) for name in names))]
    for learner, view in readings.ranks:
        found = readings.scores(learner, view)
        told = (figures_of(found, crew == name)["feasible_ratio"] for name in names)
        lines.append((learner, view, *told))
    caption = "Value over the feasible optimum's, by crew"
    return Table(caption, ("learner", "vectors seen", *names), tuple(lines))


def _memory(readings: Readings) -> Table:
    """What learning took."""
    lines: list[Cells] = []
    for learner, view in readings.ranks:
        cells = [cell for cell in readings.of(learner, view) if "rows" in cell]
        if cells:
            told = (
                float(np.mean([cell[name] for cell in cells]))
                for name in ("handoffs", "crossed", "rows", "judged")
            )
            lines.append((learner, view, *told))
    heads = ("handoffs", "scalars crossed", "information states", "programs judged")
    return Table("Per seed", ("learner", "vectors seen", *heads), tuple(lines))


def _programs(readings: Readings) -> Table:
    """The longest programs of the first seed, with who wrote each line."""
    written = readings.of("icq")[0]["programs"]
    longest = np.argsort(-readings.length, kind="stable")[:SHOWN]
    lines = tuple(
        (
            readings.jobs[job]["title"],
            "; ".join(f"{agent}: {what}" for agent, what in written[job]["options"]),
            readings.jobs[job]["program"].replace("\n", "; "),
            written[job]["verdict"],
        )
        for job in longest.tolist()
    )
    caption = "Some of the longest programs, full view, first seed"
    return Table(caption, ("job", "written", "by search", "verdict"), lines)


def _rounds(readings: Readings) -> Figure:
    written = readings.of("icq")[0]["programs"]
    longest = np.argsort(-readings.length, kind="stable")[:DRAWN].tolist()
    return handoffs({readings.jobs[job]["job"]: written[job]["options"] for job in longest})


def _over_time(readings: Readings) -> Figure:
    shown = {}
    for learner, view in readings.ranks:
        found = readings.scores(learner, view)
        name = f"icq, {view} vectors" if learner == "icq" else learner
        shown[name] = Curve(found.points.astype(float), found.proved.mean(axis=2))
    return figures.curves(shown, "handoffs", "share of jobs proved", {"all": 1.0})


def _over_vectors(readings: Readings) -> Figure:
    scores = [readings.scores("icq", view) for view in VIEWS]
    shown = {
        "value lost": [1 - one.ratio[:, -1].mean(axis=1) for one in scores],
        "not proved": [1 - one.proved[:, -1].mean(axis=1) for one in scores],
    }
    curves = {
        name: Curve(np.array(VIEWS, float), np.stack(values, axis=1))
        for name, values in shown.items()
    }
    return figures.curves(curves, "test vectors seen", "lost", {"nothing lost": 0.0})
