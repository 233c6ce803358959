"""The judge after the prover: a program on fresh inputs in Unicorn, which knows nothing of Z3."""

from __future__ import annotations

from typing import Final

import numpy as np

from batonq.base.seeds import generator
from batonq.tasks.cpu.machine.emulator import emulate
from batonq.tasks.cpu.machine.program import Program
from batonq.tasks.cpu.task import Task
from batonq.tasks.cpu.vectors import vectors

N_FRESH: Final = 256  # random inputs on which Unicorn runs what is proved
_FRESH: Final = 2  # path of the generator of fresh inputs, beside those of `per_task.cegis`


def fresh_right(task: Task, program: Program, seed: int) -> int:
    """On how many of `N_FRESH` fresh random inputs Unicorn finds the program right."""
    inputs = vectors(task, N_FRESH, generator(seed, _FRESH))
    words = emulate(program, task.start(inputs))[[output.word for output in task.outputs]]
    return int(np.sum((words == task.wanted(inputs)).all(axis=0)))
