"""What a node must have learnt, worked out anew from the bodies of its events and nothing else.

Plain Python over `icq.update` and `icq.clocks`; nothing of `batonq.node` is used, so that an error
there is not repeated here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from batonq.icq import clocks, update
from batonq.icq.clocks import Clock
from batonq.wire import scalar
from batonq.wire.scalar import Scalar

STALE_WEIGHT: Final = 0.5
Pair = tuple[str, str]  # information state, action
Body = dict[str, Any]


class Row(NamedTuple):
    """One event as it lies in a store."""

    seq: int
    at: float
    kind: str
    agent: str
    handoff_id: str
    once: str
    body: Body


@dataclass
class Update:
    """The one learning step of a handoff.

    Attributes:
        pair: whose value moved.
        n: local clock.
        reward: as it was last told.
        duration: as it was last told.
        quote: what was bootstrapped on; 0 after the end.
        weight: of the step; below 1 if the quote was that of another handoff of the pair.
    """

    pair: Pair
    n: int
    reward: float
    duration: float
    quote: float
    weight: float = 1.0

    def target(self, gamma: float) -> float:
        """What the handoff was worth."""
        return update.target(self.reward, update.discount(gamma, self.duration), self.quote)


class Replay:
    """Learns from the events of one agent, in their order.

    Attributes:
        values: by pair.
        counts: updates by pair.
        updates: by handoff, its learning step.
        quotes: by handoff, the quote that came for it, early or late.
        outcomes: by handoff, its outcome as last revised.
        open: handoffs with a decision that have been neither learnt from nor given up.
        expired: handoffs that were given up.
        revised: pairs whose value a revision mended.
        faults: what cannot be, in words.
    """

    def __init__(self, clock: Clock, gamma: float, actions: Sequence[str], crosses: Scalar) -> None:
        self.values: dict[Pair, float] = {}
        self.counts: Counter[Pair] = Counter()
        self.updates: dict[str, Update] = {}
        self.quotes: dict[str, float] = {}
        self.outcomes: dict[str, Body] = {}
        self.open: set[str] = set()
        self.expired: set[str] = set()
        self.revised: set[Pair] = set()
        self.faults: list[str] = []
        self._decisions: dict[str, Pair] = {}
        self._last: dict[Pair, float] = {}  # the latest quote that was learnt from
        self._clock, self._gamma = clock, gamma
        self._actions, self._crosses = actions, crosses

    def take(self, event: Row) -> None:
        """Take in the next event."""
        name, body = event.handoff_id, event.body
        if event.kind == "decision":
            self._decisions[name] = (body["y"], body["action"])
            self.open.add(name)
        elif event.kind == "outcome":
            self.outcomes[name] = body
            ended = body["end"] == "terminal"
            self._completed(event, 0.0 if ended else body.get("quote"))
        elif event.kind == "quote":
            if body["quote"] is not None:
                self.quotes[name] = body["quote"]
            if name in self.outcomes and name not in self.updates:
                ended = self.outcomes[name]["end"] == "terminal"
                self._completed(event, 0.0 if ended else body["quote"])
            else:
                self._completed(event, None)
        elif event.kind == "expiry":
            self.expired.add(name)
            self.open.discard(name)
            known = self._last.get(self._decisions[name])
            if body["quote"] != (known if name in self.outcomes else None):
                self.faults.append(f"{event.once}: from {body['quote']}; the last was {known}")
            self._completed(event, body["quote"], STALE_WEIGHT)
        elif event.kind == "revision":
            self._revise(event)
        elif event.kind == "answer":
            self._answer(event)
        else:
            self.faults.append(f"{event.once}: nothing of this kind was to happen here")

    def _completed(self, event: Row, quote: float | None, weight: float = 1.0) -> None:
        """Learn from a handoff that is complete by now; `quote` is None if it is not."""
        name, body = event.handoff_id, event.body
        if ("target" in body) != (quote is not None):
            self.faults.append(f"{event.once}: learnt from {body}, with the quote {quote}")
            return
        if quote is None:
            return
        if name not in self._decisions or name in self.updates:
            again = name in self.updates
            self.faults.append(f"{event.once}: learnt {'twice' if again else 'and never decided'}")
            return
        pair, outcome = self._decisions[name], self.outcomes[name]
        self.counts[pair] += 1
        n = self.counts[pair]
        one = Update(pair, n, outcome["reward"], outcome["duration"], quote, weight)
        target = one.target(self._gamma)
        if (body["n"], body["target"]) != (n, target):
            told = f"clock {body['n']}, target {body['target']}"
            self.faults.append(f"{event.once}: {told}; should be {n}, {target}")
        self.updates[name] = one
        self.open.discard(name)
        if weight == 1.0 and outcome["end"] != "terminal":
            self._last[pair] = quote
        size = weight * clocks.size(self._clock, n)
        self.values[pair] = update.step(self.values.get(pair, 0.0), target, size)

    def _revise(self, event: Row) -> None:
        """A correction moves the value by what is left of the step that it corrects."""
        name, body = event.handoff_id, event.body
        if name not in self.outcomes:
            self.faults.append(f"{event.once}: corrects no outcome")
            return
        now = {part: body[part] for part in ("reward", "duration", "end")}
        self.outcomes[name] = {**self.outcomes[name], **now}
        if name not in self.updates:
            return  # it will be learnt from as corrected
        one = self.updates[name]
        before = one.target(self._gamma)
        one.reward, one.duration = now["reward"], now["duration"]
        if now["end"] == "terminal":
            one.quote = 0.0
        elif one.weight < 1.0:  # its own may have come by now
            one.quote = self.quotes.get(name, one.quote)
        left = one.weight * clocks.size(self._clock, one.n)
        for later in range(one.n + 1, self.counts[one.pair] + 1):
            left *= 1.0 - clocks.size(self._clock, later)
        self.values[one.pair] += left * (one.target(self._gamma) - before)
        self.revised.add(one.pair)

    def _answer(self, event: Row) -> None:
        """A quote is the largest value over all actions, rounded to its code."""
        body = event.body
        best = max(self.values.get((body["y"], action), 0.0) for action in self._actions)
        code = scalar.encode(self._crosses, scalar.clamp(self._crosses, best)[0], 0.0)
        if (body["code"], body["value"]) != (code, scalar.decode(self._crosses, code)):
            told = f"{body['value']}, code {body['code']}"
            self.faults.append(f"{event.once}: quoted {told}; its best value was {best}")
