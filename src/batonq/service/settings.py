"""Settings: how a node is served."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from batonq.base.errors import ModelError
from batonq.service.limits import Rate

LOOPBACK: Final = ("localhost", "127.0.0.1", "[::1]")
SHORTEST_TOKEN: Final = 16  # characters; `secrets.token_urlsafe(32)` gives 43

_CONTROL: Final = Rate(20_000, 40_000)
_PEER: Final = Rate(100, 200)
_NOBODY: Final = Rate(10, 20)


@dataclass(frozen=True)
class Settings:
    """How a node is served.

    Attributes:
        token: of local control, at least 16 characters; None leaves it open to local callers, which
            only a node on a loopback address may do.
        hosts: names and addresses that a request's Host header may have, without the port, besides
            those of the loopback; "*" for any.
        body_limit: bytes of a body at most.
        body_seconds: seconds a body may take to come.
        control_rate: calls per second of local control; each call of a batch counts.
        peer_rate: of each peer.
        nobody_rate: of each address that calls without a token, or with a wrong one.
        batch_limit: calls of one batch at most.
        threads: whether calls that write run in threads; worth it if writing takes milliseconds, as
            with a store of durability "full".
        retry_seconds: pause between attempts to send quotes that wait for a peer; doubled while
            none gets through, up to a minute.

    Raises:
        ModelError: a token that is short, or a limit out of range.
    """

    token: str | None = field(default=None, repr=False)
    hosts: tuple[str, ...] = ()
    body_limit: int = 256 * 1024
    body_seconds: float = 30.0
    control_rate: Rate = _CONTROL
    peer_rate: Rate = _PEER
    nobody_rate: Rate = _NOBODY
    batch_limit: int = 1_000
    threads: bool = False
    retry_seconds: float = 1.0

    def __post_init__(self) -> None:
        if self.token is not None:
            check_token(self.token, "the token of local control")
        if self.body_limit < 1 or self.batch_limit < 1:
            raise ModelError("body_limit and batch_limit must be at least 1")
        if not (self.body_seconds > 0 and self.retry_seconds > 0):
            raise ModelError("body_seconds and retry_seconds must be above 0")


def check_token(token: str, what: str) -> None:
    """Refuse a token that could be guessed, or that no header can carry.

    Raises:
        ModelError: shorter than 16 characters, or other than printable ASCII without spaces.
    """
    if len(token) < SHORTEST_TOKEN:
        raise ModelError(
            f"{what} has {len(token)} characters: at least {SHORTEST_TOKEN} are needed"
        )
    if not all("!" <= character <= "~" for character in token):
        raise ModelError(f"{what} may only have printable ASCII characters, and no space")
