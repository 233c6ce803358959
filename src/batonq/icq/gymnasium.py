"""Gymnasium, both ways: an environment of batonq as theirs, and theirs as one of batonq."""

from __future__ import annotations

import copy
from collections.abc import Callable, Hashable
from typing import Any

import numpy as np

from batonq.base.errors import ModelError
from batonq.icq import spaces, update
from batonq.icq.environment import Environment, Turn, check_agents, checked
from batonq.icq.spaces import Encoding

try:
    import gymnasium
except ModuleNotFoundError as error:
    raise ImportError(
        "batonq.icq.gymnasium needs the package gymnasium; pip install 'batonq[gymnasium]'"
    ) from error


def to_gymnasium(
    environment: Environment, encoding: Encoding | None = None
) -> gymnasium.Env[Any, Any]:
    """One policy for all holders, as an environment of Gymnasium.

    The policy sees who holds control and what the holder sees. So an environment with one agent
    becomes that agent's; `fold.folded` leaves one, the others acting by policies of yours.

    `info` has "agent", "action_mask" (int8), and about the option just run "action", "duration" in
    primitive steps and "discount", gamma**duration: Gymnasium's own learners discount each step
    alike, and one that is to solve the same problem multiplies by this instead. An action that is
    not permitted stands for the permitted one whose rank is its number modulo how many there are;
    `info["action"]` says which ran. After termination the last observation is repeated.

    `reset(seed=...)` seeds all chance; `reset(options={"rng": generator})` draws from a generator
    of yours instead.

    Args:
        environment: any environment; its `close`, if it has one, is called by `close`.
        encoding: spaces and codes of observations. By default those met in 10,000 steps of random
            play are numbered (`spaces.discovered`); one met for the first time later is an error.
            If all agents' spaces are Discrete they are put end to end in one Discrete, in the
            order of agents. Otherwise they must all be equal, and `encode` is given the agent.

    Raises:
        ModelError: for an environment or an encoding that cannot be right.
    """
    return CentralEnv(environment, spaces.encoding_for(environment, encoding))


class CentralEnv(gymnasium.Env[Any, Any]):
    """What `to_gymnasium` returns."""

    metadata = {"render_modes": []}  # noqa: RUF012 - Gymnasium's own annotation

    def __init__(self, environment: Environment, encoding: Encoding) -> None:
        self._environment = environment
        self._encoding = encoding
        self._agents = dict(environment.agents)
        self._width = max(self._agents.values())
        self._turn = Turn(end="terminal")
        self._seen: Any = None
        self.action_space = gymnasium.spaces.Discrete(self._width)
        self.observation_space, self._offsets = _one_space(encoding, self._agents)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Start a workflow; see `to_gymnasium` for `options`."""
        super().reset(seed=seed)
        rng = (options or {}).get("rng", self.np_random)
        self._turn = checked(self._environment.reset(rng), self._agents, start=True)
        return self._shown(), self._holder()

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        """Run one option of the holder."""
        if self._turn.end is not None:
            raise ModelError("step: the workflow has ended or not begun; call reset first")
        ran = self._permitted(int(action))
        turn = self._turn = checked(self._environment.step(ran), self._agents)
        info = {
            "action": ran,
            "duration": turn.duration,
            "discount": update.discount(self._environment.gamma, turn.duration),
        }
        over = turn.end == "terminal"
        shown = copy.deepcopy(self._seen) if over else self._shown()
        if not over:
            info |= self._holder()
        return shown, float(turn.reward), over, turn.end == "truncated", info

    def close(self) -> None:
        """Close the environment, if it can be closed."""
        close = getattr(self._environment, "close", None)
        if close is not None:
            close()

    def _permitted(self, action: int) -> int:
        allowed = np.flatnonzero(spaces.permitted(self._turn, self._agents, self._width))
        if action in allowed:
            return action
        if not 0 <= action < self._width:
            raise ModelError(f"step: action {action} is not in 0 to {self._width - 1}")
        return int(allowed[action % len(allowed)])

    def _shown(self) -> Any:
        agent = str(self._turn.agent)
        code = self._encoding.encode(agent, self._turn.observation)
        self._seen = code if self._offsets is None else np.int64(self._offsets[agent] + code)
        return self._seen

    def _holder(self) -> dict[str, Any]:
        mask = spaces.permitted(self._turn, self._agents, self._width)
        return {"agent": self._turn.agent, "action_mask": mask}


def _one_space(
    encoding: Encoding, agents: dict[str, int]
) -> tuple[gymnasium.Space[Any], dict[str, int] | None]:
    """One space for all agents; and, where Discrete ones are put end to end, where each begins."""
    own = {name: encoding.spaces[name] for name in agents}
    offsets, total = {}, 0
    for name, space in own.items():
        if not isinstance(space, gymnasium.spaces.Discrete):
            break
        offsets[name] = total - int(space.start)
        total += int(space.n)
    else:
        return gymnasium.spaces.Discrete(total), offsets
    first = next(iter(own.values()))
    if any(space != first for space in own.values()):
        raise ModelError(
            "encoding: one policy needs one space; make all agents' spaces Discrete, or all equal "
            "with the agent encoded in them"
        )
    return first, None


def _seeded(env: gymnasium.Env[Any, Any], rng: np.random.Generator) -> Any:
    return env.reset(seed=spaces.seed_from(rng))


def from_gymnasium(
    env: gymnasium.Env[Any, Any],
    *,
    gamma: float,
    agent: str = "agent",
    observe: Callable[[Any], Hashable] = spaces.hashable,
    start: Callable[[gymnasium.Env[Any, Any], np.random.Generator], Any] = _seeded,
) -> Environment:
    """An environment of Gymnasium as a workflow of one agent that always hands to itself.

    Terminated becomes the end "terminal", truncated "truncated", so that what follows is still
    asked for. A mask is read from `info["action_mask"]` or the observation's key of that name, and
    the duration of a step from `info["duration"]`, 1 if there is none.

    Args:
        env: with a Discrete action space.
        gamma: discount per primitive step, in (0, 1]; Gymnasium leaves it to the learner.
        agent: the agent's name.
        observe: from an observation (without its mask) to a hashable one, all the agent sees; by
            default `spaces.hashable`.
        start: starts an episode and returns what `env.reset` does; by default it resets with a
            seed drawn from the workflow's generator.

    Raises:
        ModelError: if the action space is not Discrete, or gamma not in (0, 1].
    """
    made = _FromGymnasium(env, gamma, agent, observe, start)
    check_agents(made)
    return made


class _FromGymnasium:
    """See `from_gymnasium`."""

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        gamma: float,
        agent: str,
        observe: Callable[[Any], Hashable],
        start: Callable[[gymnasium.Env[Any, Any], np.random.Generator], Any],
    ) -> None:
        count, self._first = spaces.actions_of(env.action_space, f"agent '{agent}'")
        self._env = env
        self._agent = agent
        self._observe = observe
        self._start = start
        self.agents = {agent: count}
        self.gamma = gamma

    def reset(self, rng: np.random.Generator) -> Turn:
        """Start an episode."""
        raw, info = self._start(self._env, rng)
        seen, mask = spaces.parted(raw, info)
        return Turn(self._agent, self._observe(seen), mask)

    def step(self, action: int) -> Turn:
        """Take one step."""
        raw, reward, terminated, truncated, info = self._env.step(action + self._first)
        duration = spaces.duration_of(info)
        if terminated:
            return Turn(reward=float(reward), duration=duration, end="terminal")
        seen, mask = spaces.parted(raw, info)
        return Turn(
            self._agent,
            self._observe(seen),
            mask,
            float(reward),
            duration,
            end="truncated" if truncated else None,
        )

    def close(self) -> None:
        """Close the environment."""
        self._env.close()
