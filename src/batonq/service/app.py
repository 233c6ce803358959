"""App: the FastAPI application over one team."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from threading import Event
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from starlette.types import ASGIApp

from batonq import __version__
from batonq.node.team import Team
from batonq.service import login, problems, routes
from batonq.service.dashboard import dashboard
from batonq.service.gate import Gate
from batonq.service.metrics import Metrics
from batonq.service.routes import Node
from batonq.service.security import Guard, caller
from batonq.service.settings import Settings
from batonq.service.tending import tend

_DESCRIPTION: Final = """
A node learns when and to whom its agents hand off. `decide` chooses, `settle` tells what came of
it, `receive` is how a peer hands on and gets the one scalar back. Every error is a problem document
(RFC 9457). Repeated calls are safe: each is done once.
"""
_TAGS: Final = [
    {"name": "control", "description": "For the node's own pipeline: needs the node's token."},
    {"name": "peer", "description": "For peers, each with its own token."},
    {"name": "open", "description": "For anyone who can reach the port."},
]


def application(team: Team, settings: Settings | None = None) -> FastAPI:
    """The service and dashboard of a team.

    Its state has `node` (the team, settings and guard), `metrics`, and `stopping`, an event to set
    when the server stops, which ends what would go on for ever.

    Args:
        team: to serve; it stays open.
        settings: how; by default open to local callers, for a loopback address only.

    Raises:
        ModelError: if a peer's token cannot be one.
    """
    settings = settings or Settings()
    guard = Guard(settings, team.peers, team.core.name)
    metrics = Metrics(team)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        task = asyncio.create_task(tend(team, settings.retry_seconds))
        try:
            yield
        finally:
            stopping.set()
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            for peer in team.peers.values():
                await peer.aclose()

    app = FastAPI(
        title="batonq node",
        version=__version__,
        description=_DESCRIPTION,
        openapi_tags=_TAGS,
        lifespan=lifespan,
        openapi_url=None,  # served by a route of ours, behind the gate; no page loads foreign code
        redirect_slashes=False,
    )
    stopping = Event()
    app.state.stopping = stopping
    app.state.node = Node(team, settings, guard)
    app.state.metrics = metrics
    app.router.routes.extend(routes.router.routes)
    app.add_api_route("/metrics", _metrics, include_in_schema=False)
    app.include_router(login.router)
    app.include_router(dashboard(team, caller, login.csrf, stopping.is_set))
    problems.install(app)
    app.openapi = lambda: _document(app)  # type: ignore[method-assign]

    def gate(inner: ASGIApp) -> Gate:
        made = Gate(inner, guard, settings, metrics)
        app.state.gate = made
        return made

    app.add_middleware(gate)
    return app


async def _metrics(request: Request) -> Response:
    metrics: Metrics = request.app.state.metrics
    text, media_type = metrics.text()
    return Response(text, media_type=media_type)


def _document(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: as FastAPI makes it, with who may call what."""
    if app.openapi_schema:
        return app.openapi_schema
    found = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        tags=app.openapi_tags,
    )
    found["components"]["securitySchemes"] = {
        "token": {
            "type": "http",
            "scheme": "bearer",
            "description": "The node's token, or a peer's. A loopback node without a token of its "
            "own takes local callers without.",
        }
    }
    for path in found["paths"].values():
        for operation in path.values():
            if "open" not in operation["tags"]:
                operation["security"] = [{"token": []}]
    app.openapi_schema = found
    return found
