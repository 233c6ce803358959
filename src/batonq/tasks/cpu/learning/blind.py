"""Random agents: workflows without memory, until one happens to write what is wanted."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int

from batonq.base.compiled import compiled
from batonq.icq.behaviour import choose, uniform
from batonq.tasks.cpu.learning.play import Bench, mask_row, perform, right

_UNIFORM = uniform()


@compiled
def wander(
    bench: Bench,
    most: int,
    handoffs: int,
    agents: Int[np.ndarray, " step"],
    items: Int[np.ndarray, " step"],
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Pose job 0 to agents that draw every action, until a workflow ends right.

    A workflow is broken off at the job's length, and, as no longer program would do, once it has
    `most` instructions.

    Args:
        bench: the job.
        most: instructions a program may have.
        handoffs: options to run at most.
        agents: filled with who held control at each step of the last workflow.
        items: filled with the number in the holder's menu; the menu's size is passing.
        rng: the seed's generator.

    Returns:
        (options run, steps of the workflow that ended right; 0 if none did).
    """
    words = np.empty(bench.start.shape[1:], np.uint32)
    indifferent = np.zeros((1, bench.mask.shape[1]))
    crew, count = bench.crew[0], 0
    while count < handoffs:
        words[:] = bench.start[0]
        agent, elapsed, written, n = 0, 0, 0, 0
        while elapsed < bench.length[0] and written < most and count < handoffs:
            permitted = mask_row(bench, crew, agent, words)
            action, _ = choose(indifferent, 0, bench.mask, permitted, _UNIFORM, rng)
            item, receiver, duration = perform(bench, crew, agent, action, words)
            agents[n], items[n] = agent, item
            written += item < bench.n_menu[crew, agent]
            n, elapsed, count, agent = n + 1, elapsed + duration, count + 1, receiver
            if right(words, bench.outputs, bench.wanted, 0):
                return count, n
    return count, 0
