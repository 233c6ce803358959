"""Agents whose networks learn jobs, and what they write for jobs they have never seen."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from jaxtyping import Int

from batonq.base.errors import ModelError
from batonq.base.seeds import generator
from batonq.icq.behaviour import Behaviour, epsilon_greedy
from batonq.icq.networks import check_net, new_networks
from batonq.tasks.cpu.heldout.features import n_features
from batonq.tasks.cpu.heldout.play import Learning, Nets, Room, play
from batonq.tasks.cpu.learning.jobs import Jobs
from batonq.tasks.cpu.learning.learn import GAMMA, bench
from batonq.tasks.cpu.learning.play import LONGEST
from batonq.tasks.cpu.machine.program import Program

STAGES: Final = 20  # of training
SCRAMBLED: Final = 0.3  # keeps random values inside [-1, 1], so that few are equal once clamped


@dataclass(frozen=True)
class Settings:
    """How networks learn.

    Attributes:
        width: neurons of each network, even; 0: values are linear in the features.
        far: whether features of two steps are looked at.
        size: of the first steps, at features of length 1.
        last: of the last steps of `train`.
        radius: omega; no output can leave [-omega, omega].
        behaviour: how actions are drawn while learning.
        hope: value of everything at the start, in [0, 1].
        ease: how fast jobs that end well become rarer.
        rarest: the share of its turns that a job always done keeps.
    """

    width: int = 32
    far: bool = True
    size: float = 0.3
    last: float = 0.01
    radius: float = 16.0
    behaviour: Behaviour = epsilon_greedy(0.1)  # noqa: RUF009 - a NamedTuple, never changed
    hope: float = 0.3
    ease: float = 0.1
    rarest: float = 0.1

    def __post_init__(self) -> None:
        check_net(self.width or 1, self.radius)
        if self.width % 2 or not 0 < self.last <= self.size <= 1:
            raise ModelError(
                f"networks: width {self.width}, steps {self.size:g} to {self.last:g}; give an even "
                "width and steps in (0, 1] that do not grow"
            )


class Learners:
    """The agents of one crew, each with a network for every receiver.

    Attributes:
        handoffs: options run so far.
        crossed: quotes that crossed from one agent to another.
    """

    def __init__(
        self, jobs: Jobs, view: int, settings: Settings | None = None, seed: int = 0
    ) -> None:
        """Take jobs on, of one crew, seen on the first `view` vectors.

        Raises:
            ModelError: if there are several crews, or `view` is out of range.
        """
        if len(jobs.crews) != 1:
            raise ModelError(f"networks: {len(jobs.crews)} crews; give jobs of one crew")
        self.settings, self.view = settings or Settings(), view
        self.handoffs = self.crossed = 0
        self._rng = generator(seed)
        self._nets = _nets(self._rng, jobs, self.settings)
        self.take(jobs)

    def take(self, jobs: Jobs) -> None:
        """Take other jobs of the same crew on; the networks stay."""
        self.jobs, self._bench = jobs, bench(jobs, self.view, GAMMA)
        self._eagerness = np.ones(len(jobs.jobs))
        self.first: Int[np.ndarray, " job"] = np.full(len(jobs.jobs), -1)
        self._room = _room(jobs, self._nets)
        self._agents, self._items = np.empty(LONGEST, np.int64), np.empty(LONGEST, np.int64)
        self._steps = 0

    def again(self, jobs: Jobs, seed: int) -> Learners:
        """Agents with copies of these networks and a generator of their own, on other jobs."""
        other = Learners(jobs, self.view, self.settings, seed)
        other._nets = self._nets._replace(weights=self._nets.weights.copy())
        return other

    def train(self, handoffs: int) -> None:
        """Run `handoffs` more options in stages, each with a smaller step than the last."""
        for size in np.geomspace(self.settings.size, self.settings.last, STAGES).tolist():
            self._play(size, self.settings.behaviour, -1, handoffs // STAGES)

    def learn(self, handoffs: int) -> None:
        """Run `handoffs` more options with the first step, and finish the workflow under way."""
        self._play(self.settings.size, self.settings.behaviour, -1, handoffs)

    def _play(self, size: float, behaviour: Behaviour, posed: int, handoffs: int) -> bool:
        how = Learning(behaviour, size, self.settings.ease, self.settings.rarest)
        count, crossed, right = play(
            self._bench,
            self._nets,
            how,
            self._eagerness,
            self._room,
            self.first,
            posed,
            handoffs,
            self.handoffs,
            self._agents,
            self._items,
            self._rng,
        )
        self.handoffs += count
        self.crossed += crossed
        self._steps = count
        return bool(right)

    def scrambled(self, seed: int) -> Learners:
        """Agents that have learnt nothing and value actions at random, yet by what they see."""
        other = self.again(self.jobs, seed)
        weights = other._nets.weights
        weights[:] = SCRAMBLED * generator(seed).standard_normal(weights.shape)
        return other

    def write(self, job: int, behaviour: Behaviour | None = None) -> tuple[Program, bool]:
        """One attempt at a job: the program, and whether it is right on all vectors.

        Args:
            job: which one.
            behaviour: how actions are drawn; None: greedily.
        """
        kept = self.handoffs, self.crossed, self.first.copy(), self._eagerness.copy()
        right = self._play(0.0, behaviour or epsilon_greedy(0.0), job, 1)
        self.handoffs, self.crossed, self.first, self._eagerness = kept
        menus = self.jobs.crews[0].menus
        steps = range(self._steps)
        held = ((int(self._agents[n]), int(self._items[n])) for n in steps)
        return tuple(menus[i][k] for i, k in held if k < len(menus[i])), right


def _nets(rng: np.random.Generator, jobs: Jobs, settings: Settings) -> Nets:
    """Networks that give `hope` at the start: each neuron has a twin of the other sign."""
    count, width = int(jobs.n_agents[0]) ** 2, settings.width or 2
    made = new_networks(rng, count, n_features(settings.far), width, settings.radius)
    half = width // 2
    start, signs = made.start, made.signs
    start[:, :, half:], signs[:, half:] = start[:, :, :half], -signs[:, :half]
    linear = settings.width == 0
    weights = np.zeros_like(start) if linear else start.copy()
    return Nets(
        weights,
        start,
        signs,
        settings.radius / math.sqrt(width),
        linear,
        settings.far,
        settings.hope,
    )


def _room(jobs: Jobs, nets: Nets) -> Room:
    width = nets.signs.shape[1]
    return Room(
        np.empty((int(jobs.n_menu.max()) + 1, *jobs.start.shape[1:]), np.uint32),
        np.zeros((int(jobs.n_menu.max()) + 2, nets.weights.shape[1])),
        np.zeros((1, jobs.n_actions)),
        np.empty(width),
        np.empty(width),
    )


def narrowed(jobs: Jobs, kept: Sequence[int]) -> Jobs:
    """Some of the jobs."""
    return replace(jobs, jobs=tuple(jobs.jobs[number] for number in kept))
