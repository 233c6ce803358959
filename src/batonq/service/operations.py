"""Operations: what a body asks of a team, done. Routes and batches share them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, ParamSpec, TypeVar

from batonq.base.errors import BatonqError, ConflictError, DataError, StoreError, UnknownError
from batonq.node.event import ANSWER, DECISION, EXPIRY, IMPORT, OUTCOME, QUOTE, REALISED, once
from batonq.node.results import Settled
from batonq.node.standing import standing
from batonq.node.team import ABSENT, Team
from batonq.service import models, problems
from batonq.wire.declaration import check_digest
from batonq.wire.messages import Answer

P = ParamSpec("P")
R = TypeVar("R")
Document = dict[str, Any]

_TOGETHER: Final = 20  # calls of a batch between two turns of the event loop
_ASKS: Final = 32  # peers asked at once for one batch
_SINGLE: Final = (DECISION, OUTCOME, QUOTE, EXPIRY, ANSWER, REALISED, IMPORT)

encode: Final = json.JSONEncoder(
    ensure_ascii=False, allow_nan=False, separators=(",", ":"), check_circular=False
).encode


async def run(threads: bool, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call what writes to the store: here, or in a thread if writing takes long."""
    if threads:
        return await asyncio.to_thread(call, *args, **kwargs)
    return call(*args, **kwargs)


async def decide(team: Team, body: models.Decide, threads: bool) -> Document:
    """See `Agent.decide`."""
    decision = await run(
        threads,
        team[body.agent].decide,
        body.state,
        body.to,
        default=body.default,
        workflow=body.workflow,
        hops=body.hops,
        veto=body.veto,
        costs=body.costs,
        handoff_id=body.handoff_id,
        dry_run=body.dry_run,
    )
    return decision.document()


async def settle(team: Team, body: models.Settle, threads: bool) -> Document:
    """See `Team.settle`. If a peer does not answer, the outcome is kept and waits."""
    told: Document = {
        "artifact": body.artifact if "artifact" in body.model_fields_set else ABSENT,
        "end": body.end,
        "quote": body.quote,
        "costs": body.costs,
    }
    settled = await team.asettle(
        body.handoff_id, body.reward, body.duration, threads=threads, **told
    )
    return settled._asdict()


async def finish(team: Team, body: models.Finish, threads: bool) -> Document:
    """See `Team.finish`."""
    settled = await run(
        threads, team.finish, body.handoff_id, body.reward, body.duration, costs=body.costs
    )
    return settled._asdict()


async def outcomes(team: Team, body: models.Outcomes, threads: bool) -> Document:
    """See `Team.revise` and `Team.realised`."""
    settled = await run(threads, _tell_later, team, body)
    return settled._asdict()


def _tell_later(team: Team, body: models.Outcomes) -> Settled:
    """Both parts or none, unless the store fails in between; then a repeat completes it."""
    handoff_id, value = body.handoff_id, body.realised
    settled, new = None, False
    with team.core.lock:
        known = None if value is None else team.store.find(once(REALISED, handoff_id))
        if known is not None and known.body and known.body["value"] != value:
            raise ConflictError(
                f"handoff '{handoff_id}': {known.body['value']:g} is recorded as what came of it"
            )
        if body.reward is not None or body.duration is not None:
            settled = team.revise(
                handoff_id,
                key=body.key,
                reward=body.reward,
                duration=body.duration,
                source=body.source,
            )
        if value is not None:
            new = team.realised(handoff_id, value)
        return settled or state_of(team, handoff_id)._replace(repeated=not new)


def state_of(team: Team, handoff_id: str) -> Settled:
    """How far a handoff has come, as an answer that did nothing."""
    now = standing(team.core, handoff_id)
    learnt = now.learnt is not None
    waiting = now.outcome is not None and not learnt
    return Settled(handoff_id, learnt, waiting, now.quote, None, False)


async def receive(team: Team, body: models.Receive, threads: bool) -> Document:
    """See `Agent.receive`; the one way to a quote.

    Raises:
        RefusedError: if the sender would read the answer by another declaration than ours.
        DataError: if the receiver cannot read the artifact; says no more than that.
    """
    check_digest(team.declaration, body.declaration)
    agent = team.agents.get(body.receiver)
    if agent is None:  # whom else there is here is nobody else's business
        raise UnknownError(f"receiver '{body.receiver}': is no agent of this node")
    try:
        quote = await run(threads, agent.receive, body.handoff_id, body.artifact, body.sender)
    except DataError as error:
        raise DataError(f"artifact: agent '{body.receiver}' cannot read it") from error
    code = quote.value if quote.code is None else quote.code
    return Answer(body.handoff_id, code, quote.bits).document()


def numbers(team: Team) -> tuple[int, int] | None:
    """Number of the last event and of open handoffs; None if the store cannot be read."""
    try:
        team.store.find(once(DECISION, "-"))  # goes to the medium; the numbers may be at hand
        return team.store.last(), team.store.count_open()
    except StoreError:
        return None


def recorded(team: Team, handoff_id: str) -> Document:
    """Every event of a handoff, in order.

    Raises:
        UnknownError: if there is none.
    """
    found = [team.store.find(once(kind, handoff_id)) for kind in _SINGLE]
    events = [*(one for one in found if one is not None), *team.store.revisions(handoff_id)]
    if not events:
        raise UnknownError(f"handoff '{handoff_id}': this node knows none of that name")
    events.sort(key=lambda one: one.seq)
    ours = any(one.kind == DECISION and one.body for one in events)
    state = state_of(team, handoff_id) if ours else None
    return {
        "handoff_id": handoff_id,
        "learnt": state is not None and state.learnt,
        "waiting": state is not None and state.waiting,
        "events": [
            {"kind": e.kind, "seq": e.seq, "agent": e.agent, "at": e.at, "body": e.body}
            for e in events
        ],
    }


async def batch(team: Team, calls: Sequence[Any], threads: bool) -> list[Document]:
    """Do calls in order, each kept or refused by itself; their answers or problems.

    What a call stores is stored before the next one starts. A peer's quote is not waited for in
    between: asks of up to `_ASKS` handoffs are under way at once.
    """
    results: list[Document] = [{}] * len(calls)
    asking: dict[int, asyncio.Task[Document]] = {}
    for place, call in enumerate(calls):
        if team.peers and not threads and isinstance(call, models.Settle):
            asking[place] = asyncio.create_task(_one(team, call, threads))
            await asyncio.sleep(0)  # the task stores the outcome in its first turn
            if len(asking) >= _ASKS:
                await _collect(asking, results)
            continue
        results[place] = await _one(team, call, threads)
        if place % _TOGETHER == _TOGETHER - 1:
            await asyncio.sleep(0)
    await _collect(asking, results)
    return results


async def _collect(asking: dict[int, asyncio.Task[Document]], results: list[Document]) -> None:
    for place, task in asking.items():
        results[place] = await task
    asking.clear()


async def _one(team: Team, call: Any, threads: bool) -> Document:
    try:
        return await _DO[call.do](team, call, threads)
    except BatonqError as error:
        return problems.of_error(error)
    except Exception as error:
        return problems.internal(error)


_DO: Final[dict[str, Callable[[Team, Any, bool], Awaitable[Document]]]] = {
    "decide": decide,
    "settle": settle,
    "finish": finish,
    "outcomes": outcomes,
}
