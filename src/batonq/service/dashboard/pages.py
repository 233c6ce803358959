"""Pages: what each shows, taken from the node; no knowledge of HTTP."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from threading import Lock
from typing import Any, Final

from batonq.base.errors import ModelError, UnknownError
from batonq.base.files import Json
from batonq.node import event as kinds
from batonq.node.deciding import of_event
from batonq.node.event import Event
from batonq.node.overview.fold import cut
from batonq.node.overview.view import Overview
from batonq.node.overview.watch import Watch
from batonq.node.team import Team
from batonq.service.dashboard import rendering

FRESH: Final = 0.5  # seconds for which an overview serves all who ask
ROWS: Final = 50  # information states on a page
SORTS: Final = ("count", "value", "state")


class Pages:
    """What the pages of one node show. Safe to use from several threads."""

    def __init__(self, team: Team) -> None:
        self._team = team
        self._lock = Lock()
        self._watch: Watch | None = None
        self._view: tuple[float, Overview] | None = None

    @property
    def watch(self) -> Watch:
        """The node's watch, made at the first look."""
        if self._watch is None:
            self._watch = Watch(self._team)
        return self._watch

    def view(self) -> Overview:
        """An overview that is at most `FRESH` seconds old."""
        with self._lock:
            now = time.monotonic()
            if self._view is None or now - self._view[0] > FRESH:
                view = self.watch.overview()
                self._view = (time.monotonic(), view)
            return self._view[1]

    def changed(self) -> None:
        """Something was done by hand: the next look must show it."""
        with self._lock:
            self._view = None

    def frame(self, csrf: str, session: bool, here: str, stream: str = "") -> dict[str, Any]:
        """What every page needs.

        Args:
            csrf: what its forms must carry.
            session: whether who looks can log out.
            here: which page it is.
            stream: where its news come from; "" if it has none.
        """
        return {
            "node": self._team.core.name,
            "agents": list(self._team.agents),
            "csrf": csrf,
            "session": session,
            "here": here,
            "stream": stream,
        }

    def overview(self) -> dict[str, Any]:
        """The overview."""
        self.watch.want_terms()
        view = self.view()
        return {"view": view, **rendering.drawn(view)}

    def peers(self) -> dict[str, Any]:
        """The peers."""
        return {"view": self.view()}

    def agent(self, name: str) -> dict[str, Any]:
        """One agent, without its table.

        Raises:
            UnknownError: if there is none.
        """
        name = self._team[name].name
        view = self.view()
        found = [one for one in view.agents if one.name == name]
        if not found:  # added since
            self.changed()
            found = [one for one in self.view().agents if one.name == name]
        learner = self._team[name].learner
        one = replace(found[0], version=learner.version, answering=learner.answering_version)
        versions = self.watch.versions(name)
        return {"one": one, "versions": versions, "policies": self.watch.policies(name)}

    def table(self, name: str, q: str, sort: str, page: int) -> dict[str, Any]:
        """A page of what an agent learnt.

        Args:
            name: of the agent.
            q: text that information states must contain, in any case.
            sort: one of `SORTS`: by updates, by the largest value, or by name.
            page: from 1; one beyond the last is the last.
        """
        base = {"name": name, "q": q, "sort": sort if sort in SORTS else SORTS[0]}
        try:
            table = self._team[name].table()
        except ModelError as error:
            return {**base, "note": f"{error}; its values are computed when they are needed."}
        wanted = q.lower()
        found = [(y, row) for y, row in table.items() if wanted in y.lower()]
        keys = {
            "count": lambda one: (-sum(count for _, count in one[1].values()), one[0]),
            "value": lambda one: (-max(value for value, _ in one[1].values()), one[0]),
            "state": lambda one: one[0],
        }
        found.sort(key=keys[base["sort"]])
        pages = max(1, -(-len(found) // ROWS))
        page = min(max(page, 1), pages)
        rows = [(y, _cells(row)) for y, row in found[(page - 1) * ROWS : page * ROWS]]
        more = {"rows": rows, "found": len(found), "total": len(table), "page": page}
        return {**base, **more, "pages": pages, "note": ""}

    def handoff(self, handoff_id: str) -> dict[str, Any]:
        """Everything known of one handoff.

        Raises:
            UnknownError: if nothing is.
        """
        events = self.watch.handoff(handoff_id)
        if not events:
            raise UnknownError(f"handoff '{handoff_id}': is not known to this node")
        told = [
            {
                "seq": one.seq,
                "at": one.at,
                "kind": one.kind,
                "agent": one.agent,
                "facts": [(name, _text(value)) for name, value in one.body.items()],
            }
            for one in events
        ]
        decisions = [one for one in events if one.kind == kinds.DECISION and one.body]
        decision = _decided(decisions[0]) if decisions else None
        return {"id": handoff_id, "events": told, "decision": decision}


def _decided(event: Event) -> dict[str, Json]:
    """The body of a decision, with who, when and why."""
    base = {"agent": event.agent, "at": event.at, "why": of_event(event).why, "fields": None}
    return {**base, **event.body}


def _cells(row: dict[str, tuple[float, int]]) -> list[tuple[str, float, int, bool]]:
    """Actions with value, count and whether it is the best, best first."""
    top = max(value for value, _ in row.values())
    ordered = sorted(row.items(), key=lambda one: -one[1][0])
    return [(action, value, count, value == top) for action, (value, count) in ordered]


def _text(value: Json) -> str:
    """A value of an event, short enough to show."""
    return str(cut(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)))
