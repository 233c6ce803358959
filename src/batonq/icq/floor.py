"""Where agents of a Python environment sit, and the one place where a quote is asked for."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool

from batonq.base.errors import ModelError
from batonq.icq.baselines import Learner
from batonq.icq.environment import Environment, Turn, mask_of
from batonq.icq.qfunction import QFunction
from batonq.icq.run import CENTRAL

Exchange = Callable[[float], float]
MakeQ = Callable[[str, int], QFunction]


def as_it_is(quote: float) -> float:
    """The default exchange: the scalar crosses unchanged."""
    return quote


@dataclass(frozen=True, eq=False)
class Seat:
    """A holder about to decide.

    Attributes:
        agent: its name.
        q: the Q-function that learns from its decision.
        answers: the one that acts and quotes: `q` itself, or a frozen copy in a phase.
        y: what `q` is given to see.
        observation: what the agent itself sees.
        mask: permitted actions.
    """

    agent: str
    q: QFunction
    answers: QFunction
    y: Hashable
    observation: Hashable
    mask: Bool[np.ndarray, " action"]


class Floor:
    """One seed's Q-functions, separately made, and the exchange between them.

    Attributes:
        q: Q-function by agent; the centralised learner has one, "central".
        crossed: how many quotes went from one Q-function's owner to another's.
    """

    def __init__(
        self, environment: Environment, learner: Learner, make_q: MakeQ, exchange: Exchange
    ) -> None:
        agents = environment.agents
        self._environment = environment
        self._learner = learner
        self._exchange = exchange
        self._width = max(agents.values())
        if learner.sight == "own":
            self.q = {name: make_q(name, count) for name, count in agents.items()}
        else:
            self.q = {CENTRAL: make_q(CENTRAL, self._width)}
        self._answers: Mapping[str, QFunction] = self.q
        self.crossed = 0

    def apart(self, environment: Environment) -> Floor:
        """What the agents have learnt by now, on another environment, for evaluation."""
        other = copy.copy(self)
        other._environment = environment
        other._answers = self.q
        return other

    def freeze(self) -> None:
        """Start a phase: from now on everyone acts and quotes from a copy."""
        self._answers = {name: q.frozen() for name, q in self.q.items()}

    def sit(self, turn: Turn) -> Seat:
        """Seat the holder of a checked turn, with the sight its learner has."""
        agent, seen = str(turn.agent), turn.observation
        mask = mask_of(turn, self._environment.agents)
        if self._learner.sight == "own":
            return Seat(agent, self.q[agent], self._answers[agent], seen, seen, mask)
        wide = np.zeros(self._width, np.bool_)
        wide[: len(mask)] = mask
        y = (agent, seen if self._learner.sight == "features" else _joint(self._environment))
        return Seat(agent, self.q[CENTRAL], self._answers[CENTRAL], y, seen, wide)

    def ask(self, receiver: Seat, sender: Seat) -> float:
        """The quote the sender learns from; between owners, the one float that is exchanged.

        Raises:
            ModelError: if the receiver's Q-function answers with anything but a finite number.
        """
        if self._learner.silent and receiver.agent != sender.agent:
            return 0.0
        quote = float(receiver.answers.quote(receiver.y, receiver.mask))
        if receiver.q is not sender.q:
            self.crossed += 1
            quote = float(self._exchange(quote))
        if not math.isfinite(quote):
            raise ModelError(
                f"quote: agent '{receiver.agent}' answered {quote} at {receiver.observation!r}; "
                "a quote is a finite number"
            )
        return quote


def _joint(environment: Environment) -> Hashable:
    joint = getattr(environment, "joint", None)
    if joint is None:
        raise ModelError(
            "sight 'joint': the environment has no joint(); add it or use sight 'features'"
        )
    seen: Hashable = joint()
    return seen
