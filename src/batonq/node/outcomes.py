"""What a pipeline tells a node after a decision: outcomes, quotes, corrections."""

from __future__ import annotations

import logging
from asyncio import to_thread
from contextlib import AbstractContextManager
from typing import Any, Final

from batonq.base.errors import DataError, StoreError
from batonq.node import opening, quoting, revising, settling
from batonq.node.core import ABSENT, Core
from batonq.node.limits import Costs
from batonq.node.peers import asking, trusting
from batonq.node.results import Settled
from batonq.node.standing import check

LOOK: Final = 32  # calls between two looks at how many events there are

logger = logging.getLogger(__name__)


class Outcomes:
    """The half of a team that is told what came of its decisions; see `team.Team`."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._kept = _Kept(core)

    def settle(
        self,
        handoff_id: str,
        reward: float = 0.0,
        duration: float = 1.0,
        *,
        artifact: Any = ABSENT,
        end: str | None = None,
        quote: float | None = None,
        costs: Costs | None = None,
    ) -> Settled:
        """Tell what an option brought; learnt from at once if the receiver's quote is at hand.

        Given again with the same content it does nothing; a correction is `revise`.

        Args:
            handoff_id: the `id` of the decision.
            reward: gathered during the option, discounted to its start.
            duration: of the option, in units of time, more than 0.
            artifact: as the receiver gets it. A receiver in this process is shown it; a peer is
                sent it. By default what the sender decided on, for a receiver in this process.
            end: "terminal" if the workflow ended with it, "truncated" if it was broken off.
            quote: the receiver's value, where you carried it yourself.
            costs: what was used up, by unit; counts against budgets.

        Raises:
            UnknownError: if this node did not decide it.
            ConflictError: if it was settled otherwise.
            DataError: for a number that cannot be.
        """
        settled = self._settled(handoff_id, reward, duration, artifact, end, quote, costs)
        if settled.waiting and artifact is not ABSENT:
            return asking.ask(self._core, handoff_id, artifact) or settled
        return settled

    async def asettle(
        self,
        handoff_id: str,
        reward: float = 0.0,
        duration: float = 1.0,
        *,
        artifact: Any = ABSENT,
        end: str | None = None,
        quote: float | None = None,
        costs: Costs | None = None,
        threads: bool = False,
    ) -> Settled:
        """As `settle`; a peer is asked without blocking.

        With `threads` it writes in a thread, which is worth it where writing takes milliseconds.
        """
        told = (handoff_id, reward, duration, artifact, end, quote, costs)
        settled = await to_thread(self._settled, *told) if threads else self._settled(*told)
        if settled.waiting and artifact is not ABSENT:
            return await asking.aask(self._core, handoff_id, artifact, threads) or settled
        return settled

    def _settled(self, *told: Any) -> Settled:
        with self._kept:
            return settling.settle(self._core, *told)

    def finish(
        self,
        handoff_id: str,
        reward: float = 0.0,
        duration: float | None = None,
        *,
        costs: Costs | None = None,
    ) -> Settled:
        """Tell that the workflow ended with this handoff: its value afterwards is 0.

        After `settle` it adds to what was told then: the reward counts from the end of that
        duration, and `duration` is the time since.

        Raises:
            UnknownError, ConflictError, DataError: as `settle`.
        """
        with self._kept:
            return revising.finish(self._core, handoff_id, reward, duration, costs)

    def quoted(self, handoff_id: str, quote: float) -> Settled:
        """Hand in a quote that came by your own transport, before or after `settle`.

        Raises:
            UnknownError, ConflictError, DataError: as `settle`.
        """
        check(handoff_id, None, None, None, quote)
        with self._kept:
            return quoting.quote_came(self._core, handoff_id, quote, {"peer": None})

    def revise(
        self,
        handoff_id: str,
        *,
        key: str,
        reward: float | None = None,
        duration: float | None = None,
        end: str | None = None,
        source: str = "",
    ) -> Settled:
        """Correct an outcome: late, corrected or human rewards.

        A table's value becomes what it would be had the outcome been right from the start, this
        pair's later updates staying; other kinds of learner move approximately.

        Args:
            handoff_id: of which handoff.
            key: yours; the same correction given twice counts once.
            reward: the whole reward as it should have been; None: unchanged.
            duration: None: unchanged.
            end: None: unchanged.
            source: who says so.

        Raises:
            UnknownError: if this node did not decide it.
            ConflictError: if it has no outcome yet, or another correction has this key.
            DataError: for a number that cannot be; for a key that starts with `#`.
        """
        if key.startswith(revising.OURS):
            raise DataError(f"key '{key}': give one that does not start with '{revising.OURS}'")
        with self._kept:
            return revising.revise(
                self._core,
                handoff_id,
                key=key,
                source=source,
                reward=reward,
                duration=duration,
                end=end,
            )

    def realised(self, handoff_id: str, value: float) -> bool:
        """Tell what came of a handoff after it was handed on, to hold its peer to its promise.

        `finish` after `settle` does so by itself. Returns False if it was told before.

        Args:
            handoff_id: of which handoff.
            value: the return from the receiver's arrival on, discounted to it.

        Raises:
            UnknownError, ConflictError, DataError: as `settle`.
        """
        check(handoff_id, None, None, None, value)
        with self._kept:
            return trusting.realised(self._core, handoff_id, value)

    def expire(self, now: float | None = None) -> int:
        """Close handoffs that have waited longer than `ttl`; returns how many."""
        core = self._core
        return quoting.expire(core, (core.clock() if now is None else now) - core.ttl)

    def send_unsent(self, limit: int = 100) -> int:
        """Ask peers again for quotes that could not be had; returns how many came."""
        return asking.again(self._core, limit)

    async def asend_unsent(self, limit: int = 100) -> int:
        """As `send_unsent`, without blocking."""
        return await asking.aagain(self._core, limit)


class _Kept(AbstractContextManager[None]):
    """After what changes something, keeps the state if enough has happened."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._calls = 0

    def __enter__(self) -> None:
        self._calls += 1

    def __exit__(self, kind: object, _error: object, _trace: object) -> None:
        core = self._core
        if self._calls % LOOK:  # looking costs, and a few events more or less do not matter
            return
        if kind is None and core.store.last() - core.kept > core.every:
            try:
                opening.checkpoint(core)
            except StoreError as error:  # what was asked is done, and its event is stored
                logger.warning("the state could not be kept, opening will take longer: %s", error)
                core.kept = core.store.last()
