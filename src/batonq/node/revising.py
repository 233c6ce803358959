"""Late, corrected and human rewards: an outcome is corrected, and what was learnt moves with it."""

from __future__ import annotations

from typing import Final

from batonq.base.errors import ConflictError
from batonq.base.files import Json
from batonq.icq import update
from batonq.node.completing import learn, learning_of
from batonq.node.core import UNLOGGED, Core
from batonq.node.event import OUTCOME, QUOTE, REVISION, Event, once
from batonq.node.limits import Costs
from batonq.node.peers.trusting import realised
from batonq.node.results import Settled
from batonq.node.settling import settle
from batonq.node.standing import TERMINAL, Standing, check, standing

OURS: Final = "#"  # how keys of corrections start that nobody else may give
FINISH: Final = f"{OURS}finish"


def revise(
    core: Core,
    handoff_id: str,
    *,
    key: str,
    source: str,
    reward: float | None = None,
    duration: float | None = None,
    end: str | None = None,
    more: dict[str, Json] | None = None,
) -> Settled:
    """Correct an outcome; what was learnt moves as far as it still counts. See `Team.revise`."""
    check(handoff_id, reward, duration, end)
    with core.lock:
        now = standing(core, handoff_id)
        if now.outcome is None:
            raise ConflictError(f"handoff '{handoff_id}': has no outcome yet to correct; settle it")
        body: dict[str, Json] = {
            "reward": now.reward if reward is None else reward,
            "duration": now.duration if duration is None else duration,
            "end": now.end if end is None else end,
            "source": source,
            "asked": [reward, duration, end],
            **(more or {}),
        }
        known = core.store.find(once(REVISION, handoff_id, key))
        if known is not None:
            if known.body and known.body["asked"] != body["asked"]:
                raise ConflictError(
                    f"handoff '{handoff_id}': was corrected otherwise under the key '{key}'; "
                    "give another key for another correction"
                )
            return Settled(
                handoff_id, now.learnt is not None, now.learnt is None, now.quote, None, True
            )
        if now.learnt is None and body["end"] == TERMINAL:
            return _ended_unlearnt(core, now, body, key)
        return corrected(core, now, correct(core, now, body, key))


def correct(core: Core, now: Standing, body: dict[str, Json], key: str) -> Event:
    """Store a correction; it takes effect by `corrected`.

    Args:
        core: the node.
        now: the handoff's standing before.
        body: reward, duration and end as they should have been, and who says so.
        key: of the correction.
    """
    body = {**body, "workflow": now.decision.body["workflow"]}
    if now.learnt is not None:
        body |= _change(core, now, body)
    return core.record(REVISION, now.decision.agent, now.decision.handoff_id, body, key=key)


def corrected(core: Core, now: Standing, event: Event) -> Settled:
    """Let a stored correction take effect."""
    learner = core.agent(event.agent).learner
    value = learner.apply(event)
    learnt = now.learnt is not None
    if learnt and value is None:  # it was learnt in an earlier phase and stays
        y, action = now.decision.body["y"], now.decision.body["action"]
        value = learner.values(y).at(y, (action,))[0]
    quote = None if event.body["end"] == TERMINAL else now.quote
    return Settled(event.handoff_id, learnt, not learnt, quote, value, False)


def finish(
    core: Core, handoff_id: str, reward: float, duration: float | None, costs: Costs | None
) -> Settled:
    """End a workflow with this handoff; see `Team.finish`."""
    check(handoff_id, reward, duration, None, None, costs)
    if handoff_id.startswith(UNLOGGED):
        return Settled(handoff_id, False, False, None, None, False)
    with core.lock:
        settled = core.store.find(once(OUTCOME, handoff_id))
        if settled is None or (settled.body and settled.body["end"] == TERMINAL):
            time = 1.0 if duration is None else duration
            return settle(core, handoff_id, reward, time, end=TERMINAL, costs=costs)
        now = standing(core, handoff_id)
        before = core.store.find(once(REVISION, handoff_id, FINISH))
        if before is not None:
            if before.body and before.body["given"] != [reward, duration]:
                raise ConflictError(
                    f"handoff '{handoff_id}': was finished with reward "
                    f"{before.body['given'][0]:g}; to correct it, use outcomes (revise)"
                )
            return Settled(handoff_id, True, False, None, None, True)
        if now.decision.body["target"] in core.peers:
            realised(core, handoff_id, reward)
        total = update.target(now.reward, update.discount(core.gamma, now.duration), reward)
        return revise(
            core,
            handoff_id,
            key=FINISH,
            source="finish",
            reward=total,
            duration=now.duration + (duration or 0.0),
            end=TERMINAL,
            more={"given": [reward, duration], **({"costs": dict(costs)} if costs else {})},
        )


def _change(core: Core, now: Standing, body: dict[str, Json]) -> dict[str, Json]:
    """By how much a correction moves the target of what was learnt."""
    assert now.learnt is not None and now.target is not None  # noqa: S101 - the caller has looked
    learnt = now.learnt.body
    quote = 0.0 if body["end"] == TERMINAL or now.quote is None else now.quote
    discount = update.discount(core.gamma, body["duration"])
    target = update.target(body["reward"], discount, quote)
    learner = core.agent(now.decision.agent).learner
    same_phase = not learner.phased or learnt["version"] == learner.version
    return {
        "y": learnt["y"],
        "action": learnt["action"],
        "now": target,
        "n": learnt["n"],
        "weight": learnt.get("weight", 1.0),
        **({"change": target - now.target} if same_phase else {}),
    }


def _ended_unlearnt(core: Core, now: Standing, body: dict[str, Json], key: str) -> Settled:
    """A handoff that waited for a quote ended after all: it is learnt from without one."""
    handoff_id, agent = now.decision.handoff_id, now.decision.agent
    with core.store.transaction():
        revision = correct(core, now, body, key)
        learning = learning_of(core, now.decision, body["reward"], body["duration"], TERMINAL, None)
        learning |= {"quote": None, "peer": None}
        event = core.record(QUOTE, agent, handoff_id, learning, closes=True)
        core.store.sent(handoff_id)
    core.agent(agent).learner.apply(revision)
    return learn(core, event, waiting=False)
