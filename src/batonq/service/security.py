"""Security: who calls, and what each may call. Anything not named here needs the control token.

Principals:

* *control*: has the node's token, or calls a loopback node that has none. May do everything.
* *peer*: has the token of a peer. May have artifacts received, and read the declaration.
* *viewer*: a browser that logged in with the node's token. May do what is not under `/v1/`, and
  there only what carries its CSRF token, if it changes anything.
* *nobody*: everyone else. May ask for health and for the page to log in.

For pages: `caller(request)` says who asks, with the `csrf` token that every form must carry in a
field `csrf` (a script: in a header `X-CSRF-Token`); `Guard.log_in` and `Guard.log_out` start and
end a session. The gate (`gate.py`) has checked all of it before a route runs.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, Protocol

from fastapi import Request
from starlette.types import Scope

from batonq.base.errors import ModelError, RefusedError
from batonq.service import headers as names
from batonq.service.headers import Headers, cookie, host_name
from batonq.service.problems import ProblemError
from batonq.service.settings import LOOPBACK, Settings, check_token

Kind = Literal["control", "peer", "viewer", "nobody"]

OPEN_PATHS: Final = frozenset({"/v1/health", "/login"})
OPEN_FOLDER: Final = "/static/"  # scripts and styles of the pages; nothing of the node is in them
PEER_PATHS: Final = frozenset({"/v1/receive", "/v1/declaration", "/v1/openapi.json"})
SCOPE_KEY: Final = "batonq.caller"

SESSION_SECONDS: Final = 12 * 3600.0
_MOST_SESSIONS: Final = 100
SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True)
class Caller:
    """Who calls.

    Attributes:
        kind: what it may do.
        name: "control", "viewer", the peer's name, or the address of nobody.
        csrf: what a form of this caller must carry.
        agents: names in which a peer may hand on.
    """

    kind: Kind
    name: str
    csrf: str = field(repr=False)
    agents: frozenset[str] = frozenset()

    def check_sender(self, sender: str) -> None:
        """Refuse a peer that speaks in another's name.

        Raises:
            RefusedError: naming both.
        """
        if self.kind == "peer" and sender not in self.agents:
            raise RefusedError(f"sender '{sender}': the token is that of {self.name}")


class Accepts(Protocol):
    """What may have a token that it calls with: a `Peer`."""

    @property
    def accepts(self) -> str | None:
        """The token."""
        ...


def caller(request: Request) -> Caller:
    """Who calls; usable as a dependency of a route."""
    found: Caller = request.scope[SCOPE_KEY]
    return found


class Guard:
    """Tokens and sessions of one node. Tokens are kept as digests, but for comparing.

    Args:
        settings: see there.
        peers: by name, whatever has a token that it calls with in `accepts`, or None there. Read
            again when their number changes.
        name: of the node; nodes of one machine share a browser's cookies, so theirs differ by it.

    Raises:
        ModelError: if a token of a peer is too short, or is control's.
    """

    def __init__(self, settings: Settings, peers: Mapping[str, Accepts], name: str = "") -> None:
        self.open = settings.token is None
        self.cookie = f"batonq_{hashlib.sha256(name.encode()).hexdigest()[:8]}"
        self._csrf = secrets.token_urlsafe(32)
        self._local = Caller("control", "control", self._csrf)
        self._hosts = {host.lower() for host in (*LOOPBACK, *settings.hosts)}
        self._sessions: OrderedDict[bytes, tuple[float, str]] = OrderedDict()
        self._control = settings.token
        self._peers = peers
        self._callers = self._all_callers()
        self._counted = len(peers)

    def _all_callers(self) -> dict[bytes, tuple[bytes, Caller]]:
        """Whoever has a token, by its digest. One token may be that of several peers' names."""
        names: dict[str, set[str]] = {}
        for name, peer in list(self._peers.items()):
            if peer.accepts is not None:
                check_token(peer.accepts, f"the token of peer {name!r}")
                names.setdefault(peer.accepts, set()).add(name)
        callers = {
            token: Caller("peer", ",".join(sorted(of)), self._csrf, frozenset(of))
            for token, of in names.items()
        }
        if self._control is not None:
            if self._control in callers:
                raise ModelError(
                    f"peer {callers[self._control].name!r} has the node's own token, which may do "
                    "everything; give it another"
                )
            callers[self._control] = self._local
        return {_digest(token): (token.encode(), one) for token, one in callers.items()}

    def _of_token(self, token: str) -> Caller | None:
        if len(self._peers) != self._counted:
            self._callers, self._counted = self._all_callers(), len(self._peers)
        # Found by digest, so neither the time of the look-up nor that of the comparison tells
        # anything about a token that was not known already.
        found = self._callers.get(_digest(token))
        given = token.encode("utf-8", "replace")
        return found[1] if found and hmac.compare_digest(found[0], given) else None

    def identify(self, headers: Headers, address: str) -> Caller:
        """Who sends a request with these headers.

        Raises:
            ProblemError: 401 with a wrong token, 403 through a proxy to a node without one.
        """
        given = headers.get(names.AUTHORIZATION)
        if given is not None:
            scheme, _, token = given.partition(" ")
            found = self._of_token(token.strip()) if scheme.lower() == "bearer" else None
            if found is None:
                raise unauthorised("The token is not known to this node.")
            return found
        if self.open:
            if not names.PROXY.isdisjoint(headers):
                raise ProblemError(403, "This node has no token, so it takes no call of a proxy.")
            return self._local
        session = self._session(cookie(headers, self.cookie))
        if session is not None:
            return Caller("viewer", "viewer", session)
        return Caller("nobody", address, self._csrf)

    def admit(self, found: Caller, method: str, path: str) -> None:
        """Let the caller through to this route, or refuse.

        Raises:
            ProblemError: 401 for nobody, 403 for a peer or a viewer.
        """
        if found.kind == "control" or path in OPEN_PATHS or path.startswith(OPEN_FOLDER):
            return
        if found.kind == "nobody":
            raise unauthorised("This needs the node's token: Authorization: Bearer TOKEN.")
        if found.kind == "peer" and path not in PEER_PATHS:
            raise ProblemError(403, f"Peer {found.name!r} may not call this.")
        if found.kind == "viewer" and path.startswith("/v1/") and method not in SAFE_METHODS:
            raise ProblemError(403, "A browser's session may not call this: send the token.")

    def check_site(self, headers: Headers, method: str) -> None:
        """Refuse what another site's page makes a browser send.

        Raises:
            ProblemError: 421 for a Host that is not ours, 403 for another origin.
        """
        host = headers.get(names.HOST)
        if host is None:
            raise ProblemError(400, "One Host header is needed.")
        if host_name(host) not in self._hosts and "*" not in self._hosts:
            raise ProblemError(421, "This node has another name; its setting hosts lists them.")
        safe = method in SAFE_METHODS
        origin = headers.get(names.ORIGIN)
        if origin is not None and not safe:
            _, _, place = origin.partition("://")
            if place.lower() != host.lower():
                raise ProblemError(403, "The call comes from a page of another origin.")
        # A link that leads here may be followed; what a page fetches by itself may not come here.
        followed = safe and headers.get(names.FETCH_MODE) == "navigate"
        if headers.get(names.FETCH_SITE, "none") not in ("same-origin", "none") and not followed:
            raise ProblemError(403, "The call comes from a page of another site.")

    def check_csrf(self, found: Caller, given: str | None) -> None:
        """Refuse a form or a session's call without the token that its page was given.

        Raises:
            ProblemError: 403.
        """
        if given is None or not hmac.compare_digest(found.csrf.encode(), given.encode()):
            raise ProblemError(403, "The page is out of date: load it again, then repeat.")

    def log_in(self, token: str) -> str | None:
        """Start a session; returns its cookie's value, or None if the token is not control's."""
        found = self._of_token(token)
        if found is None or found.kind != "control":
            return None
        value = secrets.token_urlsafe(32)
        self._sessions[_digest(value)] = (
            time.monotonic() + SESSION_SECONDS,
            secrets.token_urlsafe(32),
        )
        if len(self._sessions) > _MOST_SESSIONS:
            self._sessions.popitem(last=False)
        return value

    def log_out(self, value: str | None) -> None:
        """End a session, given its cookie's value."""
        if value is not None:
            self._sessions.pop(_digest(value), None)

    def _session(self, value: str | None) -> str | None:
        """The CSRF token of a session."""
        if value is None:
            return None
        until, csrf = self._sessions.get(_digest(value), (0.0, ""))
        if until < time.monotonic():
            self.log_out(value)
            return None
        return csrf


def unauthorised(detail: str) -> ProblemError:
    """A 401."""
    return ProblemError(401, detail, {"WWW-Authenticate": 'Bearer realm="batonq"'})


def address_of(scope: Scope) -> str:
    """The caller's address. Headers of proxies are not believed."""
    client = scope.get("client")
    return str(client[0]) if client else "?"


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
