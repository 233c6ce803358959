"""What a node's events add up to, one event at a time, in memory that does not grow with them.

`Fold` keeps counts, the learning curve and the latest decisions. The same events give the same
sums, whether they are added as they come or all at once.
"""

from __future__ import annotations

import json
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final, TypeVar

from batonq.base.files import Json
from batonq.node import event as kinds
from batonq.node.deciding import of_event
from batonq.node.event import Event, Store
from batonq.node.overview.curve import Curve

LATEST: Final = 50  # decisions shown
RECENT: Final = 256  # decisions of an agent over which a recent share and a mean value are taken
CACHE: Final = 4_096  # decisions and outcomes remembered; older ones are looked up in the store
NAMES: Final = 256  # agents, peers, and targets of an agent counted apart; the rest are one
MOST: Final = 32  # actions of a decision shown
LONGEST: Final = 512  # characters of a text that is shown
OTHERS: Final = "(others)"

T = TypeVar("T")


@dataclass
class AgentSums:
    """Counts of one agent."""

    decisions: int = 0
    explored: int = 0
    learnt: int = 0
    targets: dict[str, int] = field(default_factory=dict)
    recent: deque[tuple[str, float | None]] = field(default_factory=lambda: deque(maxlen=RECENT))
    policies: deque[dict[str, Json]] = field(default_factory=lambda: deque(maxlen=LATEST))


@dataclass
class PeerSums:
    """Counts of one peer, from this node's events alone."""

    quotes_in: int = 0
    quotes_out: int = 0
    bits_out: int = 0
    expired: int = 0


class Fold:
    """Sums over events, fed in order.

    Attributes:
        seq: number of the last event added.
        curve: the learning curve.
        agents: by name, counts.
        peers: by name, counts.
        latest: the last `LATEST` decisions, oldest first, each with what came of it.
        unsettled: handoffs without an outcome that did not expire.
        counts: how many events of each kind.
    """

    def __init__(self, store: Store) -> None:
        """Start with nothing; `store` is asked for earlier events of a handoff."""
        self.seq = 0
        self.curve = Curve()
        self.agents: dict[str, AgentSums] = {}
        self.peers: dict[str, PeerSums] = {}
        self.latest: OrderedDict[str, tuple[Event, dict[str, Json]]] = OrderedDict()
        self.unsettled = 0
        self.counts: dict[str, int] = {}
        self._find = store.find
        self._revisions = store.revisions
        self._cache: OrderedDict[str, Event] = OrderedDict()

    def add(self, event: Event) -> None:
        """Add the next event. Of one whose body is erased only kind and number count."""
        self.seq = max(self.seq, event.seq)
        self.counts[event.kind] = self.counts.get(event.kind, 0) + 1
        self._count_unsettled(event)
        handler = _HANDLERS.get(event.kind)
        if handler is not None and event.body:
            handler(self, event)

    def decisions(self) -> list[dict[str, Json]]:
        """The latest decisions with why and what came of them, newest first, texts cut."""
        return [{**_shown(event), **came} for event, came in reversed(self.latest.values())]

    def to_json(self) -> Json:
        """All sums; not the latest decisions, which `load` reads again, as some may be erased."""
        return {
            "seq": self.seq,
            "curve": self.curve.to_json(),
            "agents": {name: _plain(asdict(one)) for name, one in self.agents.items()},
            "peers": {name: asdict(one) for name, one in self.peers.items()},
            "unsettled": self.unsettled,
            "counts": self.counts,
        }

    def load(self, state: Json) -> None:
        """Take over what `to_json` gave."""
        self.seq = state["seq"]
        self.curve.load(state["curve"])
        self.agents = {
            name: AgentSums(
                **one
                | {
                    "recent": deque(map(tuple, one["recent"]), maxlen=RECENT),
                    "policies": deque(one["policies"], maxlen=LATEST),
                }
            )
            for name, one in state["agents"].items()
        }
        self.peers = {name: PeerSums(**one) for name, one in state["peers"].items()}
        self.unsettled, self.counts = state["unsettled"], state["counts"]

    def _decision(self, event: Event) -> None:
        body = event.body
        self._remember(event)
        sums = self._agent(event.agent)
        target, value = body["target"], _value(body)
        target = target if target in sums.targets or len(sums.targets) < NAMES else OTHERS
        sums.decisions += 1
        sums.explored += body["explored"]
        sums.targets[target] = sums.targets.get(target, 0) + 1
        sums.recent.append((target, value))
        window = self.curve.at(event)
        window.decisions += 1
        window.explored += body["explored"]
        self.latest[event.handoff_id] = event, {}
        if len(self.latest) > LATEST:
            self.latest.popitem(last=False)

    def _outcome(self, event: Event) -> None:
        body = event.body
        self._remember(event)
        window = self.curve.at(event)
        window.outcomes += 1
        window.reward += body["reward"]
        window.ends += body["end"] is not None
        self._show(event, state="waits for a quote", quote=body.get("quote"))
        self._show(event, **{name: body[name] for name in ("reward", "duration", "end")})
        if "target" in body:
            self._learnt(event)

    def _quote(self, event: Event) -> None:
        peer = event.body.get("peer")
        if peer:
            self._peer(peer).quotes_in += 1
        self._show(event, quote=event.body["quote"])
        if "target" in event.body:
            self._learnt(event)

    def _expiry(self, event: Event) -> None:
        self._show(event, quote=event.body["quote"], state="expired")
        decision = self._look(kinds.DECISION, event.handoff_id)
        if decision is not None and decision.body:
            self._peer(decision.body["target"]).expired += 1
        if "target" in event.body:
            self._learnt(event, "expired, learnt from the last known quote")

    def _revision(self, event: Event) -> None:
        """What is corrected counts in the window of the outcome."""
        outcome = self._look(kinds.OUTCOME, event.handoff_id)
        if outcome is None or not outcome.body:
            return
        earlier = [one for one in self._revisions(event.handoff_id) if one.seq < event.seq]
        before = (earlier or [outcome])[-1].body or outcome.body
        window = self.curve.at(outcome)
        window.reward += event.body["reward"] - before["reward"]
        window.ends += (event.body["end"] is not None) - (before["end"] is not None)
        self._show(event, **{name: event.body[name] for name in ("reward", "duration", "end")})

    def _answer(self, event: Event) -> None:
        peer = event.body.get("peer")
        if peer:
            sums = self._peer(peer)
            sums.quotes_out += 1
            sums.bits_out += event.body["bits"]

    def _policy(self, event: Event) -> None:
        note = {key: event.body.get(key) for key in ("version", "do")}
        self._agent(event.agent).policies.append({**note, "at": event.at})

    def _erasure(self, event: Event) -> None:
        """What was erased is not shown any longer."""
        del event
        self._cache.clear()
        for handoff_id in list(self.latest):
            decision = self._look(kinds.DECISION, handoff_id)
            if decision is None or not decision.body:
                del self.latest[handoff_id]

    def _learnt(self, event: Event, state: str = "learnt") -> None:
        """Count one learning step: its target against the value when the action was taken."""
        self._agent(event.agent).learnt += 1
        window = self.curve.at(event)
        self._show(event, state=state)
        decision = self._look(kinds.DECISION, event.handoff_id)
        value = None if decision is None else _value(decision.body)
        if value is not None:
            error = abs(event.body["target"] - value)
            window.learnt += 1
            window.error += error
            self._show(event, error=error)

    def _count_unsettled(self, event: Event) -> None:
        """By kinds and numbers alone: those are never erased."""
        if event.kind == kinds.DECISION:
            self.unsettled += 1
        elif event.kind == kinds.OUTCOME:
            self.unsettled -= not (
                self.counts.get(kinds.EXPIRY) and self._came(kinds.EXPIRY, event)
            )
        elif event.kind == kinds.EXPIRY:
            self.unsettled -= not self._came(kinds.OUTCOME, event)

    def _came(self, kind: str, event: Event) -> bool:
        """Whether its handoff had an event of this kind before."""
        earlier = self._look(kind, event.handoff_id)
        return earlier is not None and earlier.seq < event.seq

    def _agent(self, name: str) -> AgentSums:
        return _among(self.agents, name, AgentSums)

    def _peer(self, name: str) -> PeerSums:
        return _among(self.peers, name, PeerSums)

    def _remember(self, event: Event) -> None:
        self._cache[event.once] = event
        if len(self._cache) > CACHE:
            self._cache.popitem(last=False)

    def _look(self, kind: str, handoff_id: str) -> Event | None:
        key = kinds.once(kind, handoff_id)
        return self._cache.get(key) or self._find(key)

    def _show(self, event: Event, **changes: Json) -> None:
        found = self.latest.get(event.handoff_id)
        if found is not None:
            found[1].update(changes)


def _among(known: dict[str, T], name: str, new: Callable[[], T]) -> T:
    """The sums of a name; beyond `NAMES` names all others share theirs."""
    found = known.get(name)
    if found is None:
        name = name if len(known) < NAMES else OTHERS
        found = known.setdefault(name, new())
    return found


def _value(body: dict[str, Json]) -> float | None:
    """The value of the action taken, as it was decided; None if it was erased."""
    value: float | None = body["values"].get(body["action"]) if body else None
    return value


def _shown(event: Event) -> dict[str, Json]:
    """A decision as it is shown, with texts and lists cut to a bounded length."""
    body = event.body
    one: dict[str, Json] = {
        name: cut(body[name]) for name in ("y", "action", "target", "mode", "default", "workflow")
    }
    one["why"] = cut(of_event(event).why)
    for name in ("values", "masked"):
        items = list(body[name].items())
        one[name] = {cut(key): cut(value) for key, value in items[:MOST]}
        one[f"more_{name}"] = max(0, len(items) - MOST)
    for name in ("propensity", "version", "explored"):
        one[name] = body[name]
    return {
        "handoff_id": event.handoff_id,
        "agent": event.agent,
        "at": event.at,
        **one,
        "reward": None,
        "duration": None,
        "end": None,
        "quote": None,
        "error": None,
        "state": "open",
    }


def cut(value: Json) -> Json:
    """A value that is short enough to show; texts lose their end."""
    if value is None or isinstance(value, bool | int | float):
        return value
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= LONGEST else text[: LONGEST - 1] + "…"


def _plain(sums: dict[str, Any]) -> dict[str, Json]:
    """With lists for queues."""
    return {name: list(one) if isinstance(one, deque) else one for name, one in sums.items()}


_HANDLERS: Final[dict[str, Callable[[Fold, Event], None]]] = {
    kinds.DECISION: Fold._decision,
    kinds.OUTCOME: Fold._outcome,
    kinds.QUOTE: Fold._quote,
    kinds.EXPIRY: Fold._expiry,
    kinds.REVISION: Fold._revision,
    kinds.ANSWER: Fold._answer,
    kinds.POLICY: Fold._policy,
    kinds.ERASURE: Fold._erasure,
}
