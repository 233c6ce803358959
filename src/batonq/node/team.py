"""Team: the agents of one process, their peers elsewhere, and the store they learn in."""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from batonq.base.errors import ConflictError, ModelError, StoreError
from batonq.icq.clocks import Clock
from batonq.node import completing, opening, seeing
from batonq.node.agent import Agent, To
from batonq.node.core import ABSENT, MODES, Core, Counts
from batonq.node.event import MODE, Store
from batonq.node.exploration import Exploration
from batonq.node.learning import PHASE, Learner, Learning
from batonq.node.limits import END, Limits
from batonq.node.outcomes import Outcomes
from batonq.node.peers import trusting
from batonq.node.peers.peer import Peer
from batonq.node.peers.promises import Terms
from batonq.wire.declaration import Declaration
from batonq.wire.messages import check_name
from batonq.wire.scalar import Rounding, Scalar, range_from_reward

__all__ = ["ABSENT", "END", "Agent", "Team"]

logger = logging.getLogger(__name__)

BYPASS_VARIABLE = "BATONQ_BYPASS"


class Team(Outcomes):
    """The agents of one process; several threads may use it.

    Make one with `Team.open`; it owns its store until `close`. Also a context manager.
    """

    @staticmethod
    def open(
        path: str | Path | None,
        *,
        gamma: float,
        mode: str = "observe",
        reward_unit: str = "reward",
        reward_scale: float = 1.0,
        time_unit: str = "step",
        reward_range: tuple[float, float] = (-1.0, 1.0),
        quote_range: tuple[float, float] | None = None,
        bits: int = 8,
        rounding: Rounding = "nearest",
        explore: float | Exploration = 0.1,
        limits: Limits | None = None,
        ttl: float = 3600.0,
        durability: str = "normal",
        seed: int | None = None,
        name: str = "node",
        read_only: bool = False,
    ) -> Team:
        """Open a store, made if there is none, and go on where it was.

        Args:
            path: of the store's SQLite file; None: in memory, lost at the end.
            gamma: discount per unit of time, in [0, 1].
            mode: "observe" (the default route is taken and learnt from), "apply" (the policy
                decides) or "bypass" (nothing is logged or learnt). A mode set later stays in the
                store. The environment variable BATONQ_BYPASS=1 forces "bypass".
            reward_unit: what rewards count.
            reward_scale: one unit of a reward is this many of them.
            time_unit: what durations count.
            reward_range: bound of the reward gathered in a unit of time; gives the quotes' range.
            quote_range: the range of quotes itself, instead.
            bits: of a quote that goes to a peer.
            rounding: "nearest", "stochastic" or "exact" (with 64 bits).
            explore: epsilon in [0, 1], or an `Exploration`.
            limits: hard limits per workflow.
            ttl: seconds after which a handoff that still waits is closed.
            durability: "normal" survives the process's death, "full" also the machine's.
            seed: of exploration and of stochastic rounding; by default the system's own chance.
            name: of the node, in metrics and pages.
            read_only: look at the store of a node that may be running; only dry runs decide.

        Raises:
            StoreError: if the store cannot be used, or was made with other units.
            ModelError, WireError: for a setting that cannot be.
        """
        if mode not in MODES:
            raise ModelError(f"mode: '{mode}' is none of {', '.join(MODES)}")
        if not ttl > 0:
            raise ModelError(f"ttl: {ttl:g} seconds; give more than 0")
        low, high = quote_range or range_from_reward(*reward_range, gamma)
        declaration = Declaration(
            Scalar(low, high, 64 if rounding == "exact" else bits, rounding),
            gamma,
            time_unit,
            reward_unit,
            reward_scale,
        )
        exploration = explore if isinstance(explore, Exploration) else Exploration(explore)
        core = Core(
            name=name,
            store=opening.store_at(path, durability, read_only),
            declaration=declaration,
            exploration=exploration,
            limits=limits or Limits(),
            ttl=ttl,
            mode=mode,
            read_only=read_only,
            rng=random.Random(seed),  # noqa: S311 - exploration, not secrets
        )
        try:
            opening.begin(core)
        except BaseException:
            core.store.close()
            raise
        if os.environ.get(BYPASS_VARIABLE, "") not in ("", "0"):
            core.mode = "bypass"
        return Team(core)

    def add(
        self,
        name: str,
        features: seeing.Features | None = None,
        *,
        to: To | Callable[[Any], To] | None = None,
        text: tuple[str, ...] = ("text",),
        learner: str = "auto",
        answers: str | None = None,
        initial: float = 0.0,
        clock: Clock | None = None,
        phase: int | None = PHASE,
        extra: seeing.Features | None = None,
    ) -> Agent:
        """Add an agent and let it go on with what it had learnt.

        Args:
            name: its name, letters, digits and `_.:-`.
            features: from an artifact to what the agent sees of it: a mapping of fields, or a
                value; the artifact itself by default.
            to: where it may hand off to, or a function from the artifact to that; quotes are the
                largest value over these. By default what `decide` was last given there.
            text: fields of free text; their words are hashed and never kept.
            learner: "table", "linear", "neural", or "auto": linear where there is text.
            answers: "live" or "phased"; by default phased unless it is a table.
            initial: value of what is new, in a table.
            clock: step sizes (`icq.clocks`).
            phase: handoffs between two automatic promotions of phased answers; None: by hand.
            extra: what is logged beside but not acted on, for `refine`.

        Raises:
            ModelError: for a setting that cannot be.
            StoreError: if the store knows the agent with other settings.
            ConflictError: if there is such an agent or peer already.
        """
        core = self._core
        check_name(name, "agent")
        with core.lock:
            self._new_name(name)
            learning = Learning(learner, answers, clock, initial, phase)
            opening.same_settings(core, f"agent/{name}/settings", learning.document())
            made = Learner(name, learning, core.gamma)
            opening.recall_agent(core, made)
            agent = Agent(core, name, made, features or seeing.as_it_is, to, tuple(text), extra)
            core.agents[name] = agent
        return agent

    def peer(
        self,
        name: str,
        url: str,
        *,
        token: str | None = None,
        accepts: str | None = None,
        leak_bits: int | None = None,
        seconds: float = 5.0,
        on_inflation: str = "flag",
        realised_range: tuple[float, float] | None = None,
        propagate: bool = False,
    ) -> Peer:
        """Name an agent of another process or organisation.

        Args:
            name: of the agent; targets of that name are asked for their quote there.
            url: of its node.
            token: what we show it.
            accepts: the token it shows us; without one it may not ask.
            leak_bits: bits of quotes it may ever get from us.
            seconds: to wait for an answer.
            on_inflation: what follows when it is shown to promise too much: "flag", "shrink" its
                quotes, or "quarantine" it.
            realised_range: smallest and largest value that can come of a handoff to it, if that
                is known better than from the range of quotes: the narrower, the sooner a peer that
                promises too much is found out.
            propagate: whether trace context goes to it and is taken over from it: a shared trace
                shows both parties each other's steps.

        Raises:
            ModelError: for a range that is empty.
            DataError: for a URL or word that cannot be.
            ConflictError: if there is such an agent or peer already.
        """
        core = self._core
        check_name(name, "peer")
        with core.lock:
            self._new_name(name)
            ours = core.declaration.scalar
            low, high = realised_range or (ours.low, ours.high)
            terms = Terms(low, high, patience=core.ttl)
            peer = Peer(
                name, url, token, accepts, leak_bits, seconds, propagate, terms, on_inflation
            )
            opening.recall_peer(core, peer)
            core.peers[name] = peer
        return peer

    def _new_name(self, name: str) -> None:
        if name in self._core.agents or name in self._core.peers or name == END:
            raise ConflictError(f"'{name}': is taken; give another name")

    def __getitem__(self, name: str) -> Agent:
        return self._core.agent(name)

    @property
    def agents(self) -> Mapping[str, Agent]:
        """The agents of this process, by name."""
        return MappingProxyType(self._core.agents)

    @property
    def peers(self) -> Mapping[str, Peer]:
        """The peers, by name."""
        return MappingProxyType(self._core.peers)

    @property
    def store(self) -> Store:
        """Where its events are kept."""
        return self._core.store

    @property
    def declaration(self) -> Declaration:
        """What its quotes mean."""
        return self._core.declaration

    @property
    def core(self) -> Core:
        """The shared state, for the service and its pages."""
        return self._core

    @property
    def counts(self) -> Counts:
        """What happened since it was opened."""
        return self._core.counts

    @property
    def mode(self) -> str:
        """Observe, apply or bypass."""
        return self._core.mode

    def set_mode(self, mode: str, by: str = "") -> None:
        """Change the mode; it stays over a restart.

        Raises:
            ModelError: if there is no such mode.
        """
        if mode not in MODES:
            raise ModelError(f"mode: '{mode}' is none of {', '.join(MODES)}")
        core = self._core
        with core.lock:
            core.mode = mode  # first: a full disk must not keep anybody from the kill switch
            key = f"{core.store.last() + 1}"
            core.record(MODE, "", "", {"mode": mode, "by": by}, key=key)
            core.store.keep_state("mode", core.store.last(), mode)

    def quarantine(self, peer: str) -> None:
        """Hand nothing to a peer until it is released.

        Raises:
            UnknownError: if there is no such peer.
        """
        trusting.set_trust(self._core, peer, trusting.QUARANTINE)

    def release(self, peer: str) -> None:
        """Trust a peer again: its test starts afresh.

        Raises:
            UnknownError: if there is no such peer.
        """
        trusting.set_trust(self._core, peer, trusting.RELEASE)

    def promote(self, agent: str) -> int:
        """Keep what an agent has learnt as a version; returns its number.

        A phased agent answers from it from now on; one that was rolled back, from what it learns.
        """
        with self._kept:
            return completing.promote(self._core, agent)

    def rollback(self, agent: str, version: int) -> None:
        """Let an agent act and quote from an earlier version until the next promotion.

        Raises:
            UnknownError: if there is no such version.
        """
        with self._kept:
            completing.rollback(self._core, agent, version)

    def checkpoint(self) -> None:
        """Keep what was learnt up to now, so that opening need not read all events again."""
        opening.checkpoint(self._core)

    def close(self) -> None:
        """Keep what was learnt and let go of the store and connections."""
        core = self._core
        with core.lock:
            try:
                if core.store.last() > core.kept and not core.read_only:
                    opening.checkpoint(core)
            except StoreError as error:  # the events are there: opening reads them again
                logger.warning("closing: %s", error)
            for peer in core.peers.values():
                peer.close()
            core.store.close()

    def __enter__(self) -> Team:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()
