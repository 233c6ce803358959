"""Learn one task, have what is written proved, and learn again with the counterexample.

Test vectors are all that agents see, so a program can be right on them and wrong elsewhere. Then
Z3 gives inputs for which it is wrong; they join the vectors, and the rest of the budget is spent
on the new ones. What was learnt before is lost: a row of values is found by what is seen on all
vectors, and with one more vector every information state is another. To carry values over one
would have to take two states for one that differ on the new vector, which is what it is for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt32

from batonq.base.seeds import generator
from batonq.tasks.cpu.learning.blind import wander
from batonq.tasks.cpu.learning.jobs import Crew, Job, Jobs, alone, crew
from batonq.tasks.cpu.learning.learn import GAMMA, Apprentices, Written, bench, written
from batonq.tasks.cpu.learning.play import LONGEST
from batonq.tasks.cpu.machine.program import Program
from batonq.tasks.cpu.per_task import settings
from batonq.tasks.cpu.prover import Verdict, prove
from batonq.tasks.cpu.task import Task
from batonq.tasks.cpu.vectors import vectors

Vectors = UInt32[np.ndarray, "input vector"]
Judge = Callable[[Program, Task, float], Verdict]

_TESTS, _ROUNDS = range(2)  # what a seed's generators are for


@dataclass(frozen=True)
class Found:
    """What a learner came to on one task.

    Attributes:
        proved: whether the program is right for all inputs.
        written: the last program handed to the prover, who wrote it and how; None: none was.
        handoffs: options run in all, those of greedy writing and of refuted rounds included.
        counterexamples: inputs that joined the vectors, in order.
        note: why nothing is proved; "" with a proof.
    """

    proved: bool
    written: Written | None
    handoffs: int
    counterexamples: tuple[tuple[int, ...], ...]
    note: str


def solve(
    task: Task,
    learner: str,
    budget: int,
    seed: int,
    n_vectors: int = settings.N_VECTORS,
    judge: Judge = prove,
) -> Found:
    """Learn, prove, and learn again with the counterexample, until a proof or no budget.

    Args:
        task: what is wanted.
        learner: one of `settings.LEARNERS`.
        budget: handoffs in all, never exceeded.
        seed: of test vectors and of all that agents draw.
        n_vectors: test vectors to begin with.
        judge: the prover.

    Raises:
        DataError: the prover is not installed.
    """
    tests = vectors(task, n_vectors, generator(seed, _TESTS))
    spent, last = 0, None
    met: list[tuple[int, ...]] = []
    while True:
        learn = _random if learner == "random" else _learnt
        rng = generator(seed, _ROUNDS, len(met))
        handoffs, found = learn(task, learner, tests, budget - spent, rng)
        spent += handoffs
        if found is None:
            return Found(False, last, spent, tuple(met), "budget spent")
        verdict, last = judge(found.program, task, settings.PROOF_SECONDS), found
        if verdict.counterexample is None:
            return Found(verdict.proved, last, spent, tuple(met), verdict.reason)
        met.append(tuple(verdict.counterexample.tolist()))
        tests = np.column_stack([tests, verdict.counterexample])


def crew_of(task: Task, learner: str) -> Crew:
    """The crew that writes: one agent for each class of instructions, or one for all."""
    return (alone if learner == "centralised" else crew)(task.name, task.menu)


def _jobs(task: Task, learner: str, tests: Vectors) -> Jobs:
    return Jobs((crew_of(task, learner),), (Job(task, 0, settings.most_steps(task)),), tests)


def _learnt(
    task: Task, learner: str, tests: Vectors, budget: int, rng: np.random.Generator
) -> tuple[int, Written | None]:
    """One round: handoffs, and what is written greedily once it is right on the vectors.

    What is right but longer than the task allows is no use, and stands in the way of what is
    shorter; then learning begins anew. `learn` finishes the workflow under way and writing takes
    options too, so a step is begun only if the longest such workflows fit into the budget.
    """
    how, jobs = settings.how(task, learner), _jobs(task, learner, tests)
    longest, spent = int(jobs.length[0]), 0
    agents = Apprentices(jobs, None, how, _drawn(rng))
    while (left := budget - spent - 2 * longest) > 0:
        before = agents.handoffs
        agents.learn(min(settings.chunk(spent), left))
        spent += agents.handoffs - before
        if agents.first[0] >= 0:
            found = agents.write(0)
            spent += len(found.agents)
            if found.right and len(found.program) <= task.length:
                return spent, found
            if found.right:
                agents = Apprentices(jobs, None, how, _drawn(rng))
    return spent, None


def _drawn(rng: np.random.Generator) -> int:
    return int(rng.integers(2**31))


def _random(
    task: Task, learner: str, tests: Vectors, budget: int, rng: np.random.Generator
) -> tuple[int, Written | None]:
    """One round of random agents, of whose programs every one counts that is right."""
    jobs = _jobs(task, learner, tests)
    agents, items = np.empty(LONGEST, np.int64), np.empty(LONGEST, np.int64)
    made = bench(jobs, tests.shape[1], GAMMA)
    count, n = wander(made, task.length, budget, agents, items, rng)
    return count, written(jobs, 0, agents[:n], items[:n], True) if n else None
