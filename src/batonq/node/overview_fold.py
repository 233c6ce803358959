"""What a node's events add up to, one event at a time, in memory that does not grow with them.

`Fold` keeps counts, a curve of at most `BINS` windows and the latest decisions. The same events give
the same sums, whether they are added as they come or all at once.
"""

from __future__ import annotations

import json
import math
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from batonq.base.files import Json
from batonq.icq import update
from batonq.node import event as kinds
from batonq.node.event import Event

BINS: Final = 96  # most windows of the learning curve
FIRST_WIDTH: Final = 8  # event numbers in a window of a young store; doubles when they are full
LATEST: Final = 50  # decisions shown
RECENT: Final = 256  # decisions of an agent over which a recent share and a mean value are taken
CACHE: Final = 4_096  # decisions and outcomes remembered; older ones are looked up in the store
NAMES: Final = 256  # agents, peers, and targets of an agent counted apart; the rest are one
MOST: Final = 32  # actions of a decision shown
LONGEST: Final = 512  # characters of a text that is shown
OTHERS: Final = "(others)"


@dataclass
class Bin:
    """Sums over a window of event numbers."""

    decisions: int = 0
    explored: int = 0
    outcomes: int = 0
    reward: float = 0.0
    ends: int = 0
    learnt: int = 0
    error: float = 0.0
    last_at: float = 0.0

    def add(self, other: Bin) -> None:
        """Take over the sums of the window after this one."""
        for name, value in vars(other).items():
            if name != "last_at":
                setattr(self, name, getattr(self, name) + value)
        self.last_at = max(self.last_at, other.last_at)


@dataclass
class AgentSums:
    """Counts of one agent."""

    decisions: int = 0
    explored: int = 0
    learnt: int = 0
    version: int | None = None
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
    state: str = ""
    evidence: Json = None


class Fold:
    """Sums over events, fed in order.

    Attributes:
        seq: number of the last event added.
        width: event numbers in a window of `bins`.
        bins: the learning curve, oldest first.
        agents: by name, counts.
        peers: by name, counts.
        latest: the last `LATEST` decisions with what came of them, oldest first.
        waiting: handoffs with an outcome that wait for a quote.
        counts: how many events of each kind.
        mode: the last mode set, None if none was.
    """

    def __init__(self, gamma: float, find: Callable[[str], Event | None]) -> None:
        """Start with nothing; `find` looks up an event by its `once` (`Store.find`)."""
        self.seq = 0
        self.width = FIRST_WIDTH
        self.bins: list[Bin] = []
        self.agents: dict[str, AgentSums] = {}
        self.peers: dict[str, PeerSums] = {}
        self.latest: OrderedDict[str, dict[str, Json]] = OrderedDict()
        self.waiting = 0
        self.counts: dict[str, int] = {}
        self.mode: str | None = None
        self._gamma = gamma
        self._find = find
        self._mended: OrderedDict[str, list[Json]] = OrderedDict()  # reward and end, last known
        self._cache: OrderedDict[str, Event] = OrderedDict()

    def add(self, event: Event) -> None:
        """Add the next event. One with an erased body counts as what is left of it."""
        self.seq = max(self.seq, event.seq)
        self.counts[event.kind] = self.counts.get(event.kind, 0) + 1
        handler = _HANDLERS.get(event.kind)
        if handler is not None and event.body:
            handler(self, event)

    def to_json(self) -> Json:
        """Everything but what is looked up again."""
        return {
            "seq": self.seq,
            "width": self.width,
            "bins": [list(vars(one).values()) for one in self.bins],
            "agents": {name: _plain(asdict(one)) for name, one in self.agents.items()},
            "peers": {name: asdict(one) for name, one in self.peers.items()},
            "latest": list(self.latest.items()),
            "waiting": self.waiting,
            "counts": self.counts,
            "mode": self.mode,
            "mended": list(self._mended.items()),
        }

    def load(self, state: Json) -> None:
        """Take over what `to_json` gave."""
        self.seq, self.width = state["seq"], state["width"]
        self.bins = [Bin(*one) for one in state["bins"]]
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
        self.latest = OrderedDict(state["latest"])
        self.waiting, self.counts, self.mode = state["waiting"], state["counts"], state["mode"]
        self._mended = OrderedDict(state["mended"])

    def _decision(self, event: Event) -> None:
        body = event.body
        self._remember(event)
        sums = self._agent(event.agent)
        target, value = str(body.get("target")), _value(body)
        target = target if target in sums.targets or len(sums.targets) < NAMES else OTHERS
        sums.decisions += 1
        sums.explored += bool(body.get("explored"))
        sums.version = body.get("version")
        sums.targets[target] = sums.targets.get(target, 0) + 1
        sums.recent.append((target, value))
        window = self._bin(event)
        window.decisions += 1
        window.explored += bool(body.get("explored"))
        self.latest[event.handoff_id] = _shown(event)
        while len(self.latest) > LATEST:
            self.latest.popitem(last=False)

    def _outcome(self, event: Event) -> None:
        body = event.body
        self._remember(event)
        window = self._bin(event)
        window.outcomes += 1
        window.reward += _number(body.get("reward"))
        window.ends += body.get("end") is not None
        self._show(event, reward=body.get("reward"), duration=body.get("duration"))
        self._show(event, end=body.get("end"), quote=body.get("quote"), state="learnt")
        if body.get("end") == "terminal":
            self._learnt(event, event, 0.0)
        elif body.get("quote") is not None:
            self._learnt(event, event, _number(body["quote"]))
            decision = self._look(kinds.DECISION, event.handoff_id)
            if decision is not None and decision.body.get("target") in self.peers:
                self.peers[decision.body["target"]].quotes_in += 1
        else:
            self.waiting += 1
            self._show(event, state="waits for a quote")

    def _quote(self, event: Event) -> None:
        peer = event.body.get("peer")
        if peer:
            self._peer(str(peer)).quotes_in += 1
        worth = event.body.get("used", event.body.get("quote"))
        if not self._waited(event):
            return
        self.waiting -= 1
        self._show(event, quote=worth, state="learnt")
        outcome = self._look(kinds.OUTCOME, event.handoff_id)
        if outcome is not None and worth is not None:
            self._learnt(event, outcome, _number(worth))

    def _expiry(self, event: Event) -> None:
        if not self._waited(event):
            return
        self.waiting -= 1
        self._show(event, quote=event.body.get("quote"), state="quote expired")
        decision = self._look(kinds.DECISION, event.handoff_id)
        target = decision.body.get("target") if decision else None
        if target in self.peers:
            self.peers[str(target)].expired += 1

    def _revision(self, event: Event) -> None:
        """The corrected reward counts in the window of its outcome; a first end counts there too."""
        outcome = self._look(kinds.OUTCOME, event.handoff_id)
        if outcome is None or not outcome.body:
            return
        waited = self._waited(event)
        reward, end = self._mended.pop(
            event.handoff_id, [outcome.body.get("reward"), outcome.body.get("end")]
        )
        window = self._bin(outcome)
        body = event.body
        if body.get("reward") is not None:
            window.reward += _number(body["reward"]) - _number(reward)
            reward = body["reward"]
            self._show(event, reward=reward)
        if body.get("duration") is not None:
            self._show(event, duration=body["duration"])
        if body.get("end") is not None:
            window.ends += end is None
            end = body["end"]
            self._show(event, end=end)
            if waited and end == "terminal":
                self.waiting -= 1
                self._show(event, state="learnt")
        self._mended[event.handoff_id] = [reward, end]
        while len(self._mended) > CACHE:
            self._mended.popitem(last=False)

    def _answer(self, event: Event) -> None:
        peer = event.body.get("peer")
        if peer:
            sums = self._peer(str(peer))
            sums.quotes_out += 1
            sums.bits_out += int(event.body.get("bits") or 0)

    def _policy(self, event: Event) -> None:
        note = {key: event.body.get(key) for key in ("version", "do")}
        self._agent(event.agent).policies.append(note | {"at": event.at})

    def _mode(self, event: Event) -> None:
        self.mode = str(event.body.get("mode"))

    def _trust(self, event: Event) -> None:
        sums = self._peer(str(event.body.get("peer")))
        done = str(event.body.get("do"))
        sums.state = {"flag": "flagged", "quarantine": "quarantined"}.get(done, "")
        sums.evidence = event.body.get("evidence")

    def _learnt(self, event: Event, outcome: Event, quote: float) -> None:
        """Count one learning step: its error against the value when it was decided."""
        sums = self.agents.get(event.agent)
        if sums is not None:
            sums.learnt += 1
        decision = self._look(kinds.DECISION, event.handoff_id)
        value = None if decision is None else _value(decision.body)
        if value is None:
            return
        factor = update.discount(self._gamma, _number(outcome.body.get("duration"), 1.0))
        error = abs(update.target(_number(outcome.body.get("reward")), factor, quote) - value)
        if math.isfinite(error):
            window = self._bin(event)
            window.learnt += 1
            window.error += error
            self._show(event, error=error)

    def _waited(self, event: Event) -> bool:
        """Whether its handoff waited for a quote just before this event."""
        outcome = self._look(kinds.OUTCOME, event.handoff_id)
        if outcome is None or outcome.seq > event.seq or outcome.body.get("quote") is not None:
            return False
        if self._mended.get(event.handoff_id, [None, outcome.body.get("end")])[1] == "terminal":
            return False
        earlier = (
            self._find(kinds.once(kind, event.handoff_id)) for kind in (kinds.QUOTE, kinds.EXPIRY)
        )
        return not any(one is not None and one.seq < event.seq for one in earlier)

    def _bin(self, event: Event) -> Bin:
        """The window of an event's number; all are doubled when it lies beyond the last."""
        while (event.seq - 1) // self.width >= BINS:
            self.width *= 2
            odd = self.bins[1::2]
            self.bins = self.bins[::2]
            for one, other in zip(self.bins, odd, strict=False):
                one.add(other)
        place = (event.seq - 1) // self.width
        while len(self.bins) <= place:
            self.bins.append(Bin())
        self.bins[place].last_at = max(self.bins[place].last_at, event.at)
        return self.bins[place]

    def _agent(self, name: str) -> AgentSums:
        name = name if name in self.agents or len(self.agents) < NAMES else OTHERS
        return self.agents.setdefault(name, AgentSums())

    def _peer(self, name: str) -> PeerSums:
        name = name if name in self.peers or len(self.peers) < NAMES else OTHERS
        return self.peers.setdefault(name, PeerSums())

    def _remember(self, event: Event) -> None:
        self._cache[event.once] = event
        while len(self._cache) > CACHE:
            self._cache.popitem(last=False)

    def _look(self, kind: str, handoff_id: str) -> Event | None:
        key = kinds.once(kind, handoff_id)
        return self._cache.get(key) or self._find(key)

    def _show(self, event: Event, **changes: Json) -> None:
        shown = self.latest.get(event.handoff_id)
        if shown is not None:
            shown.update(changes)


def _value(body: dict[str, Json]) -> float | None:
    """The value of the action taken, as it was decided."""
    values = body.get("values")
    value = values.get(body.get("action")) if isinstance(values, dict) else None
    return float(value) if isinstance(value, int | float) and math.isfinite(value) else None


def _number(value: Json, default: float = 0.0) -> float:
    return float(value) if isinstance(value, int | float) else default


def _shown(event: Event) -> dict[str, Json]:
    """A decision as it is shown, with texts and lists cut to a bounded length."""
    body = event.body
    one: dict[str, Json] = {
        name: cut(body.get(name)) for name in ("y", "action", "target", "mode", "default")
    }
    one["workflow"] = cut(body.get("workflow"))
    for name in ("values", "masked"):
        items = list((body.get(name) or {}).items())
        one[name] = {cut(key): cut(value) for key, value in items[:MOST]}
        one[f"more_{name}"] = max(0, len(items) - MOST)
    for name in ("propensity", "version", "explored"):
        one[name] = body.get(name)
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
    kinds.MODE: Fold._mode,
    kinds.TRUST: Fold._trust,
}
