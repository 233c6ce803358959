"""Symptoms: what a node's latest events show, counted in one pass, for `doctor` to judge."""

from __future__ import annotations

import math
from collections import Counter, deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from batonq.base.files import Json
from batonq.icq import update
from batonq.node import event as kinds
from batonq.node import seeing
from batonq.node.event import Event
from batonq.node.standing import TERMINAL

MOST_DELAYS: Final = 10_000  # latest delays that are kept


@dataclass
class Spread:
    """Count, mean, sum of squared distances from it, and range of some numbers."""

    count: int = 0
    mean: float = 0.0
    squares: float = 0.0
    low: float = math.inf
    high: float = -math.inf

    def add(self, value: float) -> None:
        """One more number."""
        self.count += 1
        moved = value - self.mean
        self.mean += moved / self.count
        self.squares += moved * (value - self.mean)
        self.low, self.high = min(self.low, value), max(self.high, value)

    @property
    def sd(self) -> float:
        """Their standard deviation; NaN for fewer than two."""
        return math.sqrt(self.squares / (self.count - 1)) if self.count > 1 else math.nan

    @property
    def width(self) -> float:
        """Largest less smallest; 0 without any."""
        return self.high - self.low if self.count else 0.0


Pair = tuple[str, str, str]  # agent, key of the information state, action


@dataclass
class Symptoms:
    """What events show. Those whose bodies were erased count nowhere.

    Attributes:
        decisions: how many.
        by_chance: of these, those with a propensity below 1.
        modes: decisions by mode.
        visits: agent -> key -> decisions there.
        text: agents whose keys hold hashed text.
        targets: what was learnt from, by pair.
        discounts: gamma**tau by pair, 0 where the workflow ended.
        durations: of options.
        outcomes: outcomes, and of these
        waiting: those that still wait for a quote.
        expired: handoffs that were closed without one.
        delays: seconds from decision to outcome, of the latest.
        quotes: from others, by peer; "" where nobody is named.
        answers: our own quotes that crossed, as codes.
        at_low: how many of these were the smallest code.
        at_high: how many were the largest.
        realised: how often it was told what came of a handoff, by peer.
        stood_still: longest run of events at one and the same time.
        last_at: time of the latest event; 0 without any.
    """

    decisions: int = 0
    by_chance: int = 0
    modes: Counter[str] = field(default_factory=Counter)
    visits: dict[str, Counter[str]] = field(default_factory=dict)
    text: set[str] = field(default_factory=set)
    targets: dict[Pair, Spread] = field(default_factory=dict)
    discounts: dict[Pair, Spread] = field(default_factory=dict)
    durations: Spread = field(default_factory=Spread)
    outcomes: int = 0
    waiting: int = 0
    expired: int = 0
    delays: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_DELAYS))
    quotes: dict[str, Spread] = field(default_factory=dict)
    answers: int = 0
    at_low: int = 0
    at_high: int = 0
    realised: Counter[str] = field(default_factory=Counter)
    stood_still: int = 0
    last_at: float = 0.0


def examine(events: Iterable[Event], gamma: float) -> Symptoms:
    """Count what events show.

    Args:
        events: in order; the latest ones will do.
        gamma: discount per unit of time.
    """
    found = Symptoms()
    begun: dict[str, Event] = {}
    unquoted: set[str] = set()
    run = 0
    for event in events:
        run = run + 1 if event.at == found.last_at else 1
        found.last_at = event.at
        found.stood_still = max(found.stood_still, run)
        body = event.body
        if not body:
            continue
        if event.kind == kinds.DECISION:
            begun[event.handoff_id] = event
            _decision(found, event.agent, body)
        elif event.kind == kinds.OUTCOME:
            _outcome(found, event, begun.pop(event.handoff_id, None), gamma)
            if "target" not in body:
                unquoted.add(event.handoff_id)
        elif event.kind in (kinds.QUOTE, kinds.EXPIRY):
            unquoted.discard(event.handoff_id)
            _completed(found, event)
        elif event.kind == kinds.ANSWER and body.get("code") is not None:
            found.answers += 1
            found.at_low += body["code"] == 0
            found.at_high += body["code"] == (1 << body["bits"]) - 1
        elif event.kind == kinds.REALISED:
            found.realised[body.get("peer") or ""] += 1
    found.waiting = len(unquoted)
    return found


def _decision(found: Symptoms, agent: str, body: dict[str, Json]) -> None:
    found.decisions += 1
    found.by_chance += body["propensity"] < 1
    found.modes[body["mode"]] += 1
    found.visits.setdefault(agent, Counter())[body["y"]] += 1
    if seeing.has_text(body["y"]):
        found.text.add(agent)


def _outcome(found: Symptoms, event: Event, made: Event | None, gamma: float) -> None:
    found.outcomes += 1
    body = event.body
    found.durations.add(body["duration"])
    if made is not None:
        found.delays.append(event.at - made.at)
        ended = body.get("end") == TERMINAL
        discount = 0.0 if ended else update.discount(gamma, body["duration"])
        pair = (made.agent, made.body["y"], made.body["action"])
        found.discounts.setdefault(pair, Spread()).add(discount)
    if body.get("quote") is not None:
        found.quotes.setdefault("", Spread()).add(body["quote"])
    _learnt(found, event)


def _completed(found: Symptoms, event: Event) -> None:
    body = event.body
    found.expired += event.kind == kinds.EXPIRY
    if event.kind == kinds.QUOTE and body.get("quote") is not None:
        told = body.get("told")
        quote = body["quote"] if told is None else told
        found.quotes.setdefault(body.get("peer") or "", Spread()).add(quote)
    _learnt(found, event)


def _learnt(found: Symptoms, event: Event) -> None:
    body = event.body
    if "target" in body:
        pair = (event.agent, body["y"], body["action"])
        found.targets.setdefault(pair, Spread()).add(body["target"])
