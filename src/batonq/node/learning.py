"""One agent's learning: a fold over its events, whether they happen now or are read again."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from batonq.base.errors import ModelError, UnknownError
from batonq.base.files import Json
from batonq.icq import clocks
from batonq.icq.clocks import Clock
from batonq.node import seeing
from batonq.node.event import (
    DECISION,
    EXPIRY,
    OUTCOME,
    POLICY,
    QUOTE,
    REVISION,
    Event,
    Store,
)
from batonq.node.limits import Tallies
from batonq.node.values import TableValues, Values, linear_values

KINDS: Final = ("auto", "table", "linear", "neural")
PHASE: Final = 500  # handoffs learnt from between two automatic promotions


@dataclass(frozen=True)
class Learning:
    """How an agent learns.

    Attributes:
        kind: "table": a value per information state; "linear": linear in hashed features;
            "neural": networks on them; "auto": linear if there is text, else a table.
        answers: "live": acts and quotes from what it has learnt so far; "phased": from a version
            frozen at the last promotion; None: phased where there is text.
        clock: step sizes; None: `clocks.rescaled_linear(gamma)` for a table, a constant else.
        initial: value of what is new, in a table.
        phase: handoffs between automatic promotions of a phased learner; None: by hand only.

    Raises:
        ModelError: for a word or number that cannot be.
    """

    kind: str = "auto"
    answers: str | None = None
    clock: Clock | None = None
    initial: float = 0.0
    phase: int | None = PHASE

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ModelError(f"learner: '{self.kind}' is none of {', '.join(KINDS)}")
        if self.answers not in (None, "live", "phased"):
            raise ModelError(f"answers: '{self.answers}' is neither 'live' nor 'phased'")
        if self.phase is not None and self.phase < 1:
            raise ModelError(f"phase: {self.phase} handoffs; give 1 or more")

    def document(self) -> dict[str, Json]:
        """As JSON: what a store remembers, so that it is not gone on with differently."""
        return {
            "kind": self.kind,
            "answers": self.answers,
            "clock": None if self.clock is None else list(self.clock),
            "initial": self.initial,
        }


class Learner:
    """What one agent has learnt.

    Attributes:
        agent: whose it is.
        version: number of the latest promotion, 0 before the first.
        answering_version: the version that acts and quotes; None: what is being learnt itself.
        since: handoffs learnt from since the latest promotion.
        learnt: handoffs learnt from.
        tallies: of the running workflows.
        offered: key -> actions last offered there.
        last: "action at key" -> the latest quote received.
    """

    def __init__(self, agent: str, learning: Learning, gamma: float) -> None:
        self.agent = agent
        self.version = 0
        self.answering_version: int | None = None
        self.since = 0
        self.learnt = 0
        self.tallies = Tallies()
        self.offered: dict[str, tuple[str, ...]] = {}
        self.last: dict[str, dict[str, float]] = {}
        self._learning = learning
        self._gamma = gamma
        self._kind: str | None = None if learning.kind == "auto" else learning.kind
        self._values: Values | None = None
        self._answering: Values | None = None

    @property
    def phased(self) -> bool:
        """Whether it answers from a version frozen at the last promotion."""
        answers = self._learning.answers
        return answers == "phased" or (answers is None and self._kind in ("linear", "neural"))

    def values(self, y: str) -> Values:
        """What is being learnt; made when the first key tells whether there is text."""
        if self._values is None:
            if self._kind is None:
                self._kind = "linear" if seeing.has_text(y) else "table"
            self._values = _new(self._kind, self._learning, self._gamma)
            if self.phased:
                self._answering = _new(self._kind, self._learning, self._gamma)
        return self._values

    def at(self, y: str, actions: Sequence[str]) -> list[float]:
        """Values of these actions at `y`, by what acts and quotes."""
        answering = self._values if self._answering is None else self._answering
        if answering is None:  # nothing has been seen: asking leaves no trace
            return [self._learning.initial] * len(actions)
        return answering.at(y, actions)

    def worth(self, y: str, actions: Sequence[str]) -> float:
        """The quote: the largest value over the permitted actions.

        Where none are declared, those last offered at `y` count, else those that have values.
        """
        asked = actions or self.offered.get(y)
        if not asked:
            answering = self._values if self._answering is None else self._answering
            asked = () if answering is None else answering.known(y)
        return max(self.at(y, asked)) if asked else self._learning.initial

    def due(self) -> bool:
        """Whether a phased learner should promote itself now."""
        phase = self._learning.phase
        return self.phased and phase is not None and self.since >= phase

    def apply(self, event: Event, version: Callable[[int], Json] | None = None) -> float | None:
        """Take in one event of this agent; returns the value it moved, if any.

        Args:
            event: the next one.
            version: reads the values of an earlier version, for what goes back to one.
        """
        value = None
        body = event.body
        if event.kind == DECISION:
            self.values(body["y"])  # the first one tells whether there is text
            self.offered[body["y"]] = (*body["permitted"], *body["masked"])
            if body["workflow"]:
                self.tallies.handed(body["workflow"], event.agent, body["target"])
        elif event.kind in (OUTCOME, QUOTE, EXPIRY):
            if "target" in body:
                y, action = body["y"], body["action"]
                weight = body.get("weight", 1.0)
                value = self.values(y).learn(y, action, body["target"], weight)
                self.since += 1
                self.learnt += 1
                if event.kind != EXPIRY and body.get("quote") is not None:
                    self.last.setdefault(y, {})[action] = body["quote"]
            self._count_costs(body)
        elif event.kind == REVISION:
            if "change" in body:
                y, action = body["y"], body["action"]
                weight = body.get("weight", 1.0)
                value = self.values(y).shift(y, action, body["change"], body["n"], weight)
            self._count_costs(body)
        elif event.kind == POLICY:
            self._policy(body, version)
        return value

    def _count_costs(self, body: dict[str, Json]) -> None:
        workflow = body.get("workflow")
        if workflow:
            if body.get("costs"):
                self.tallies.paid(workflow, body["costs"])
            if body.get("end") == "terminal":
                self.tallies.ended(workflow)

    def _policy(self, body: dict[str, Json], version: Callable[[int], Json] | None) -> None:
        if body["do"] == "promote":
            self.version = body["version"]
            self.since = 0
            if self._values is not None:
                frozen = self._values.frozen(restart=self.phased)
                self._answering = frozen if self.phased else None
            self.answering_version = self.version if self.phased else None
        else:
            self._kind = body["kind"]
            self._answering = _new(body["kind"], self._learning, self._gamma)
            assert version is not None  # noqa: S101 - who goes back can read what to
            self._answering.load(version(body["version"]))
            self.answering_version = body["version"]

    def to_json(self) -> Json:
        """Everything, to start again from without reading all events."""
        return {
            "kind": self._kind,
            "values": None if self._values is None else self._values.to_json(),
            "answering": None if self._answering is None else self._answering.to_json(),
            "version": self.version,
            "answering_version": self.answering_version,
            "since": self.since,
            "learnt": self.learnt,
            "tallies": self.tallies.to_json(),
            "offered": {y: list(actions) for y, actions in self.offered.items()},
            "last": self.last,
        }

    def load(self, state: Json) -> None:
        """Take over what `to_json` gave."""
        self._kind = state["kind"]
        for name in ("values", "answering"):
            if state[name] is not None:
                made = _new(state["kind"], self._learning, self._gamma)
                made.load(state[name])
                setattr(self, f"_{name}", made)
        for name in ("version", "answering_version", "since", "learnt", "last"):
            setattr(self, name, state[name])
        self.tallies.load(state["tallies"])
        self.offered = {y: tuple(actions) for y, actions in state["offered"].items()}

    def snapshot(self) -> Json:
        """What is being learnt, as a version to go back to."""
        return None if self._values is None else self._values.to_json()

    @property
    def kind(self) -> str | None:
        """The kind of values; None while "auto" has seen nothing."""
        return self._kind

    def table(self) -> dict[str, dict[str, tuple[float, int]]]:
        """Key -> action -> (value, count) of a table.

        Raises:
            ModelError: if the agent does not keep a table.
        """
        if self._values is None:
            return {}
        if not isinstance(self._values, TableValues):
            raise ModelError(f"agent '{self.agent}': learns {self._kind} values, not a table")
        return {
            y: {action: (cell[0], int(cell[1])) for action, cell in row.items()}
            for y, row in self._values.rows.items()
        }


def _new(kind: str, learning: Learning, gamma: float) -> Values:
    if kind == "table":
        clock = clocks.rescaled_linear(gamma) if learning.clock is None else learning.clock
        return TableValues(clock, learning.initial)
    given = () if learning.clock is None else (learning.clock,)
    if kind == "linear":
        return linear_values(*given)
    from batonq.node.neural import neural_values  # compiles: only who asks for it waits

    return neural_values(*given)


def version_name(agent: str, version: int) -> str:
    """Name of the state that holds a version of an agent's values."""
    return f"version/{agent}/{version:08d}"


def recall(store: Store, agent: str, version: int) -> Json:
    """The values of an earlier version.

    Raises:
        UnknownError: if there is none.
    """
    kept = store.state(version_name(agent, version))
    if kept is None:
        raise UnknownError(f"agent '{agent}': has no version {version}; see its page or `peers`")
    return kept[1]


def replay(store: Store, learner: Learner, after: int = 0) -> Learner:
    """Let a learner take in its events from the store; returns it."""
    for event in store.events(after, learner.agent):
        if event.body:
            learner.apply(event, lambda version: recall(store, learner.agent, version))
    return learner
