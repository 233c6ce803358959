"""Overview: what an operator wants to see of a node, as one document, cheap however big its store.

A `Watch` reads only events it has not read yet (`overview_fold`), at most `CHUNK` at a time, and
keeps what they add up to. The terms of the bound take seconds, so they are computed on request
(`overview_terms`) and kept meanwhile.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from contextlib import nullcontext
from itertools import islice
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final

from batonq.base.errors import BatonqError, StoreError, WireError
from batonq.base.files import Json
from batonq.node import event as kinds
from batonq.node.core import Core
from batonq.node.event import Event
from batonq.node.learning import version_name
from batonq.node.overview.fold import AgentSums, Fold, PeerSums
from batonq.node.overview.terms import terms_of
from batonq.node.overview.view import AgentView, Edge, Overview, PeerView
from batonq.node.peers import trust
from batonq.wire.scalar import rounding_term

if TYPE_CHECKING:
    from batonq.node.team import Team

logger = logging.getLogger(__name__)

CHUNK: Final = 10_000  # events counted at a look: a fraction of a second
FEW: Final = 200  # events that may be counted while the node is held up, so that figures agree
KEEP_EVERY: Final = 50_000  # events between two times that the sums are kept
REREAD: Final = 500  # events read again for the latest decisions when starting from kept sums
TERMS_EVERY: Final = 30.0  # seconds between two computations of the terms, at least
STATE: Final = "overview"  # name of the sums in the store
SCHEMA: Final = 1  # of the sums; others are counted anew
NOTHING: Final = "nothing was learnt yet"


class Watch:
    """Keeps an `Overview` of one node at hand. Safe to use from several threads."""

    def __init__(self, team: Team) -> None:
        """Start from what was kept last, or from the first event."""
        self._core = team.core
        self._store = team.store
        self._fold = Fold(team.store)
        self._lock = Lock()
        self._kept = 0
        self._terms: dict[str, dict[str, Json]] = {}
        self._terms_at: float | None = None
        self._terms_seq = -1
        self._computing = False
        kept = team.store.state(STATE)
        if kept is not None and kept[1]["schema"] == SCHEMA:
            self._load(kept[1]["fold"])

    def _load(self, state: Json) -> None:
        """Take over sums, and read the latest decisions again."""
        self._fold.load(state)
        self._kept = self._fold.seq
        again = Fold(self._store)
        after = max(0, self._kept - REREAD)
        for event in islice(self._store.events(after), self._kept - after):
            again.add(event)
        self._fold.latest = again.latest

    def advance(self, limit: int = CHUNK) -> int:
        """Count at most `limit` further events; returns how many are left.

        Raises:
            StoreError: if the store cannot be read; what was counted stays.
        """
        with self._lock:
            for event in islice(self._store.events(self._fold.seq), limit):
                self._fold.add(event)
            if self._fold.seq - self._kept >= KEEP_EVERY:
                self._keep()
            return max(0, self._store.last() - self._fold.seq)

    def _keep(self) -> None:
        """Keep the sums in the store, so that the next start need not read all events."""
        self._kept = self._fold.seq
        if self._core.read_only:
            return
        state = {"schema": SCHEMA, "fold": self._fold.to_json()}
        try:
            self._store.keep_state(STATE, self._fold.seq, state)
        except StoreError as error:  # without it the next start takes longer, no more
            logger.warning("overview: %s", error)

    def overview(self) -> Overview:
        """The overview as of now.

        What cannot be read of a failing store is named under `failures`; the rest is shown.
        """
        behind, n_open = 0, 0
        failures: dict[str, Json] = {}
        try:
            behind = self.advance()
            with self._core.lock if behind <= FEW else nullcontext():
                behind = self.advance() if behind <= FEW else behind
                n_open = self._store.count_open()
        except StoreError as error:
            logger.warning("overview: %s", error)
            failures["store"] = "cannot be read or written now; the node's log says why"
        with self._lock:
            return self._assemble(behind, n_open, failures)

    def versions(self, agent: str) -> list[int]:
        """Numbers of the versions of an agent that can be gone back to, latest first."""
        prefix = version_name(agent, 0).rstrip("0")
        names = self._store.states(prefix)
        return [int(name.removeprefix(prefix)) for name in reversed(names)]

    def policies(self, agent: str) -> list[dict[str, Json]]:
        """What was done with the versions of an agent, oldest first; the latest ones."""
        with self._lock:
            sums = self._fold.agents.get(agent)
            return list(sums.policies) if sums else []

    def handoff(self, handoff_id: str) -> list[Event]:
        """All events of one handoff, in order; none if it is not known."""
        single = (kinds.DECISION, kinds.OUTCOME, kinds.QUOTE, kinds.EXPIRY, kinds.ANSWER)
        found = [
            self._store.find(kinds.once(kind, handoff_id))
            for kind in (*single, kinds.REALISED, kinds.IMPORT)
        ]
        known = [one for one in found if one is not None]
        return sorted([*known, *self._store.revisions(handoff_id)], key=lambda one: one.seq)

    def want_terms(self) -> None:
        """Have the terms computed in the background, if that was long ago and there are new events.

        They appear in the overviews made afterwards.
        """
        with self._lock:
            now = time.monotonic()
            recent = self._terms_at is not None and now - self._terms_at < TERMS_EVERY
            if self._computing or recent or self._terms_seq == self._fold.seq:
                return
            self._computing = True
        Thread(target=self.compute_terms, name="batonq-terms", daemon=True).start()

    def compute_terms(self) -> None:
        """Compute the terms of every agent of this node that learns a table; takes seconds."""
        seq = self._fold.seq
        kind_of = {name: one.learner.kind for name, one in list(self._core.agents.items())}
        found: dict[str, dict[str, Json]] = {}
        try:
            tables = [name for name, kind in kind_of.items() if kind == "table"]
            found = terms_of(self._store, tables, self._core.gamma)
        except BatonqError as error:
            logger.warning("overview: %s", error)
        finally:
            for name, kind in kind_of.items():
                why = "these terms are of tables" if kind != "table" else "the store fails"
                found.setdefault(name, none(f"values are {kind}; {why}" if kind else NOTHING))
            with self._lock:
                self._terms, self._terms_seq = found, seq
                self._terms_at, self._computing = time.monotonic(), False

    def _assemble(self, behind: int, n_open: int, failures: dict[str, Json]) -> Overview:
        core, fold = self._core, self._fold
        told = {
            "decisions fell back on their default": core.counts.failures,
            "quotes could not be had at once": core.counts.unasked,
            "own quotes were outside the declared range and clamped": core.counts.clamped,
        }
        failures |= {name: count for name, count in told.items() if count}
        locals_ = list(core.agents)
        names = [*locals_, *(name for name in fold.agents if name not in locals_)]
        return Overview(
            name=core.name,
            at=core.clock(),
            mode=core.mode,
            seq=fold.seq,
            behind=behind,
            counts=dict(fold.counts),
            open=n_open,
            waiting=None if behind or "store" in failures else n_open - fold.unsettled,
            agents=tuple(self._agent(name) for name in names),
            edges=edges_of(fold.agents),
            curve=fold.curve.points(fold.seq),
            decisions=tuple(fold.decisions()),
            peers=tuple(self._peer(name) for name in list(core.peers)),
            units=core.declaration.document(),
            rounding=_rounding(core),
            failures=failures,
        )

    def _agent(self, name: str) -> AgentView:
        sums = self._fold.agents.get(name, AgentSums())
        agent = self._core.agents.get(name)
        learner = None if agent is None else agent.learner
        return AgentView(
            name=name,
            local=agent is not None,
            kind=None if learner is None else learner.kind,
            decisions=sums.decisions,
            explored=sums.explored,
            learnt=sums.learnt,
            version=0 if learner is None else learner.version,
            answering=None if learner is None else learner.answering_version,
            terms=self._terms.get(name, none("not computed yet; that takes some seconds")),
        )

    def _peer(self, name: str) -> PeerView:
        peer = self._core.peers[name]
        sums = self._fold.peers.get(name, PeerSums())
        return PeerView(
            name=name,
            url=peer.url,
            standing=trust.standing(peer.terms, peer.ledger),
            flagged=peer.flagged,
            quarantined=peer.quarantined,
            weight=trust.weight(peer.terms, peer.ledger, peer.ledger.realised),
            on_inflation=peer.on_inflation,
            evidence=trust.evidence(peer.terms, peer.ledger),
            bits=peer.answered * self._core.declaration.scalar.bits,
            budget=peer.leak_bits,
            quotes_in=sums.quotes_in,
            quotes_out=sums.quotes_out,
            expired=sums.expired,
            failures=peer.failures + peer.strikes,
        )


def overview(team: Team) -> Overview:
    """The overview of a node, counted from its first event; keep a `Watch` to look again."""
    watch = Watch(team)
    while watch.advance():
        pass
    return watch.overview()


def none(why: str) -> dict[str, Json]:
    """Terms that are not available."""
    return {"terms": [], "note": f"not available: {why}"}


def edges_of(agents: Mapping[str, AgentSums]) -> tuple[Edge, ...]:
    """The handoff graph; each agent's targets by share, then count."""
    found = []
    for name, sums in agents.items():
        for target, count in sums.targets.items():
            values = [value for one, value in sums.recent if one == target]
            known = [value for value in values if value is not None]
            mean = sum(known) / len(known) if known else None
            found.append(Edge(name, target, count, len(values) / len(sums.recent), mean))
    return tuple(sorted(found, key=lambda one: (one.agent, -one.share, -one.count)))


def _rounding(core: Core) -> dict[str, Json]:
    """What rounding adds to the values' error, at most, where every option takes a unit of time."""
    try:
        value = rounding_term(core.declaration.scalar, core.gamma)
    except WireError as error:
        return {"value": None, "note": f"not available: {error}"}
    return {"value": value, "note": "at most, with beta no larger than gamma"}
