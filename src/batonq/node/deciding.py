"""To whom to hand off: limits first, then the policy, stored before it takes effect."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from batonq.base.errors import BatonqError, ConflictError, DataError, RefusedError
from batonq.node import exploration as exploring
from batonq.node import tracing
from batonq.node.core import ABSENT, BYPASS, OBSERVE, UNLOGGED, Core, Options, new_id
from batonq.node.event import DECISION, Event, once
from batonq.node.limits import END, Costs, masked
from batonq.node.results import Decision

if TYPE_CHECKING:
    from batonq.node.agent import Agent, To

logger = logging.getLogger(__name__)


class Question(NamedTuple):
    """What a decision is asked for with; see `Agent.decide`."""

    state: Any
    to: To | None
    default: str | None
    workflow: str | None
    hops: int | None
    veto: Collection[str]
    costs: Mapping[str, Costs] | None
    handoff_id: str | None
    dry_run: bool


def decide(core: Core, agent: Agent, asked: Question) -> Decision:
    """See `Agent.decide`."""
    candidates = _candidates(agent, asked)
    usual = asked.default if asked.default is not None else next(iter(candidates))
    if core.mode == BYPASS:
        return _fallback(agent.name, candidates, usual, core.mode, "bypass mode: the default")
    try:
        with core.lock:
            decision = _decided(core, agent, asked, candidates, usual)
    except (ConflictError, RefusedError):
        raise
    except Exception as error:  # the request goes on, whatever failed
        core.counts.failures += 1
        core.counts.failure = f"{type(error).__name__}: {error}"
        told = error if isinstance(error, BatonqError) else type(error).__name__
        logger.warning("agent '%s' took its default: %s", agent.name, told)
        note = f"the default, as deciding failed: {told}"
        return _fallback(agent.name, candidates, usual, core.mode, note)
    if decision.logged:
        tracing.decided(decision, asked.workflow)
    return decision


def _decided(
    core: Core, agent: Agent, asked: Question, candidates: Options, usual: str
) -> Decision:
    """Decide, and store it unless it is a dry run."""
    if asked.handoff_id is not None:
        known = core.store.find(once(DECISION, asked.handoff_id))
        if known is not None:
            return _again(known, agent, asked.state)
    y = agent.sees(asked.state)
    ruled_out = _ruled_out(core, agent, candidates, asked)
    handoff_id = asked.handoff_id or new_id()
    decision = _chosen(core, agent, y, candidates, ruled_out, usual, handoff_id)
    if asked.dry_run:
        return decision._replace(logged=False, note=f"dry run: {decision.why}")
    body = {
        "y": y,
        "action": decision.action,
        "target": decision.target,
        "propensity": decision.propensity,
        "values": decision.values,
        "permitted": list(decision.values),
        "masked": ruled_out,
        "mode": decision.mode,
        "version": decision.version,
        "explored": decision.explored,
        "default": asked.default,
        "workflow": asked.workflow,
    }
    arrival = _arrival(core, agent, decision.target, asked.state)
    if arrival is not ABSENT:
        body["arrival"] = arrival
    fields = agent.notes(asked.state)
    if fields:
        body["fields"] = fields
    event = core.record(DECISION, agent.name, decision.id, body, opens=True)
    agent.learner.apply(event)
    core.counts.decisions += 1
    if decision.explored:
        core.counts.explored += 1
        core.cap.use()
    return decision


def _candidates(agent: Agent, asked: Question) -> Options:
    given = asked.to
    candidates = agent.permitted(asked.state) if given is None else agent.candidates(given)
    if not candidates:
        raise DataError(
            f"agent '{agent.name}': nowhere to hand off to; give `to`, here or when it is added"
        )
    if asked.default is not None and asked.default not in candidates:
        there = ", ".join(candidates)
        raise DataError(f"agent '{agent.name}': default '{asked.default}' is none of {there}")
    return candidates


def _ruled_out(core: Core, agent: Agent, candidates: Options, asked: Question) -> dict[str, str]:
    quarantined = core.peers and [one for one, peer in core.peers.items() if peer.quarantined]
    if not (core.limits.any or asked.veto or quarantined):
        return {}
    tallies = []
    if asked.workflow is not None:
        found = (one.learner.tallies.get(asked.workflow) for one in core.agents.values())
        tallies = [one for one in found if one is not None]
    return masked(
        candidates,
        agent.name,
        core.limits,
        tallies,
        hops=asked.hops,
        veto=asked.veto,
        costs=asked.costs,
        quarantined=list(quarantined),
    )


def _chosen(
    core: Core,
    agent: Agent,
    y: str,
    candidates: Options,
    ruled_out: Mapping[str, str],
    usual: str,
    handoff_id: str,
) -> Decision:
    """Draw the action from what is left."""
    actions = [one for one in candidates if one not in ruled_out] if ruled_out else [*candidates]
    note = ""
    if not actions:
        spare = END if END in candidates else usual
        told = ", ".join(f"{one}: {why}" for one, why in ruled_out.items())
        if ruled_out[spare].startswith("vetoed"):
            raise RefusedError(f"agent '{agent.name}': nothing is permitted ({told})")
        actions, note = [spare], f"nothing is permitted ({told}), so '{spare}' is taken"
    values = agent.learner.at(y, actions)
    if core.mode == OBSERVE:
        number = actions.index(usual) if usual in actions else 0
        propensity, explored = 1.0, False
    else:
        free = core.cap.free(core.clock())
        each = exploring.chances(actions, values, usual, core.exploration, free)
        number = exploring.drawn(each, core.rng.random())
        propensity = each[number]
        canary = core.exploration.canary < 1.0 and actions[number] == usual
        explored = values[number] < max(values) and not canary
    action = actions[number]
    version = agent.learner.answering_version or agent.learner.version
    worth = dict(zip(actions, values, strict=True))
    target, name = candidates[action], agent.name
    # By place, as names would cost a third of what choosing does.
    return Decision(
        handoff_id,
        name,
        action,
        target,
        propensity,
        worth,
        ruled_out,
        explored,
        core.mode,
        version,
        True,
        note,
    )


def _arrival(core: Core, agent: Agent, target: str, state: Any) -> Any:
    """What a receiver in this process would see of the artifact as it is now; ABSENT if nothing.

    An agent that keeps control looks again after its work, so nothing is said ahead for it.
    """
    receiver = core.agents.get(target)
    if receiver is None or receiver is agent:
        return ABSENT
    try:
        return receiver.sees(state)
    except DataError:  # it may need what the option is yet to make
        return ABSENT


def _fallback(name: str, candidates: Options, usual: str, mode: str, note: str) -> Decision:
    return Decision(
        id=UNLOGGED + new_id(),
        agent=name,
        action=usual,
        target=candidates[usual],
        propensity=1.0,
        values={},
        masked={},
        explored=False,
        mode=mode,
        version=0,
        logged=False,
        note=note,
    )


def _again(known: Event, agent: Agent, state: Any) -> Decision:
    """The decision stored under the caller's id."""
    if not known.body:
        raise ConflictError(f"handoff '{known.handoff_id}': was decided and has been erased")
    if known.agent != agent.name or known.body["y"] != agent.sees(state):
        raise ConflictError(
            f"handoff '{known.handoff_id}': is that of another decision, of agent "
            f"'{known.agent}'; use a new handoff_id"
        )
    return of_event(known)


def of_event(event: Event) -> Decision:
    """The decision that an event holds."""
    body = event.body
    return Decision(
        id=event.handoff_id,
        agent=event.agent,
        action=body["action"],
        target=body["target"],
        propensity=body["propensity"],
        values=body["values"],
        masked=body["masked"],
        explored=body["explored"],
        mode=body["mode"],
        version=body["version"],
        logged=True,
    )
