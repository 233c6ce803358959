"""Learning on-line while asking: IC-Q on one question after the other, each asked once.

The first half of the questions is learnt from, with an exploration that falls: a question is either
explored, with any move at every decision, or played with best moves only, so that what the team
would do by now is tried as a whole. Which ones are explored is agreed before the first, so that it
takes no word between agents. The second half is judged: values stand still and everybody
takes its best move. What an agent has hardly seen, it judges by what is like it (`leaning`).

A receiver quotes when it has been answered itself, at the end of a question (`icq_late`): a
question then teaches all its decisions and not the last one only, which counts where every question
is paid for.

No question is asked for evaluation only, and the agents' logs of the judged half are made from
what was heard, without another call.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from batonq.base.errors import BatonqError, CallError, SpentError
from batonq.base.files import Json
from batonq.base.seeds import generator
from batonq.icq import clocks, update
from batonq.icq.baselines import learner_named
from batonq.icq.behaviour import Behaviour, epsilon_greedy, uniform
from batonq.icq.environment import checked
from batonq.icq.episodes import take
from batonq.icq.floor import Floor, as_it_is
from batonq.icq.log import Log
from batonq.icq.observe import observe_environment
from batonq.icq.run import Run
from batonq.icq.tabular import TabularQ
from batonq.tasks.maths.live.environment import Heard, LiveEnvironment
from batonq.tasks.maths.live.leaning import LeaningQ

LEARNER: Final = "icq_late"
POWER: Final = 0.7  # step n**-0.7 at the n-th update of a cell and action
LEAST: Final = 0.1  # chance to explore at the end of learning; it falls from 1 in a line
_GREEDY: Final = epsilon_greedy(0.0)


@dataclass(frozen=True)
class Episode:
    """One question, from its opening to what was submitted.

    Attributes:
        place: of the question.
        epsilon: 1 if it was explored, 0 if everybody took its best move.
        moves: the holder and the next holder at each decision, by number; -1 for the end.
        asked: the calls made, in that order.
        submitted: the call whose answer was submitted; -1: none.
        right: whether that answer is right.
        value: the discounted return.
    """

    place: int
    epsilon: float
    moves: tuple[tuple[int, int], ...]
    asked: tuple[int, ...]
    submitted: int
    right: bool
    value: float

    def to_json(self, heard: Mapping[int, Heard]) -> dict[str, Json]:
        """The episode with what its calls took."""
        return {**vars(self), "calls": [_told(call, heard[call]) for call in self.asked]}


@dataclass(frozen=True, eq=False)
class Played:
    """What a session came to.

    Attributes:
        episodes: one for each question that was finished.
        learning: how many questions were to be learnt from.
        run: what was learnt.
        logs: each agent's log of the judged questions; empty if none was judged.
        crossed: scalars that went from one agent to another.
        stopped: why not all questions were asked; None if they were.
    """

    episodes: tuple[Episode, ...]
    learning: int
    run: Run
    logs: Mapping[str, Log]
    crossed: int
    stopped: BatonqError | None


def play(
    environment: LiveEnvironment,
    seed: int,
    progress: Callable[[], None] = lambda: None,
    table: type[LeaningQ] | type[TabularQ] = LeaningQ,
) -> Played:
    """Play all questions once.

    A call that cannot be made, or that the budget does not allow, ends the play; the question it
    was for is left out, and what was heard stays in the cache.

    Args:
        environment: the questions and who answers them.
        seed: of the exploration.
        progress: called after each question.
        table: what each agent learns in.
    """
    count = len(environment.heard)
    learning = count // 2
    floor = Floor(
        environment,
        learner_named(LEARNER),
        lambda _name, n_actions: table(n_actions, clocks.power(POWER)),
        as_it_is,
    )
    rng = generator(seed)
    episodes: list[Episode] = []
    stopped: BatonqError | None = None
    environment.goto(0)
    try:
        for place in range(count):
            learns = place < learning
            explores = learns and rng.random() < exploration(place, learning)
            behaviour = uniform() if explores else _GREEDY
            episodes.append(_episode(environment, floor, behaviour, learns, rng))
            progress()
    except (CallError, SpentError) as error:
        stopped = error
    run = _run(environment, floor, episodes[:learning], episodes[learning:], seed)
    logs = _logs(environment, run, learning, episodes[learning:])
    return Played(tuple(episodes), learning, run, logs, floor.crossed, stopped)


def exploration(place: int, learning: int) -> float:
    """The chance that the `place`-th of `learning` questions is explored."""
    return max(LEAST, 1.0 - place / learning)


def _episode(
    environment: LiveEnvironment,
    floor: Floor,
    behaviour: Behaviour,
    learns: bool,
    rng: np.random.Generator,
) -> Episode:
    names = list(environment.agents)
    seat = floor.sit(checked(environment.reset(rng), environment.agents, start=True))
    steps = [take(environment, floor, seat, behaviour, rng)]
    while (following := steps[-1].following) is not None:
        steps.append(take(environment, floor, following, behaviour, rng))
    value = 0.0
    for step in reversed(steps):
        quote = 0.0 if step.following is None else floor.ask(step.following, step.seat)
        if learns:
            worth = update.target(step.turn.reward, step.discount, quote)
            step.seat.q.update(step.seat.y, step.action, worth)
        value = update.target(step.turn.reward, step.discount, value)
    *before, last = steps
    asked = [step.action for step in before if step.action < len(environment.record.owner)]
    submits = last.action in asked
    return Episode(
        place=environment.place,
        epsilon=behaviour.parameter,
        moves=tuple(
            (
                names.index(step.seat.agent),
                -1 if step.following is None else names.index(step.following.agent),
            )
            for step in steps
        ),
        asked=tuple(asked),
        submitted=last.action if submits else -1,
        right=submits and environment.heard[environment.place][last.action].right,
        value=value,
    )


def _run(
    environment: LiveEnvironment,
    floor: Floor,
    learnt: list[Episode],
    judged: list[Episode],
    seed: int,
) -> Run:
    tables = {name: q.table() for name, q in floor.q.items() if isinstance(q, LeaningQ | TabularQ)}
    decisions = sum(len(one.moves) for one in learnt)
    value = float(np.mean([one.value for one in judged])) if judged else 0.0
    return Run(
        learner=LEARNER,
        settings={"sight": "own", "seed": seed, "initial": 0.0, "clock": ["power", POWER]},
        agents=tuple(environment.agents),
        tables=(tables,),
        points=np.array([decisions]),
        curve=np.array([[value]]),
        quotes_crossed=np.array([floor.crossed]),
    )


def _logs(
    environment: LiveEnvironment, run: Run, first: int, judged: list[Episode]
) -> Mapping[str, Log]:
    """The judged questions once more, from what was heard: the moves are the same."""
    if not judged:
        return {}
    environment.goto(first)
    handoffs = sum(len(one.moves) for one in judged)
    return observe_environment(environment, run, handoffs=handoffs, behaviour=_GREEDY)


def _told(call: int, heard: Heard) -> Json:
    told = heard.told
    return {
        "call": call,
        "cached": told.cached,
        "tokens_in": told.answer.tokens_in,
        "tokens_out": told.answer.tokens_out,
        "cost": told.cost,
        "seconds": told.answer.seconds,
        "answered": heard.attempt.value is not None,
        "right": heard.right,
        "refused": told.refused,
    }
