"""Headers: what the gate needs of a request's headers, read in one pass."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from batonq.service.problems import ProblemError

# Headers a proxy adds. A loopback node without a token takes callers for local ones: behind a
# proxy that would open it to the world.
_PROXY_HEADERS: Final = frozenset(
    {
        b"forwarded",
        b"via",
        b"x-forwarded-for",
        b"x-forwarded-host",
        b"x-forwarded-proto",
        b"x-real-ip",
    }
)
_WANTED: Final = {
    b"host": "host",
    b"authorization": "authorization",
    b"content-type": "content_type",
    b"content-length": "content_length",
    b"content-encoding": "content_encoding",
    b"origin": "origin",
    b"sec-fetch-site": "fetch_site",
    b"sec-fetch-mode": "fetch_mode",
    b"accept": "accept",
    b"x-csrf-token": "csrf",
}


@dataclass(slots=True)
class Headers:
    """What the gate needs of a request's headers, read in one pass.

    Raises:
        ProblemError: 400 if one that decides is given twice.
    """

    host: str | None = None
    authorization: str | None = None
    content_type: str | None = None
    content_length: str | None = None
    content_encoding: str | None = None
    origin: str | None = None
    fetch_site: str | None = None
    fetch_mode: str | None = None
    accept: str | None = None
    csrf: str | None = None
    proxied: bool = False
    cookies: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
        """Of the header pairs of an ASGI scope, whose names are in lower case."""
        found = cls()
        for name, value in pairs:
            attribute = _WANTED.get(name)
            if attribute is not None:
                if getattr(found, attribute) is not None and attribute != "accept":
                    raise ProblemError(400, f"The header {name.decode('latin-1')} is given twice.")
                setattr(found, attribute, value.decode("latin-1"))
            elif name == b"cookie":
                for part in value.decode("latin-1").split(";"):
                    key, _, content = part.partition("=")
                    found.cookies[key.strip()] = content.strip()
            elif name in _PROXY_HEADERS:
                found.proxied = True
        return found


def host_name(host: str) -> str:
    """A Host header without its port, in lower case; IPv6 keeps its brackets."""
    name, colon, port = host.rpartition(":")
    return (name if colon and port.isdigit() else host).lower().rstrip(".")
