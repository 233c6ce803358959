"""The replay as a Python environment: what a user's own workflow would look like.

It reads the recorded answers one question at a time and knows nothing of the compiled model; the
tests show that training on either gives the same tables.
"""

from __future__ import annotations

from collections.abc import Hashable

import numpy as np
from jaxtyping import Int

from batonq.base.errors import ModelError
from batonq.icq.environment import Turn
from batonq.tasks.maths.game import Stage, open_calls
from batonq.tasks.maths.interfaces import check_interface
from batonq.tasks.maths.replay import Replay


class MathsEnvironment:
    """Agents answer recorded questions together; see `game` for the moves.

    Observations are tuples: the stage, who has been asked, and what the interface shows (without
    texts: the board's flags are left out). It takes one number from the generator per question and
    one per move, as the kernel does, so that both walk the same trajectory.

    Args:
        replay: the recorded answers.
        price: lambda, accuracy per unit of cost, at least 0.
        rows: the questions to draw from.
        interface: "answers", "counts" or "own".

    Raises:
        ModelError: if there is no such interface.
    """

    def __init__(
        self, replay: Replay, price: float, rows: Int[np.ndarray, " row"], interface: str
    ) -> None:
        check_interface(interface)
        if interface == "board":
            raise ModelError("interface: 'board' shows texts, which no observation here holds")
        self._replay = replay
        self._price = price
        self._interface = interface
        self._rows = rows
        self._rng = np.random.default_rng(0)
        self._question = 0
        self._agent = len(replay.models)
        self._asked: tuple[int, ...] = ()
        self._stage = Stage.OPEN
        self.agents = dict.fromkeys(replay.agents, replay.n_calls + len(replay.models) + 1)
        self.gamma = replay.gamma

    def reset(self, rng: np.random.Generator) -> Turn:
        """Draw a question; the closer holds it."""
        self._rng = rng
        chance = np.full(len(self._rows), 1 / len(self._rows))
        drawn = int(np.searchsorted(np.cumsum(chance), rng.random(), side="right"))
        self._question = int(self._rows[min(drawn, len(self._rows) - 1)])
        self._agent, self._asked, self._stage = len(self._replay.models), (), Stage.OPEN
        return self._turn(0.0, 1)

    def step(self, action: int) -> Turn:
        """Ask, hand on or submit."""
        self._rng.random()
        replay, n_calls = self._replay, self._replay.n_calls
        if self._stage == Stage.CLOSE:
            right = action < n_calls and bool(replay.right[self._question, action])
            return Turn(reward=float(right), end="terminal")
        if action < n_calls:
            self._asked = tuple(sorted((*self._asked, action)))
            self._stage = Stage.HAND
            cost = float(replay.cost[self._question, action])
            return self._turn(-self._price * cost, int(replay.ticks[self._question, action]))
        self._agent = action - n_calls
        to_closer = self._agent == len(replay.models)
        self._stage = Stage.CLOSE if to_closer else Stage.WORK
        return self._turn(0.0, 1)

    def _turn(self, reward: float, duration: int) -> Turn:
        return Turn(
            agent=self._replay.agents[self._agent],
            observation=(int(self._stage), self._asked, self._seen()),
            mask=self._mask(),
            reward=reward,
            duration=duration,
        )

    def _mask(self) -> list[bool]:
        replay = self._replay
        calls, models = range(replay.n_calls), range(len(replay.models))
        if self._stage == Stage.CLOSE:
            ready = [call in self._asked and self._answer(call) >= 0 for call in calls]
            return [*ready, *(False for _ in models), not any(ready)]
        unused = open_calls(frozenset(self._asked), replay.needs or (-1,) * replay.n_calls)
        mine = [call in unused and replay.owner[call] == self._agent for call in calls]
        if self._stage == Stage.WORK:
            return [*mine, *(False for _ in models), False]
        others = [
            model != self._agent and any(replay.owner[call] == model for call in unused)
            for model in models
        ]
        return [*mine, *others, self._stage == Stage.HAND]

    def _seen(self) -> Hashable:
        """What the interface shows of this question, as plain numbers."""
        replay, asked = self._replay, self._asked
        answers = [self._answer(call) for call in asked]
        plain = [bool(replay.plain[self._question, call]) for call in asked]
        own: list[Hashable] = [
            (answer >= 0, is_plain)
            for call, answer, is_plain in zip(asked, answers, plain, strict=True)
            if replay.owner[call] == self._agent
        ]
        if self._stage == Stage.CLOSE:
            own.append(tuple(answer >= 0 for answer in answers))
        if self._interface == "own":
            return tuple(own)
        if self._interface == "counts":
            counts = (answers.count(answer) if answer >= 0 else 0 for answer in answers)
            return (*own, tuple(counts))
        names = {answer: answers.index(answer) for answer in answers}
        groups = tuple(names[answer] if answer >= 0 else -1 for answer in answers)
        return (*own, groups, tuple(plain))

    def _answer(self, call: int) -> int:
        return int(self._replay.answer[self._question, call])
