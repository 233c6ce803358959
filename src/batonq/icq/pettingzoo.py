"""PettingZoo's agent-environment cycle (AEC), both ways: its turns are handoffs, and back."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Mapping
from typing import Any

import numpy as np

from batonq.base.errors import ModelError
from batonq.icq import update
from batonq.icq.environment import Environment, Turn, check_agents, checked

try:
    from pettingzoo import AECEnv
except ModuleNotFoundError as error:
    raise ImportError(
        "batonq.icq.pettingzoo needs the package pettingzoo; pip install 'batonq[pettingzoo]'"
    ) from error

from gymnasium.spaces import Box, Dict, Discrete, Space

from batonq.icq import spaces
from batonq.icq.spaces import Encoding

Payoff = Callable[[str, Mapping[str, float]], float]


def to_pettingzoo(
    environment: Environment, encoding: Encoding | None = None
) -> AECEnv[str, Any, Any]:
    """An environment of batonq as one of PettingZoo: the holder is the agent whose turn it is.

    An agent's observation is a dict: "observation", by the encoding, and "action_mask", int8, all
    zeros for those who do not hold control; they are shown what they saw last. The payoff is
    common: every agent's reward of a step is that of the option just run, since that is whose sum
    batonq maximises.

    PettingZoo adds up rewards between an agent's turns without discounting. So `infos[agent]` has
    what an agent needs to discount, all since its own last decision (or the start): "reward",
    discounted to it; "duration", primitive steps; "discount", gamma**duration.

    `reset(seed=...)` seeds all chance; `reset(options={"rng": generator})` draws from a generator
    of yours instead. An action that is not permitted is an error.

    Args:
        environment: any environment; its `close`, if it has one, is called by `close`.
        encoding: spaces and codes of observations. By default those met in 10,000 steps of random
            play are numbered (`spaces.discovered`); one met for the first time later is an error.

    Raises:
        ModelError: for an environment or an encoding that cannot be right.
    """
    return HandoffEnv(environment, spaces.encoding_for(environment, encoding))


class HandoffEnv(AECEnv[str, Any, Any]):
    """What `to_pettingzoo` returns."""

    metadata = {"render_modes": [], "name": "batonq", "is_parallelizable": False}  # noqa: RUF012

    def __init__(self, environment: Environment, encoding: Encoding) -> None:
        self._environment = environment
        self._encoding = encoding
        self._rng = np.random.default_rng()
        self._turn = Turn(end="terminal")
        self._last_seen: dict[str, Hashable] = {}
        self.possible_agents = list(environment.agents)
        self.agents: list[str] = []
        self.action_spaces = {name: Discrete(n) for name, n in environment.agents.items()}
        self.observation_spaces: dict[str, Space[Any]] = {
            name: Dict(
                {
                    "observation": encoding.spaces[name],
                    "action_mask": Box(0, 1, (n,), np.int8),
                }
            )
            for name, n in environment.agents.items()
        }

    def observation_space(self, agent: str) -> Space[Any]:
        """Space of what an agent is shown, always the same object."""
        return self.observation_spaces[agent]

    def action_space(self, agent: str) -> Space[Any]:
        """Space of an agent's actions, always the same object."""
        return self.action_spaces[agent]

    def reset(self, seed: int | None = None, options: dict[str, Any] | None = None) -> None:
        """Start a workflow; see `to_pettingzoo` for `options`."""
        if seed is not None:
            self._rng = np.random.default_rng(seed)
        rng = (options or {}).get("rng", self._rng)
        self.agents = self.possible_agents[:]
        self.rewards = dict.fromkeys(self.agents, 0.0)
        self._cumulative_rewards = dict.fromkeys(self.agents, 0.0)
        self.terminations = dict.fromkeys(self.agents, False)
        self.truncations = dict.fromkeys(self.agents, False)
        self.infos = {name: _nothing_yet() for name in self.agents}
        self._last_seen = {}
        first = self._environment.reset(rng)
        self._seat(checked(first, self._environment.agents, start=True))

    def observe(self, agent: str) -> dict[str, Any]:
        """What an agent is shown now: fresh if it holds control, else what it saw last."""
        agents = self._environment.agents
        mask = np.zeros(agents[agent], np.int8)
        if agent == self._turn.agent:
            mask = spaces.permitted(self._turn, agents, agents[agent])
        seen = self._last_seen.get(agent)
        return {"observation": self._encoding.encode(agent, seen), "action_mask": mask}

    def step(self, action: Any) -> None:
        """Run one option of the holder; None for an agent whose workflow has ended."""
        mover = self.agent_selection
        if self.terminations[mover] or self.truncations[mover]:
            self._was_dead_step(action)
            return
        count = self._environment.agents[mover]
        if (
            action is None
            or not 0 <= action < count
            or not self.observe(mover)["action_mask"][action]
        ):
            raise ModelError(
                f"step: action {action!r} is not permitted to agent '{mover}' at "
                f"{self._turn.observation!r}; heed the action mask"
            )
        turn = checked(self._environment.step(int(action)), self._environment.agents)
        self._cumulative_rewards[mover] = 0.0
        self.rewards = dict.fromkeys(self.agents, float(turn.reward))
        self._accumulate_rewards()
        self.infos[mover] = _nothing_yet()
        self.infos = {name: self._later(info, turn) for name, info in self.infos.items()}
        self.terminations = dict.fromkeys(self.agents, turn.end == "terminal")
        self.truncations = dict.fromkeys(self.agents, turn.end == "truncated")
        self._seat(turn)

    def close(self) -> None:
        """Close the environment, if it can be closed."""
        close = getattr(self._environment, "close", None)
        if close is not None:
            close()

    def _seat(self, turn: Turn) -> None:
        self._turn = turn
        if turn.end != "terminal":
            self.agent_selection = str(turn.agent)
            self._last_seen[self.agent_selection] = turn.observation

    def _later(self, info: dict[str, float], turn: Turn) -> dict[str, float]:
        duration = info["duration"] + turn.duration
        return {
            "reward": update.target(info["reward"], info["discount"], turn.reward),
            "duration": duration,
            "discount": update.discount(self._environment.gamma, duration),
        }


def _nothing_yet() -> dict[str, float]:
    return {"reward": 0.0, "duration": 0, "discount": 1.0}


def common(mover: str, rewards: Mapping[str, float]) -> float:
    """Payoff of a team all of whose members are given the same reward.

    Raises:
        ModelError: if they are not.
    """
    if any(reward != rewards[mover] for reward in rewards.values()):
        raise ModelError(
            f"payoff 'common': rewards {dict(rewards)} differ; choose pettingzoo.total, "
            "pettingzoo.of(agent), or pettingzoo.zero_sum for two opponents"
        )
    return float(rewards[mover])


def total(mover: str, rewards: Mapping[str, float]) -> float:
    """Payoff of a team that is after the sum of its members' rewards."""
    del mover
    return float(sum(rewards.values()))


def of(agent: str) -> Payoff:
    """Payoff as one agent sees it, whoever moves; fold the others' policies in, or they help it."""

    def payoff(mover: str, rewards: Mapping[str, float]) -> float:
        del mover
        return float(rewards.get(agent, 0.0))

    return payoff


def zero_sum(mover: str, rewards: Mapping[str, float]) -> float:
    """The mover's own payoff in a game of two opponents; train it with `exchange=opposed`.

    Raises:
        ModelError: if there are not two players whose rewards cancel.
    """
    if len(rewards) != 2 or not math.isclose(sum(rewards.values()), 0.0, abs_tol=1e-9):
        raise ModelError(
            f"payoff 'zero_sum': rewards {dict(rewards)} are not those of two opponents that cancel"
        )
    return float(rewards[mover])


def opposed(quote: float) -> float:
    """The exchange between two opponents: what is good for the receiver is bad for the sender.

    With `zero_sum` every update moves toward r - gamma**tau * (the opponent's best value), which
    is minimax Q-learning of alternating moves (Littman, 1994); nothing else in training changes.
    The learning curve of such a run adds up both sides' rewards and says nothing about strength.
    """
    return -quote


def _seeded(env: AECEnv[str, Any, Any], rng: np.random.Generator) -> None:
    env.reset(seed=spaces.seed_from(rng))


def _own(_agent: str, raw: Any) -> Hashable:
    return spaces.hashable(raw)


def from_pettingzoo(
    env: AECEnv[str, Any, Any],
    *,
    gamma: float,
    payoff: Payoff = common,
    observe: Callable[[str, Any], Hashable] = _own,
    start: Callable[[AECEnv[str, Any, Any], np.random.Generator], object] = _seeded,
) -> Environment:
    """An environment of PettingZoo as a workflow: the order of turns becomes handoffs.

    batonq's agents maximise one common sum, and a reward belongs to the option just run. So
    `payoff` says what a step of PettingZoo's is worth to that sum. Games of several parties with
    other aims have no such sum, and are not what batonq trains; two opponents are the exception,
    by `zero_sum` and `train(..., exchange=opposed)`.

    Dead agents are stepped over. When all are dead at once the workflow ends: "truncated" if
    the agent selected (or else any) was truncated and not terminated, and it is then asked for its
    quote; "terminal" otherwise. A mask is read from the observation's key "action_mask" or
    `infos[agent]["action_mask"]`; the duration of a step from `infos[agent]["duration"]` of
    the agent that moved, 1 if there is none: gamma then discounts each agent's step.

    Args:
        env: with `possible_agents` and Discrete action spaces. A parallel environment must be
            converted first (`pettingzoo.utils.parallel_to_aec`).
        gamma: discount per primitive step, in (0, 1].
        payoff: from (agent that moved, rewards of this step by agent) to the reward of its option:
            `common`, `total`, `of(agent)`, `zero_sum` or your own.
        observe: from (agent, observation without its mask) to a hashable one, all that agent sees;
            by default `spaces.hashable`.
        start: resets the environment; by default with a seed drawn from the workflow's generator.

    Raises:
        ModelError: if it is no AEC environment, an action space is not Discrete, or gamma is not
            in (0, 1]; while playing, if a payoff does not fit.
    """
    if not isinstance(env, AECEnv) or not hasattr(env, "possible_agents"):
        raise ModelError(
            f"environment: {env!r} is no AEC environment with possible_agents; convert a parallel "
            "one with pettingzoo.utils.parallel_to_aec"
        )
    made = _FromAEC(env, gamma, payoff, observe, start)
    check_agents(made)
    return made


class _FromAEC:
    """See `from_pettingzoo`."""

    def __init__(
        self,
        env: AECEnv[str, Any, Any],
        gamma: float,
        payoff: Payoff,
        observe: Callable[[str, Any], Hashable],
        start: Callable[[AECEnv[str, Any, Any], np.random.Generator], object],
    ) -> None:
        actions = {
            name: spaces.actions_of(env.action_space(name), f"agent '{name}'")
            for name in env.possible_agents
        }
        self._env = env
        self._payoff = payoff
        self._observe = observe
        self._start = start
        self._first = {name: first for name, (_, first) in actions.items()}
        self.agents = {name: count for name, (count, _) in actions.items()}
        self.gamma = gamma

    def reset(self, rng: np.random.Generator) -> Turn:
        """Start a workflow."""
        self._start(self._env, rng)
        return self._following(0.0, 1)

    def step(self, action: int) -> Turn:
        """Take one agent's step."""
        env = self._env
        mover = env.agent_selection
        env.step(action + self._first[mover])
        reward = self._payoff(mover, env.rewards)
        return self._following(reward, spaces.duration_of(env.infos.get(mover, {})))

    def close(self) -> None:
        """Close the environment."""
        self._env.close()

    def _following(self, reward: float, duration: float) -> Turn:
        env = self._env
        if all(self._dead(name) for name in env.agents):
            cut = [
                name
                for name in sorted(env.agents, key=lambda name: name != env.agent_selection)
                if not env.terminations[name]
            ]
            if not cut:
                return Turn(reward=reward, duration=duration, end="terminal")
            return self._turn(cut[0], reward, duration, end="truncated")
        while self._dead(env.agent_selection):
            env.step(None)
        return self._turn(env.agent_selection, reward, duration, end=None)

    def _dead(self, agent: str) -> bool:
        return bool(self._env.terminations[agent] or self._env.truncations[agent])

    def _turn(self, agent: str, reward: float, duration: float, end: Any) -> Turn:
        raw, mask = spaces.parted(self._env.observe(agent), self._env.infos[agent])
        return Turn(agent, self._observe(agent, raw), mask, reward, duration, end)
