"""Learning to do jobs, and the programs that come of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from batonq.base.errors import ModelError
from batonq.base.seeds import generator
from batonq.icq.baselines import learner_named
from batonq.icq.behaviour import Behaviour, epsilon_greedy, uniform
from batonq.icq.clocks import Clock, constant
from batonq.tasks.cpu.learning.jobs import PASS_DURATION, Jobs
from batonq.tasks.cpu.learning.memory import Memory, grown, memory, mixed
from batonq.tasks.cpu.learning.play import LONGEST, Bench, Rule, play, write
from batonq.tasks.cpu.machine.program import Program

GAMMA: Final = 0.9
HOPE: Final = GAMMA**3  # of what was never tried: "three more instructions, perhaps"
LEARNERS: Final = ("icq", "icq_late", "no_scalar", "monte_carlo", "random")


@dataclass(frozen=True)
class Settings:
    """How agents learn.

    Attributes:
        learner: one of `LEARNERS`; a centralised learner is "icq" with a crew of one. In
            "icq_late" receivers answer once they have been answered themselves, hop by hop back
            from the workflow's end (see `icq.variants`).
        clock: step sizes.
        behaviour: how actions are drawn while learning.
        hope: value of what was never tried, in [0, 1].
        ease: how fast jobs that end well become rarer.
        rarest: the share of its turns that a job always done keeps.
    """

    learner: str = "icq"
    clock: Clock = constant(1.0)  # noqa: RUF009 - a NamedTuple, which nobody can change
    behaviour: Behaviour = epsilon_greedy(0.05)  # noqa: RUF009
    hope: float = HOPE
    ease: float = 0.02
    rarest: float = 0.05

    def __post_init__(self) -> None:
        if self.learner not in LEARNERS:
            raise ModelError(
                f"learner: '{self.learner}' is unknown; choose one of {', '.join(LEARNERS)}"
            )


@dataclass(frozen=True)
class Written:
    """What the agents wrote for a job, acting greedily.

    Attributes:
        agents: who held control at each step.
        items: the number in its menu of what it wrote; the menu's size where it passed.
        program: the instructions, without the passes.
        writers: who wrote each of them.
        duration: primitive steps taken.
        right: whether all outputs came out right on all vectors.
    """

    agents: tuple[str, ...]
    items: tuple[int, ...]
    program: Program
    writers: tuple[str, ...]
    duration: int
    right: bool


class Apprentices:
    """Agents that learn jobs: rows of values that grow, and the generator of one seed.

    Attributes:
        handoffs: options run so far.
        crossed: quotes that crossed from one agent to another.
        first: handoff at which each job was first done; -1 where never.
    """

    def __init__(
        self,
        jobs: Jobs,
        view: int | None = None,
        settings: Settings | None = None,
        seed: int = 0,
        gamma: float = GAMMA,
    ) -> None:
        """Take the jobs on.

        Args:
            jobs: what is to be done.
            view: how many vectors agents see; None: all.
            settings: how they learn.
            seed: of everything that is drawn.
            gamma: discount per primitive step.

        Raises:
            ModelError: if `view` is not from 1 to the number of vectors.
        """
        self.jobs = jobs
        self.settings = settings or Settings()
        self.bench = bench(jobs, jobs.vectors.shape[1] if view is None else view, gamma)
        self.handoffs = 0
        self.crossed = 0
        self.first: Int[np.ndarray, " job"] = np.full(len(jobs.jobs), -1)
        self._eagerness: Float[np.ndarray, " job"] = np.ones(len(jobs.jobs))
        self._memory = memory(jobs.n_actions)
        self._rng = generator(seed)

    @property
    def memory(self) -> Memory:
        """What the agents remember."""
        return self._memory

    @property
    def rows(self) -> int:
        """Information states met."""
        return int(self._memory.used[0])

    def learn(self, handoffs: int) -> None:
        """Run `handoffs` more options, and finish the workflow then under way."""
        goal, rule = self.handoffs + handoffs, _rule(self.settings)
        while self.handoffs < goal:
            count, crossed = play(
                self.bench,
                rule,
                self._memory,
                self._eagerness,
                self.first,
                goal - self.handoffs,
                self.handoffs,
                self._rng,
            )
            self.handoffs += count
            self.crossed += crossed
            if self.handoffs < goal:
                self._memory = grown(self._memory)

    def write(self, job: int) -> Written:
        """Do one job greedily, learning nothing."""
        agents, items = np.empty(LONGEST, np.int64), np.empty(LONGEST, np.int64)
        n, _, right = write(self.bench, self._memory, job, agents, items)
        return written(self.jobs, job, agents[:n], items[:n], right)


def written(
    jobs: Jobs,
    job: int,
    agents: Int[np.ndarray, " step"],
    items: Int[np.ndarray, " step"],
    right: bool,
) -> Written:
    """What was written in a workflow, from who held control and what each holder chose."""
    one = jobs.crews[jobs.crew[job]]
    steps = list(zip(agents.tolist(), items.tolist(), strict=True))
    wrote = [(i, k) for i, k in steps if k < len(one.menus[i])]
    program = tuple(one.menus[i][k] for i, k in wrote)
    passes = len(steps) - len(wrote)
    return Written(
        tuple(one.agents[i] for i, _ in steps),
        tuple(k for _, k in steps),
        program,
        tuple(one.agents[i] for i, _ in wrote),
        sum(instruction.duration for instruction in program) + passes * PASS_DURATION,
        bool(right),
    )


def bench(jobs: Jobs, view: int, gamma: float) -> Bench:
    """The jobs as the loop takes them.

    Raises:
        ModelError: if `view` is not from 1 to the number of vectors.
    """
    n_vectors = jobs.vectors.shape[1]
    if not 1 <= view <= n_vectors:
        raise ModelError(f"view: {view} of {n_vectors} vectors; give a number from 1 to them")
    asked = [
        np.array([crew + 1, *outputs, *wanted[:, :view].ravel()], np.int64).astype(np.uint64)
        for crew, outputs, wanted in zip(jobs.crew, jobs.outputs, jobs.wanted, strict=True)
    ]
    return Bench(
        jobs.start,
        jobs.outputs,
        jobs.wanted,
        np.array([_folded(one) for one in asked], np.uint64),
        jobs.crew,
        jobs.length,
        jobs.n_agents,
        jobs.n_menu,
        jobs.menu,
        jobs.mask,
        view,
        gamma,
    )


def _folded(numbers: np.ndarray) -> np.uint64:
    h = np.uint64(0)
    with np.errstate(over="ignore"):
        for number in numbers:
            h = np.uint64(mixed(h ^ number))
    return h


def _rule(settings: Settings) -> Rule:
    learner = learner_named(settings.learner)
    return Rule(
        settings.clock,
        settings.behaviour if learner.learns else uniform(),
        settings.hope,
        learner.silent,
        learner.returns,
        settings.ease,
        settings.rarest,
        learner.late,
    )
