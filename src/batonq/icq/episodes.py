"""Training on a Python environment: one transition at a time, each agent its own Q-function."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from batonq.base.errors import ModelError
from batonq.base.seeds import generators
from batonq.icq import update
from batonq.icq.baselines import NEGLIGIBLE, RETURN_BLOCK, Learner
from batonq.icq.behaviour import Behaviour, choose, epsilon_greedy, uniform
from batonq.icq.environment import Environment, Turn, check_agents, checked
from batonq.icq.floor import Exchange, Floor, MakeQ, Seat, as_it_is
from batonq.icq.record import ENDS, TRACE
from batonq.icq.run import Run, Table
from batonq.icq.settings import Settings
from batonq.icq.tabular import TabularQ

EVALUATION_EPISODES = 100
LONGEST_EPISODE = 10_000  # epochs after which an evaluation episode is broken off


@dataclass(frozen=True, eq=False)
class Step:
    """One decision and what came of it.

    Attributes:
        seat: who decided, on what.
        action: what it chose.
        propensity: with what chance.
        turn: what the environment returned.
        discount: gamma**tau of the option.
        following: who holds control next; None after termination.
    """

    seat: Seat
    action: int
    propensity: float
    turn: Turn
    discount: float
    following: Seat | None


def train_episodes(
    environment: Environment,
    learner: Learner,
    settings: Settings,
    progress: Callable[[int], None],
    make_q: MakeQ | None = None,
    exchange: Exchange = as_it_is,
) -> Run:
    """Train on an environment; see `batonq.icq.train.train` for the arguments."""
    check_agents(environment)
    contraction = float(environment.gamma)
    clock = settings.clock_for(learner, contraction)
    stops = settings.stops(learner, contraction)
    make = make_q or (lambda _name, count: TabularQ(count, clock, settings.initial))
    apart = _copy_of(environment)
    seen: dict[tuple[str, Hashable], int] = {}
    seeds, curves = [], []
    for number, rng in enumerate(generators(settings.seed, settings.seeds)):
        seed = _Seed(environment, Floor(environment, learner, make, exchange), settings, rng, seen)
        curve = []
        for k, stop in enumerate(stops):
            seed.advance(learner, int(stop), progress)
            judge = np.random.default_rng([settings.seed, number, k])
            curve.append(value_of_greedy(apart, seed.floor, learner, judge))
        seeds.append(seed)
        curves.append(curve)
    return Run(
        learner=learner.name,
        settings={"sight": learner.sight, **settings.to_json()},
        agents=tuple(environment.agents),
        tables=tuple(_tables(seed.floor) for seed in seeds),
        points=stops,
        curve=np.array(curves),
        quotes_crossed=np.array([seed.floor.crossed for seed in seeds]),
        traces=tuple(seed.trace for seed in seeds) if settings.record else (),
        trace_observations=tuple(observation for _, observation in seen),
    )


class _Seed:
    """One seed's place in the environment, and what it keeps."""

    def __init__(
        self,
        environment: Environment,
        floor: Floor,
        settings: Settings,
        rng: np.random.Generator,
        seen: dict[tuple[str, Hashable], int],
    ) -> None:
        self.floor = floor
        self.trace = np.zeros(settings.handoffs if settings.record else 0, TRACE)
        self._environment = environment
        self._agents = list(environment.agents)
        self._behaviour = settings.behaviour
        self._rng = rng
        self._seen = seen
        self._done = 0
        self._seat = _start(environment, floor, rng)

    def advance(self, learner: Learner, stop: int, progress: Callable[[int], None]) -> None:
        """Train until `stop` handoffs are done; a phased learner takes this as one phase."""
        if learner.phased:
            self.floor.freeze()
        block: list[Step] = []
        while self._done < stop:
            step = take(self._environment, self.floor, self._seat, self._behaviour, self._rng)
            quote = 0.0 if step.following is None else self.floor.ask(step.following, step.seat)
            if learner.returns:
                block.append(step)
                if len(block) == RETURN_BLOCK or self._done == stop - 1:
                    learn_returns(block)
                    block.clear()
            elif learner.learns:
                worth = update.target(step.turn.reward, step.discount, quote)
                step.seat.q.update(step.seat.y, step.action, worth)
            if len(self.trace):
                self._record(step, quote)
            fresh = step.turn.end is not None
            self._seat = (
                _start(self._environment, self.floor, self._rng)
                if fresh or step.following is None
                else step.following
            )
            self._done += 1
            progress(1)

    def _record(self, step: Step, quote: float) -> None:
        seat = step.seat
        cell = self._seen.setdefault((seat.agent, seat.observation), len(self._seen))
        receiver = -1 if step.following is None else self._agents.index(step.following.agent)
        self.trace[self._done] = (
            self._agents.index(seat.agent),
            cell,
            step.action,
            receiver,
            ENDS.index(step.turn.end),
            step.propensity,
            step.turn.reward,
            step.turn.duration,
            quote,
        )


def take(
    environment: Environment,
    floor: Floor,
    seat: Seat,
    behaviour: Behaviour,
    rng: np.random.Generator,
) -> Step:
    """Let the holder decide and run its option."""
    values = seat.answers.values(seat.y, seat.mask)
    action, propensity = choose(values[None], 0, seat.mask[None], 0, behaviour, rng)
    turn = checked(environment.step(action), environment.agents)
    following = None if turn.end == "terminal" else floor.sit(turn)
    discount = update.discount(environment.gamma, turn.duration)
    return Step(seat, action, propensity, turn, discount, following)


def learn_returns(block: list[Step]) -> None:
    """Monte Carlo: move values toward the return that followed, backwards over a block.

    A workflow broken off, or still open at the end of the block, has no return; its steps count
    only where what is missing is discounted to almost nothing.
    """
    value, missing = 0.0, 1.0
    for step in reversed(block):
        if step.turn.end is not None:
            value, missing = 0.0, 0.0 if step.following is None else 1.0
        value = update.target(step.turn.reward, step.discount, value)
        missing *= step.discount
        if missing <= NEGLIGIBLE:
            step.seat.q.update(step.seat.y, step.action, value)


def value_of_greedy(
    environment: Environment, floor: Floor, learner: Learner, rng: np.random.Generator
) -> float:
    """Mean discounted return of greedy episodes from the start; of random ones if none learns."""
    behaviour = epsilon_greedy(0.0) if learner.learns else uniform()
    apart = floor.apart(environment)
    total = 0.0
    for _ in range(EVALUATION_EPISODES):
        seat = _start(environment, apart, rng)
        discount = 1.0
        for _ in range(LONGEST_EPISODE):
            step = take(environment, apart, seat, behaviour, rng)
            total += discount * step.turn.reward
            discount *= step.discount
            if step.turn.end is not None or step.following is None or discount < NEGLIGIBLE:
                break
            seat = step.following
    return total / EVALUATION_EPISODES


def _start(environment: Environment, floor: Floor, rng: np.random.Generator) -> Seat:
    return floor.sit(checked(environment.reset(rng), environment.agents, start=True))


def _copy_of(environment: Environment) -> Environment:
    try:
        return copy.deepcopy(environment)
    except Exception as error:
        raise ModelError(
            f"environment: cannot be copied for evaluation ({error}); give it a __deepcopy__"
        ) from error


def _tables(floor: Floor) -> dict[str, Table]:
    return {name: q.table() for name, q in floor.q.items() if isinstance(q, TabularQ)}
