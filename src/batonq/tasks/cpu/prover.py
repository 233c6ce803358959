"""The prover: whether a program computes what its task says for all inputs, by Z3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Final

import numpy as np
from jaxtyping import UInt32

from batonq.base.errors import DataError
from batonq.base.extras import need
from batonq.tasks.cpu.expression import BITS, to_z3
from batonq.tasks.cpu.machine import symbolic
from batonq.tasks.cpu.machine.interpreter import run
from batonq.tasks.cpu.machine.program import Instruction, encode, legal
from batonq.tasks.cpu.machine.words import N_WORDS
from batonq.tasks.cpu.task import Task

SECONDS: Final = 10.0  # longest proof of the suite's references: well below 1 s
# Z3's terms live in one context per process, which must not be entered twice at a time.
_ONE_AT_A_TIME: Final = Lock()


@dataclass(frozen=True, eq=False)
class Verdict:
    """What is known of a program.

    Attributes:
        outcome: "proved" (right for all inputs), "refuted", or "unknown", to be counted as
            unsolved.
        counterexample: of a refuted program, inputs for which an output is wrong, in the order of
            the task's; None where the program is not legal.
        reason: why it is refuted or unknown; "" with a proof.
    """

    outcome: str
    counterexample: UInt32[np.ndarray, " input"] | None = None
    reason: str = ""

    @property
    def proved(self) -> bool:
        """Whether the program is right for all inputs."""
        return self.outcome == "proved"


def prove(program: Sequence[Instruction], task: Task, seconds: float = SECONDS) -> Verdict:
    """Prove that the program leaves the task's outputs, or find inputs for which it does not.

    Only one proof runs in a process at a time; threads wait for each other. To prove several at
    once take processes.

    Args:
        program: any program; its length is not judged.
        task: what it is to compute. With examples only the best verdict is "unknown".
        seconds: what the search for a proof or counterexample may take, above 0.

    Raises:
        DataError: z3-solver is not installed, or `seconds` is not above 0.
    """
    if not seconds > 0:
        raise DataError(f"{task.name}: {seconds:g} s for the prover; give a time above 0")
    if not legal(program):
        return Verdict("refuted", None, "the program reads flags that are not valid")
    if not task.specified:
        return _compared(program, task)
    with _ONE_AT_A_TIME:
        return _solved(program, task, seconds)


def _solved(program: Sequence[Instruction], task: Task, seconds: float) -> Verdict:
    """One call of the solver: is there an input for which an output differs?"""
    z3 = need("z3")
    given = {one.name: z3.BitVec(one.name, BITS) for one in task.inputs}
    words = [z3.BitVecVal(0, BITS)] * N_WORDS
    for one in task.inputs:
        words[one.word] = given[one.name]
    found = symbolic.run(program, words)
    wrong = [
        found[output.word] != to_z3(output.expression, given)
        for output in task.outputs
        if output.expression is not None
    ]
    solver = z3.SolverFor("QF_BV")
    solver.set(timeout=max(1, round(1000 * seconds)))
    solver.add(z3.simplify(z3.Or(wrong)))
    answer = solver.check()
    if answer == z3.unsat:
        return Verdict("proved")
    if answer == z3.unknown:
        why = f"neither proof nor counterexample within {seconds:g} s"
        return Verdict("unknown", None, f"{why} ({solver.reason_unknown()})")
    model = solver.model()
    values = [model.eval(given[one.name], model_completion=True).as_long() for one in task.inputs]
    return Verdict("refuted", np.array(values, np.uint32), "an output is wrong for some inputs")


def _compared(program: Sequence[Instruction], task: Task) -> Verdict:
    """The verdict where examples are all there is."""
    vectors = np.array([example.inputs for example in task.examples], np.uint32).T
    vectors = np.ascontiguousarray(vectors)
    state = task.start(vectors)
    run(encode(program), state)
    right = state[[output.word for output in task.outputs]] == task.wanted(vectors)
    wrong = np.flatnonzero(~right.all(axis=0))
    if len(wrong):
        return Verdict("refuted", vectors[:, wrong[0]], "an output is wrong for an example")
    return Verdict(
        "unknown",
        None,
        f"right for all {len(task.examples)} examples; only expressions allow a proof",
    )
