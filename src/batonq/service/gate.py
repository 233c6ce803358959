"""Gate: what every request passes before a route runs, and every response after.

In this order: the site it comes from, who calls, the rate, the right to the route, the size and
type of the body, the CSRF token. So a route cannot forget one of them.
"""

from __future__ import annotations

import time
from typing import Final, Protocol
from urllib.parse import parse_qs

from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from batonq.service import headers as names
from batonq.service.headers import Headers
from batonq.service.limits import CLOSE, Buckets, check_length, read_body, replay, too_many
from batonq.service.problems import ProblemError, of_exception
from batonq.service.security import SAFE_METHODS, SCOPE_KEY, Caller, Guard, address_of
from batonq.service.settings import Settings

JSON: Final = "application/json"
BODY_KEY: Final = "batonq.body"  # where the gate puts a body in the scope
FORM: Final = "application/x-www-form-urlencoded"

_ALWAYS: Final = ((b"x-content-type-options", b"nosniff"), (b"cache-control", b"no-store"))
_PAGE: Final = (
    *_ALWAYS,
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"referrer-policy", b"same-origin"),  # with "no-referrer" our forms have the origin "null"
    (b"x-frame-options", b"DENY"),
)


class Watch(Protocol):
    """Is told of every request that was answered."""

    def answered(self, route: str, method: str, status: int, seconds: float) -> None:
        """`route` is the template of its path, or "other"."""
        ...


class Gate:
    """ASGI middleware around the whole application.

    Args:
        app: the application.
        guard: who may do what.
        settings: limits.
        watch: is told of every request.
    """

    def __init__(self, app: ASGIApp, guard: Guard, settings: Settings, watch: Watch) -> None:
        self.app = app
        self._guard = guard
        self._settings = settings
        self._watch = watch
        control = Buckets(settings.control_rate)
        self._buckets = {
            "control": control,
            "viewer": control,
            "peer": Buckets(settings.peer_rate),
            "nobody": Buckets(settings.nobody_rate),
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Of ASGI."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        begin = time.perf_counter()
        status = 0

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_headers(message)
            await send(message)

        try:
            passed = await self._admit(scope, receive)
            if passed is not None:
                await self.app(scope, passed, sending)
        except Exception as error:
            if status:
                raise  # half an answer is out: the server must break the connection off
            if _asks_for_page(scope, error):
                await RedirectResponse("/login", 303)(scope, receive, sending)
            else:
                await of_exception(error)(scope, receive, sending)
        finally:
            path = getattr(scope.get("route"), "path", "other")
            self._watch.answered(path, scope["method"], status, time.perf_counter() - begin)

    def charge(self, caller: Caller, count: float) -> None:
        """Take further `count` calls from the caller's rate: a request that is worth several.

        Raises:
            ProblemError: 429.
        """
        wait = self._buckets[caller.kind].take(caller.name, time.monotonic(), count)
        if wait:
            raise too_many(wait)

    async def _admit(self, scope: Scope, receive: Receive) -> Receive | None:
        """Check the request; returns where its body can be received, None if the caller left."""
        method, path = scope["method"], scope["path"]
        headers = names.read(scope["headers"])
        self._guard.check_site(headers, method)
        try:
            caller = self._guard.identify(headers, address_of(scope))
        except ProblemError:
            self.failed(scope)
            raise
        self.charge(caller, 1.0)
        self._guard.admit(caller, method, path)
        scope[SCOPE_KEY] = caller
        scope[names.SCOPE_KEY] = headers
        if method in SAFE_METHODS:
            return receive
        media = _media_type(headers, path)
        if names.LENGTH in headers and names.TRANSFER in headers:  # a proxy may go by the other
            raise ProblemError(400, "Give a length or send chunks, not both.", CLOSE)
        check_length(headers.get(names.LENGTH), self._settings.body_limit)
        body = await read_body(receive, self._settings.body_limit, self._settings.body_seconds)
        if body is None:
            return None
        if media == FORM or caller.kind == "viewer":
            self._guard.check_csrf(caller, headers.get(names.CSRF) or _field(body, media))
        scope[BODY_KEY] = body
        return replay(body, receive)

    def failed(self, scope: Scope) -> None:
        """Take a call from the rate of the address that showed a wrong token.

        Raises:
            ProblemError: 429.
        """
        wait = self._buckets["nobody"].take(address_of(scope), time.monotonic())
        if wait:
            raise too_many(wait)


def _media_type(headers: Headers, path: str) -> str:
    """The type of a body, which must be JSON under /v1/ and may be a form elsewhere.

    A page of another site can have a browser send a form, but not JSON, without being asked first.
    """
    given, _, parameters = headers.get(names.TYPE, "").partition(";")
    media = given.strip().lower()
    if media != JSON and (media != FORM or path.startswith("/v1/")):
        raise ProblemError(415, f"The body must be JSON, with Content-Type: {JSON}.")
    charset = parameters.strip().lower().replace('"', "")
    if charset not in ("", "charset=utf-8"):
        raise ProblemError(415, "The body must be UTF-8.")
    if headers.get(names.ENCODING, "identity") != "identity":
        raise ProblemError(415, "The body must not be compressed.")
    return media


def _field(body: bytes, media: str) -> str | None:
    """The field `csrf` of a form."""
    if media != FORM:
        return None
    try:
        fields = parse_qs(body.decode("utf-8"), max_num_fields=100)
    except ValueError:
        return None
    return fields.get("csrf", [None])[0]


def _add_headers(message: Message) -> None:
    """Add what a response is to have, unless it has it."""
    headers: list[tuple[bytes, bytes]] = message["headers"]
    given = dict(headers)
    page = given.get(b"content-type", b"").startswith(b"text/html")
    headers.extend(pair for pair in (_PAGE if page else _ALWAYS) if pair[0] not in given)


def _asks_for_page(scope: Scope, error: Exception) -> bool:
    """Whether a browser without a session opened a page."""
    if not (isinstance(error, ProblemError) and error.status == 401 and scope["method"] == "GET"):
        return False
    accepted = names.read(scope["headers"]).get(names.ACCEPT, "")
    return "text/html" in accepted and not scope["path"].startswith("/v1/")
