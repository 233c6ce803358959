"""Headers: what the gate needs of a request's headers, read in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from batonq.service.problems import ProblemError

Headers = dict[bytes, str]  # by name in lower case; only those of `_WANTED`
SCOPE_KEY: Final = "batonq.headers"

HOST: Final = b"host"
AUTHORIZATION: Final = b"authorization"
TYPE: Final = b"content-type"
LENGTH: Final = b"content-length"
TRANSFER: Final = b"transfer-encoding"
ENCODING: Final = b"content-encoding"
ORIGIN: Final = b"origin"
FETCH_SITE: Final = b"sec-fetch-site"
FETCH_MODE: Final = b"sec-fetch-mode"
ACCEPT: Final = b"accept"
COOKIE: Final = b"cookie"
CSRF: Final = b"x-csrf-token"
TRACE: Final = b"traceparent"
# Headers a proxy adds. A loopback node without a token takes callers for local ones: behind a
# proxy that would open it to the world.
PROXY: Final = frozenset(
    {
        b"forwarded",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-real-ip",
    }
)
_LISTS: Final = PROXY | {ACCEPT, COOKIE}  # may be given in several lines
_WANTED: Final = _LISTS | {
    HOST,
    AUTHORIZATION,
    TYPE,
    LENGTH,
    TRANSFER,
    ENCODING,
    ORIGIN,
    FETCH_SITE,
    FETCH_MODE,
    CSRF,
    TRACE,
}


def read(pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
    """Of the header pairs of an ASGI scope, whose names are in lower case.

    Raises:
        ProblemError: 400 if one is given twice, so that it could be read in two ways.
    """
    found: Headers = {}
    for name, value in pairs:
        if name in _WANTED:
            text = value.decode("latin-1")
            if name in found:
                if name not in _LISTS:
                    raise ProblemError(400, f"The header {name.decode('latin-1')} is given twice.")
                text = f"{found[name]}; {text}" if name == COOKIE else f"{found[name]}, {text}"
            found[name] = text
    return found


def cookie(headers: Headers, name: str) -> str | None:
    """The value of a cookie."""
    for part in headers.get(COOKIE, "").split(";"):
        key, equals, content = part.partition("=")
        if equals and key.strip() == name:
            return content.strip()
    return None


def host_name(host: str) -> str:
    """A Host header without its port, in lower case; IPv6 keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower().rstrip(".")
