"""Log in: how a browser gets a session, with the node's token, and ends it."""

from __future__ import annotations

from html import escape
from typing import Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from batonq.service.headers import host_name
from batonq.service.routes import node_of
from batonq.service.security import SESSION_SECONDS, caller
from batonq.service.settings import LOOPBACK

router = APIRouter(include_in_schema=False)

_POLICY: Final = (
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)
_PAGE: Final = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Log in · {name}</title>
<link rel="stylesheet" href="/static/dashboard.css">
</head>
<body>
<main>
<h1>{name}</h1>
<p role="status">{told}</p>
<form method="post" action="/login">
<input type="hidden" name="csrf" value="{csrf}">
<p><label for="token">Token of this node</label><br>
<input id="token" name="token" type="password" autocomplete="current-password"
required autofocus></p>
<p><button type="submit">Log in</button></p>
</form>
</main>
</body>
</html>
"""


def csrf(request: Request) -> str:
    """The token that a form of this caller must carry in a field `csrf`."""
    return caller(request).csrf


def _page(request: Request, told: str, status: int = 200) -> Response:
    node = node_of(request)
    text = _PAGE.format(
        name=escape(node.team.core.name), told=escape(told), csrf=escape(csrf(request))
    )
    return HTMLResponse(text, status, {"Content-Security-Policy": _POLICY})


@router.get("/login")
async def form(request: Request) -> Response:
    """The page to log in."""
    if caller(request).kind in ("control", "viewer"):
        return RedirectResponse("/", 303)
    return _page(request, "The token is the one that `batonq node serve` was started with.")


@router.post("/login")
async def log_in(request: Request) -> Response:
    """Start a session, if the token is the node's. The gate has checked the form's own token."""
    guard = node_of(request).guard
    fields = parse_qs((await request.body()).decode("utf-8", "replace"), max_num_fields=100)
    value = guard.log_in(fields.get("token", [""])[0].strip())
    if value is None:
        request.app.state.gate.failed(request.scope)
        return _page(request, "That is not the token of this node.", 401)
    response = RedirectResponse("/", 303)
    response.set_cookie(
        guard.cookie,
        value,
        max_age=int(SESSION_SECONDS),
        httponly=True,
        samesite="strict",
        # Elsewhere than on the loopback the page came by TLS, or should have.
        secure=host_name(request.headers["host"]) not in LOOPBACK,
    )
    return response


@router.post("/logout")
async def log_out(request: Request) -> Response:
    """End the session."""
    guard = node_of(request).guard
    guard.log_out(request.cookies.get(guard.cookie))
    response = RedirectResponse("/login", 303)
    response.delete_cookie(guard.cookie)
    return response
