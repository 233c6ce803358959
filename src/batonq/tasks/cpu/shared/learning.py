"""Everybody's lessons in the workshop, cell by cell, and what their programs are worth.

A job counts as done only if the program that the agents write for it greedily is right on all test
vectors, proved by Z3, and right on fresh inputs in Unicorn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np

from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.icq.behaviour import epsilon_greedy
from batonq.icq.clocks import constant, rescaled_linear
from batonq.study.experiment import Cell
from batonq.tasks.cpu.fresh import N_FRESH, fresh_right
from batonq.tasks.cpu.learning.blind import wander
from batonq.tasks.cpu.learning.jobs import Job, Jobs
from batonq.tasks.cpu.learning.learn import GAMMA, Apprentices, Settings, Written, bench, written
from batonq.tasks.cpu.learning.play import LONGEST
from batonq.tasks.cpu.learning.search import Found, cheapest
from batonq.tasks.cpu.listing import PROVED, options_of
from batonq.tasks.cpu.machine.program import Program, listing
from batonq.tasks.cpu.options import CpuOptions
from batonq.tasks.cpu.prover import prove
from batonq.tasks.cpu.shared.workshop import centralised, workshop

KINDS: Final = ("learn", "optimum")
VIEWS: Final = (16, 8, 4, 2, 1)
OTHERS: Final = ("centralised", "no_scalar", "monte_carlo", "random")  # with the full view only
HANDOFFS: Final = 60_000_000
QUICK_HANDOFFS: Final = 4_000_000
POINTS: Final = 12  # at which programs are judged while agents learn
QUICK_POINTS: Final = 4
# Just above the value of a program that two instructions complete: then whatever could still make
# a program shorter looks better than the program known, until it has been tried. Chance is there
# only for what no value tells apart. The machine and its durations are deterministic, hence step 1.
WHOLE: Final = Settings("icq", constant(1.0), epsilon_greedy(0.01), GAMMA**1.9)
# What is seen of fewer vectors is not a state, and what comes of a workflow is no function of it.
NARROW: Final = Settings("icq", rescaled_linear(GAMMA), epsilon_greedy(0.2), GAMMA**3)
WRONG: Final = "wrong on a test vector"


def plan(options: CpuOptions) -> list[Cell]:
    """The optimum, and a cell for each seed of IC-Q behind each view and of the others."""
    shared: dict[str, Json] = {"seed": options.seed, "quick": options.quick}
    work = [("icq", view) for view in VIEWS] + [(name, VIEWS[0]) for name in OTHERS]
    return [
        *(
            Cell(
                f"learn-{learner}-vectors{view}-seed{number}",
                {"kind": "learn", "learner": learner, "view": view, "number": number, **shared},
            )
            for learner, view in work
            for number in range(options.repetitions)
        ),
        Cell("optimum", {"kind": "optimum", **shared}),
    ]


def compute(config: Mapping[str, Json]) -> Json:
    """Compute one cell."""
    jobs = workshop(config["quick"])
    if config["kind"] == "optimum":
        return {"kind": "optimum", **optimum(jobs, config["seed"])}
    learner, view, quick = config["learner"], config["view"], config["quick"]
    seed = int(generator(config["seed"], config["number"]).integers(2**31))
    handoffs = QUICK_HANDOFFS if quick else HANDOFFS
    lesson = Lesson(learner, view, handoffs, QUICK_POINTS if quick else POINTS)
    found = random(jobs, lesson, seed) if learner == "random" else learnt(jobs, lesson, seed)
    named: dict[str, Json] = {name: config[name] for name in ("kind", "learner", "view", "number")}
    return {**named, **found}


@dataclass(frozen=True)
class Lesson:
    """Who learns behind which view, for how many handoffs, judged how often."""

    learner: str
    view: int
    handoffs: int
    points: int

    @property
    def goals(self) -> list[int]:
        """Handoffs at which programs are judged."""
        return [self.handoffs * k // self.points for k in range(1, self.points + 1)]

    @property
    def settings(self) -> Settings:
        """How they learn: one rule where targets are a function of what is seen, one elsewhere."""
        exact = self.view == VIEWS[0] and self.learner != "monte_carlo"
        learner = "icq" if self.learner == "centralised" else self.learner
        return replace(WHOLE if exact else NARROW, learner=learner)


@dataclass(eq=False)
class Judge:
    """What is known of programs for jobs: no program is judged twice."""

    jobs: tuple[Job, ...]
    seed: int
    known: dict[tuple[int, Program], str] = field(default_factory=dict)
    apart: int = 0  # programs that are proved and yet wrong in Unicorn

    def verdict(self, job: int, program: Program) -> str:
        """`PROVED`, or why a program that is right on the test vectors does not count."""
        if (job, program) not in self.known:
            self.known[job, program] = self._found(job, program)
        return self.known[job, program]

    def duration(self, job: int, one: Written) -> int:
        """Primitive steps of a program that counts; 0 where it does not."""
        return one.duration if one.right and self.verdict(job, one.program) == PROVED else 0

    def _found(self, job: int, program: Program) -> str:
        task = self.jobs[job].task
        verdict = prove(program, task)
        if not verdict.proved:
            return f"{verdict.outcome}: {verdict.reason}"
        right = fresh_right(task, program, self.seed)
        if right < N_FRESH:
            self.apart += 1
            return f"right on {right} of {N_FRESH} fresh inputs in Unicorn"
        return PROVED


def learnt(jobs: Jobs, lesson: Lesson, seed: int) -> dict[str, Json]:
    """Learn the jobs; judge the programs written on the way and at the end."""
    if lesson.learner == "centralised":
        jobs = centralised(jobs)
    apprentices = Apprentices(jobs, lesson.view, lesson.settings, seed)
    judge, durations, wrote = Judge(jobs.jobs, seed), [], []
    for goal in lesson.goals:
        apprentices.learn(max(0, goal - apprentices.handoffs))
        wrote = [apprentices.write(job) for job in range(len(jobs.jobs))]
        durations.append([judge.duration(job, one) for job, one in enumerate(wrote)])
    return {
        "points": lesson.goals,
        "durations": durations,
        "rows": apprentices.rows,
        "crossed": apprentices.crossed,
        "handoffs": apprentices.handoffs,
        **_told(jobs, wrote, judge),
    }


def random(jobs: Jobs, lesson: Lesson, seed: int) -> dict[str, Json]:
    """Agents that draw every action: each job has its share of the handoffs, and its first
    program that counts is kept.
    """
    rng, judge = generator(seed), Judge(jobs.jobs, seed)
    share = lesson.handoffs // len(jobs.jobs)
    durations = np.zeros((lesson.points, len(jobs.jobs)), np.int64)
    wrote: list[Written] = []
    agents, items = np.empty(LONGEST, np.int64), np.empty(LONGEST, np.int64)
    for number, job in enumerate(jobs.jobs):
        mine = Jobs((jobs.crews[job.crew],), (Job(job.task, 0, job.length),), jobs.vectors)
        given, spent = bench(mine, lesson.view, GAMMA), 0
        one, duration = written(mine, 0, agents[:0], items[:0], False), 0
        while spent < share and not duration:
            count, n = wander(given, LONGEST, share - spent, agents, items, rng)
            spent += count
            if n:
                one = written(mine, 0, agents[:n], items[:n], True)
                duration = judge.duration(number, one)
        wrote.append(one)
        if duration:
            durations[(np.arange(lesson.points) + 1) * share >= spent * lesson.points, number] = (
                duration
            )
    return {
        "points": lesson.goals,
        "durations": durations.tolist(),
        "handoffs": lesson.handoffs,
        **_told(jobs, wrote, judge),
    }


def _told(jobs: Jobs, wrote: list[Written], judge: Judge) -> dict[str, Json]:
    """The programs at the end, who wrote them, and the verdicts."""
    programs: list[Json] = [
        {
            "program": listing(one.program) or None,
            "options": [list(step) for step in options_of(one, jobs.crews[jobs.crew[job]])],
            "verdict": judge.verdict(job, one.program) if one.right else WRONG,
        }
        for job, one in enumerate(wrote)
    ]
    return {"programs": programs, "judged": len(judge.known), "apart": judge.apart}


def optimum(jobs: Jobs, seed: int) -> dict[str, Json]:
    """The feasible optimum of every job by search over machine and agents, and its proof.

    Beside it that of one agent who writes everything, which is the shortest program: nobody has to
    begin with an instruction of the first agent, or a pass.
    """
    judge, single = Judge(jobs.jobs, seed), centralised(jobs)
    found: list[Json] = []
    for number, job in enumerate(jobs.jobs):
        crew, alone = (_cheapest(one, job) for one in (jobs, single))
        found.append(
            {
                "job": job.task.name,
                "title": job.task.title,
                "crew": jobs.crews[job.crew].name,
                "duration": crew.duration,
                "alone": alone.duration,
                "length": len(alone.program or ()),
                "program": listing(crew.program or ()),
                "whole": crew.exhausted and alone.exhausted,
                "proved": all(
                    one.program is not None and judge.verdict(number, one.program) == PROVED
                    for one in (crew, alone)
                ),
            }
        )
    return {"jobs": found}


def _cheapest(jobs: Jobs, job: Job) -> Found:
    vectors = jobs.vectors[: len(job.task.inputs)]
    return cheapest(jobs.crews[job.crew], job.task, vectors, job.length)
