"""The game with live models: a call is made when an agent takes it, and never else.

The moves, masks and observations are those of the replay (`maths.environment`), whose record is
filled in as the models answer. So what is learnt here and what is learnt from a replay differ in
nothing but where the answers come from.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from batonq.icq.environment import Turn
from batonq.tasks.maths.board import Attempt
from batonq.tasks.maths.environment import MathsEnvironment
from batonq.tasks.maths.extract import numbers_in
from batonq.tasks.maths.game import Stage
from batonq.tasks.maths.live.asking import Call
from batonq.tasks.maths.live.questions import Question
from batonq.tasks.maths.live.session import Session, Told, attempt_of, same
from batonq.tasks.maths.live.settings import Team
from batonq.tasks.maths.replay import GAMMA_TIMED, TICK_SECONDS, Replay

_MOST_NUMBERS: Final = 6  # questions with as many numbers or more are logged alike


@dataclass(frozen=True)
class Heard:
    """What came of a call that an agent took, and how it was read."""

    told: Told
    attempt: Attempt
    right: bool


# Makes a call at a question; of a check, what was heard of the call that it checks.
Hear = Callable[[Call, Question, Heard | None], Heard]


def hearing(session: Session) -> Hear:
    """Hear from the models of a session."""

    def hear(call: Call, question: Question, checked: Heard | None) -> Heard:
        told = session.ask(call, question, checked.told.answer.text if checked else "")
        attempt = attempt_of(told, question, checked.attempt if checked else None)
        return Heard(told, attempt, same(attempt.value, question.gold))

    return hear


class LiveEnvironment:
    """Agents answer questions together, one after the other in a given order.

    Each turn also tells, for logs only, the question's subject and how many numbers stand in it.

    Args:
        questions: in the order in which they are asked.
        team: agents and calls.
        hear: makes the calls.
        price: lambda, accuracy per unit of cost, at least 0.
        interface: "answers", "counts" or "own".

    Attributes:
        heard: for each question the calls made, by number; they are not made again.
        place: of the question that is held; -1 before the first.
        record: what the calls made so far came to, in the replay's form.
    """

    def __init__(
        self,
        questions: Sequence[Question],
        team: Team,
        hear: Hear,
        price: float,
        interface: str,
    ) -> None:
        self.heard: list[dict[int, Heard]] = [{} for _ in questions]
        self.place = -1
        self.record = _blank(team, len(questions))
        self._questions = questions
        self._team = team
        self._hear = hear
        self._price = price
        self._interface = interface
        self._stage = int(Stage.OPEN)
        self._replay = self._replay_of(0)
        self.agents = self._replay.agents
        self.gamma = self._replay.gamma

    def goto(self, place: int) -> None:
        """Let the next reset begin question `place`."""
        self.place = place - 1

    def reset(self, rng: np.random.Generator) -> Turn:
        """The next question, or the first after the last; the closer holds it."""
        self.place = (self.place + 1) % len(self._questions)
        self._replay = self._replay_of(self.place)
        return self._told(self._replay.reset(rng))

    def step(self, action: int) -> Turn:
        """Ask, hand on or submit.

        Raises:
            CallError: if a call had no usable answer; the game then stays where it is.
            SpentError: if it could cost more than is left; likewise.
        """
        asks = self._stage != Stage.CLOSE and action < len(self._team.calls)
        if asks and action not in self.heard[self.place]:
            self._call(action)
        return self._told(self._replay.step(action))

    def _replay_of(self, place: int) -> MathsEnvironment:
        return MathsEnvironment(self.record, self._price, np.array([place]), self._interface)

    def _told(self, turn: Turn) -> Turn:
        if turn.end is None:
            assert isinstance(turn.observation, tuple)  # noqa: S101 - the replay says so
            self._stage = int(turn.observation[0])
        question = self._questions[self.place]
        numbers = min(len(numbers_in(question.text)), _MOST_NUMBERS)
        return replace(turn, fields={"subject": question.subject, "numbers": numbers})

    def _call(self, action: int) -> None:
        heard, needed = self.heard[self.place], self._team.needs[action]
        checked = None if needed < 0 else heard[needed]
        heard[action] = self._hear(self._team.calls[action], self._questions[self.place], checked)
        self._fill(action)

    def _fill(self, action: int) -> None:
        """Enter a call in the record."""
        at, record = (self.place, action), self.record
        heard = self.heard[self.place]
        one = heard[action]
        answer = one.told.answer
        classes = record.answer[self.place]
        agrees = [k for k, other in heard.items() if same(one.attempt.value, other.attempt.value)]
        if agrees:
            earlier = [k for k in agrees if k != action]
            record.answer[at] = classes[earlier[0]] if earlier else classes.max() + 1
        record.plain[at] = one.attempt.plain
        record.right[at] = one.right
        record.cost[at] = one.told.cost
        record.tokens[at] = answer.tokens_in + answer.tokens_out
        record.ticks[at] = max(1, int(np.ceil(answer.seconds / TICK_SECONDS)))


def _blank(team: Team, count: int) -> Replay:
    """A record of so many questions without any call."""
    shape = (count, len(team.calls))
    return Replay(
        models=team.agents,
        prompts=tuple(call.work for call in team.calls),
        owner=np.array(team.owner, np.int64),
        answer=np.full(shape, -1, np.int64),
        plain=np.zeros(shape, np.bool_),
        right=np.zeros(shape, np.bool_),
        cost=np.zeros(shape),
        tokens=np.zeros(shape, np.int64),
        private=np.zeros((*shape, 0)),
        gamma=GAMMA_TIMED,
        seconds=np.zeros(shape),
        needs=team.needs,
    )
