"""What an overview of a node holds: frozen, and as JSON by `Overview.document`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from batonq.base.files import Json


@dataclass(frozen=True)
class Edge:
    """How often one agent hands to one target.

    Attributes:
        agent: who decides.
        target: whom it leads to; "end" ends the workflow.
        count: decisions so far.
        share: of the agent's recent decisions, in [0, 1]; the shares of an agent sum to 1.
        value: mean over those of the value the action had, Q, when it was taken; None if there
            are none.
    """

    agent: str
    target: str
    count: int
    share: float
    value: float | None


@dataclass(frozen=True)
class Point:
    """A window of event numbers on the learning curve.

    Attributes:
        last_event: number of the last event that belongs to it.
        last_at: when its latest event was, seconds since 1970.
        decisions: decided in it.
        outcomes: settled in it.
        reward: mean reward per handoff settled in it, as corrected since; None without any.
        per_workflow: reward settled in it over workflows that ended in it; None without any.
        error: mean |R + gamma^tau * quote - Q| of what was learnt in it, Q being the value the
            action had when it was taken; None without any.
        explored: share of its decisions that explored; None without any.
    """

    last_event: int
    last_at: float
    decisions: int
    outcomes: int
    reward: float | None
    per_workflow: float | None
    error: float | None
    explored: float | None


@dataclass(frozen=True)
class AgentView:
    """One agent.

    Attributes:
        name: its name.
        local: whether it is configured in this node now.
        kind: "table", "linear" or "neural"; None while it has seen nothing.
        decisions: so far.
        explored: of these.
        learnt: handoffs learnt from.
        version: latest promoted, 0 before the first.
        answering: version that acts and quotes; None: what is being learnt itself.
        terms: of the bound, as JSON (`bound.lines.Terms.document`) with a "note".
    """

    name: str
    local: bool
    kind: str | None
    decisions: int
    explored: int
    learnt: int
    version: int
    answering: int | None
    terms: Mapping[str, Json]


@dataclass(frozen=True)
class PeerView:
    """One peer, with what is known of its quotes.

    Attributes:
        name: its name.
        url: where it is.
        standing: "new", "trusted", "flagged" or "quarantined", as the test has it.
        flagged: whether it was shown to promise too much since it was last released.
        quarantined: whether nothing is handed to it now.
        weight: what its quotes would count beside this node's own mean, in [0, 1].
        on_inflation: what follows a flag: "flag", "shrink" (the weight counts) or "quarantine".
        evidence: of the test (`node.trust.evidence`).
        bits: told to it so far.
        budget: bits it may be told; None: no limit.
        quotes_in: it gave.
        quotes_out: given to it.
        expired: handoffs to it whose quote never came.
        failures: calls to it that failed since the node was opened.
    """

    name: str
    url: str
    standing: str
    flagged: bool
    quarantined: bool
    weight: float
    on_inflation: str
    evidence: Json
    bits: int
    budget: int | None
    quotes_in: int
    quotes_out: int
    expired: int
    failures: int


@dataclass(frozen=True)
class Overview:
    """What an operator wants to see of a node.

    Attributes:
        name: of the node.
        at: when this was made, seconds since 1970.
        mode: "observe", "apply" or "bypass".
        seq: number of the last event counted.
        behind: events not yet counted.
        counts: events by kind.
        open: handoffs without an outcome, or with one that waits for a quote.
        waiting: the latter; None while older events are still to be counted.
        agents: each agent.
        edges: the handoff graph.
        curve: the learning curve, oldest window first.
        decisions: the latest, newest first, with why and what came of them.
        peers: each peer.
        units: gamma, units and the scalar's range, bits and rounding.
        rounding: what rounding quotes adds to the bound: "value", or "note" why there is none.
        failures: what went wrong since the node was opened, by name.
    """

    name: str
    at: float
    mode: str
    seq: int
    behind: int
    counts: Mapping[str, int]
    open: int
    waiting: int | None
    agents: tuple[AgentView, ...]
    edges: tuple[Edge, ...]
    curve: tuple[Point, ...]
    decisions: tuple[Mapping[str, Json], ...]
    peers: tuple[PeerView, ...]
    units: Mapping[str, Json]
    rounding: Mapping[str, Json]
    failures: Mapping[str, Json] = field(default_factory=dict)

    def document(self) -> dict[str, Json]:
        """All of it as JSON."""
        return asdict(self)
