"""What a peer came to, and the loop of test vectors and proofs that they share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import numpy as np
from jaxtyping import UInt32

from batonq.base.errors import DataError
from batonq.base.seeds import generator
from batonq.tasks.cpu.machine.program import Program
from batonq.tasks.cpu.prover import prove
from batonq.tasks.cpu.task import Task
from batonq.tasks.cpu.vectors import vectors

N_VECTORS = 16  # at first; every counterexample is one more

Vectors = UInt32[np.ndarray, "input vector"]


@dataclass(frozen=True)
class Attempt:
    """What a peer came to on one task.

    Attributes:
        program: the program found; None where there is none, or an expression was found instead.
        proved: whether what was found is proved right for all inputs.
        executed: instructions executed, each on all test vectors at once.
        seconds: what it took, proofs included.
        note: what there is to say: why nothing is proved, the expression found, counts.
    """

    program: Program | None
    proved: bool
    executed: int
    seconds: float
    note: str = ""


@dataclass(frozen=True)
class Search:
    """One search on given test vectors: a program that is right on them, or None.

    Attributes:
        program: the program.
        executed: instructions executed.
        note: why there is none.
    """

    program: Program | None
    executed: int
    note: str = ""


def guided(
    task: Task, budget: int, seed: int, search: Callable[[Vectors, int], Search], first: int
) -> Attempt:
    """Search, prove, and search again with the counterexample, until a proof or no budget.

    Args:
        task: what is wanted.
        budget: instructions to execute at most, at least 1.
        seed: of the first test vectors.
        search: (vectors, budget left) -> what was found on them.
        first: test vectors to begin with, at least 1.

    Raises:
        DataError: the budget is below 1, or Z3 is not installed.
    """
    if budget < 1:
        raise DataError(f"{task.name}: a budget of {budget} executions; give at least 1")
    began, executed, tests = perf_counter(), 0, vectors(task, first, generator(seed))
    while True:
        found = search(tests, budget - executed)
        executed += found.executed
        if found.program is None:
            return Attempt(None, False, executed, perf_counter() - began, found.note)
        verdict = prove(found.program, task)
        if verdict.counterexample is None:
            taken = perf_counter() - began
            return Attempt(found.program, verdict.proved, executed, taken, verdict.reason)
        tests = np.column_stack([tests, verdict.counterexample])
