"""A node on a real socket, for tests of the service."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from batonq.icq.clocks import sample_mean
from batonq.node.team import Team
from batonq.service.run import serving
from batonq.service.settings import Settings

TOKEN = "control-token-0123456789"  # noqa: S105
CODE = "peer-token-of-code-0123456789"


def desk(path: Any = None, code: str = "http://127.0.0.1:9", **settings: Any) -> Team:
    """A team of two agents that learn means, with a peer that nobody answers for."""
    options: dict[str, Any] = {"gamma": 0.5, "mode": "apply", "explore": 0.0, "seed": 1}
    team = Team.open(path, **options | settings, name="desk")
    team.add("intake", to=["search", "code", "end"], clock=sample_mean())
    team.add("search", to=["intake", "end"], clock=sample_mean())
    team.peer("code", code, accepts=CODE)
    return team


@contextmanager
def client(team: Team, settings: Settings | None = None, token: str | None = None) -> Iterator[Any]:
    """A client of a team that is served."""
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    with (
        serving(team, settings=settings) as url,
        httpx.Client(base_url=url, headers=headers) as one,
    ):
        yield one


def decide(name: str, to: str = "search", agent: str = "intake", **more: Any) -> dict[str, Any]:
    """The body of a decision with one target."""
    return {"agent": agent, "state": {"kind": "bug"}, "to": [to], "handoff_id": name, **more}


def problem(response: Any) -> str:
    """The detail of a problem document, once its form is checked."""
    assert response.headers["content-type"] == "application/problem+json", response.text
    found = response.json()
    assert {"type", "title", "status", "detail"} <= set(found)
    assert found["status"] == response.status_code
    assert "Traceback" not in response.text
    assert ".py" not in response.text
    return str(found["detail"])
