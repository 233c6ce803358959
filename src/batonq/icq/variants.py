"""Late answers: a variant of IC-Q that learns faster, while one number crosses per handoff.

In IC-Q the receiver answers at once. Here it answers when it has been answered itself: after its
own decision, its own handoff, and its own update. Answers go back hop by hop, from the last holder
of a round to the first, so that in one round what the last one found out reaches all of them. It
is still one number per handoff, from the receiver to the sender, `wait` handoffs late at most. A
round closes with the workflow, or when `wait` handoffs are open; its last receiver answers at once.

The answer of a receiver that took action a at information state y, and was answered v itself, is

    max_b Q(y, b)                                          if a was not greedy, or `decay` is 0,
    (1 - decay) max_b Q(y, b) + decay (R + gamma**tau v)   if a was greedy,

with its values as they are after its own update (greedy or not is by those before): Watkins'
lambda-return, cut at actions that were not greedy, read backwards. `docs/variants.md` has what was
measured, and what did not help.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np

from batonq.base.errors import ModelError
from batonq.icq.baselines import RETURN_BLOCK, Learner
from batonq.icq.clocks import Clock
from batonq.icq.finite import Layout, layout, listed, run_seeds
from batonq.icq.kernels import Dynamics, dynamics, first_state
from batonq.icq.record import TRACE
from batonq.icq.run import Run, Table
from batonq.icq.settings import Settings
from batonq.icq.variant_kernels import Form, Owned, play_rounds
from batonq.smdp.model import FiniteICSMDP

WAIT: Final = 16


@dataclass(frozen=True)
class Variant:
    """How the learner "icq_late" differs from IC-Q. With wait 1, bonus 0, average None: not at all.

    Attributes:
        wait: most handoffs of a round, 1 to 4096; with 1 everybody answers at once.
        decay: Watkins' lambda, in [0, 1]. Above 0 the tables of a lossy interface tend to another
            limit than those of IC-Q, which trusts what follows more than what is seen.
        bonus: c >= 0, in units of reward. A receiver adds c / sqrt(1 + n) to its values before it
            acts or answers, n being how often it took the action there (a count bonus, carried by
            the one number). Meant for a greedy behaviour.
        average: s >= 0 to keep, as what was learnt, the mean of a pair's values with weights
            (1 + s) / (n + s) (Polyak averaging, later values weighing more for larger s; the
            answers are the values themselves); None to keep the last values.

    Raises:
        ModelError: naming the first that cannot be right.
    """

    wait: int = WAIT
    decay: float = 0.0
    bonus: float = 0.0
    average: float | None = 2.0

    def __post_init__(self) -> None:
        if not 1 <= self.wait <= RETURN_BLOCK:
            raise ModelError(f"variant: wait {self.wait} is not in 1..{RETURN_BLOCK}")
        if not 0 <= self.decay <= 1:
            raise ModelError(f"variant: decay {self.decay:g} is not in [0, 1]")
        if not 0 <= self.bonus < math.inf:
            raise ModelError(f"variant: bonus {self.bonus:g} is not 0 or more, and finite")
        if self.average is not None and not 0 <= self.average < math.inf:
            raise ModelError(f"variant: average {self.average:g} is not 0 or more, and finite")

    @property
    def form(self) -> Form:
        """The same for the kernel."""
        average = -1.0 if self.average is None else float(self.average)
        return Form(self.wait, float(self.decay), float(self.bonus), average)


def train_late(
    model: FiniteICSMDP,
    learner: Learner,
    settings: Settings,
    variant: Variant,
    progress: Callable[[int], None],
) -> Run:
    """Train with late answers; see `batonq.icq.train.train` for the arguments."""
    prepared, plan = dynamics(model), layout(model, learner)

    def make(_number: int, rng: np.random.Generator) -> LateSeed:
        return LateSeed(model, prepared, plan, settings, variant, rng)

    run, _ = run_seeds(model, learner, settings, plan, make, progress)
    return replace(run, settings={**run.settings, "variant": asdict(variant)})


class LateSeed:
    """One seed's arrays, clocks and place in the model.

    Attributes:
        tables: by agent, what was learnt: the means if these are kept, else the last values.
        trace: its records, if they are kept.
        done: handoffs played.
        crossed: quotes that crossed from one agent to another.
    """

    def __init__(
        self,
        model: FiniteICSMDP,
        prepared: Dynamics,
        plan: Layout,
        settings: Settings,
        variant: Variant,
        rng: np.random.Generator,
    ) -> None:
        shapes = [(len(keys), model.n_actions) for keys in plan.keys]
        start, optimistic = settings.initial, settings.initial + variant.bonus
        self._owned = Owned(
            tables=listed(np.full(shape, start) for shape in shapes),
            answers=listed(np.full(shape, optimistic) for shape in shapes),
            means=listed(np.full(shape, start) for shape in shapes),
        )
        self.tables = self._owned.tables if variant.average is None else self._owned.means
        self.trace = np.zeros(settings.handoffs if settings.record else 0, TRACE)
        self.done = 0
        self.crossed = 0
        self._counts = np.zeros((model.n_cells, model.n_actions), np.int64)
        self._prepared = prepared
        self._sight = plan.sight
        self._form = variant.form
        self._rng = rng
        self._state = first_state(prepared.initial_cumulative, rng)

    def advance(self, _learner: Learner, settings: Settings, clock: Clock, stop: int) -> None:
        """Train until `stop` handoffs are done; all answers are given by then."""
        scratch = np.zeros(0 if settings.record else min(RETURN_BLOCK, stop - self.done), TRACE)
        while self.done < stop:
            size = min(RETURN_BLOCK, stop - self.done)
            record = self.trace[self.done : self.done + size]
            self._state, crossed = play_rounds(
                self._prepared,
                self._sight,
                self._owned,
                self._counts,
                clock,
                settings.behaviour,
                self._form,
                self._state,
                record if settings.record else scratch[:size],
                self._rng,
            )
            self.done += size
            self.crossed += crossed

    def named(self, plan: Layout) -> dict[str, Table]:
        """The tables by owner, with what each row stands for."""
        return {
            name: Table(tuple(keys.tolist()), np.asarray(table), self._counts[keys])
            for name, keys, table in zip(plan.names, plan.keys, self.tables, strict=True)
        }
