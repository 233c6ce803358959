"""Limits: how fast a principal may call, how large a body may be, how long it may take to come."""

from __future__ import annotations

import asyncio
import math
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from starlette.types import Message, Receive

from batonq.base.errors import ModelError
from batonq.service.problems import ProblemError

CLOSE: Final = {"Connection": "close"}  # what is left of the body will not be read


@dataclass(frozen=True)
class Rate:
    """So many calls per second on average, and at most so many at once.

    Attributes:
        per_second: calls per second, > 0.
        burst: calls at once after a pause, >= 1.

    Raises:
        ModelError: outside these ranges.
    """

    per_second: float
    burst: float

    def __post_init__(self) -> None:
        if not (0 < self.per_second < math.inf and 1 <= self.burst < math.inf):
            raise ModelError(
                f"rate of {self.per_second:g} calls per second, burst {self.burst:g}: "
                "the first must be above 0 and the second at least 1, both finite"
            )


class Buckets:
    """Token buckets, one per principal: what is called without tokens left is refused.

    Memory is bounded: of more than `most` principals the one not seen for longest is forgotten,
    which gives it a full bucket again.
    """

    def __init__(self, rate: Rate, most: int = 10_000) -> None:
        self.rate = rate
        self._most = most
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str, now: float, count: float = 1.0) -> float:
        """Take `count` tokens of `name`'s bucket; returns the seconds to wait, 0 if there were.

        A call of more tokens than the bucket holds is let through when the bucket is full, and is
        paid back by what comes after: it would never be let through otherwise.

        Args:
            name: of the principal.
            now: seconds of a clock that never jumps back.
            count: tokens, > 0.
        """
        level, last = self._levels.pop(name, (self.rate.burst, now))
        level = min(self.rate.burst, level + max(0.0, now - last) * self.rate.per_second)
        needed = min(count, self.rate.burst)
        granted = level >= needed
        self._levels[name] = (level - count if granted else level, now)
        if len(self._levels) > self._most:
            self._levels.popitem(last=False)
        return 0.0 if granted else (needed - level) / self.rate.per_second


def too_many(seconds: float) -> ProblemError:
    """The refusal of a call that comes `seconds` too early."""
    wait = max(1, math.ceil(seconds))
    return ProblemError(429, f"Too many calls; wait {wait} s.", {"Retry-After": str(wait)})


def check_length(stated: str | None, limit: int) -> None:
    """Refuse a body by what its Content-Length says, before a byte of it is read.

    Raises:
        ProblemError: 413 above `limit` bytes, 400 if it is no number.
    """
    if stated is None:
        return
    if not (stated.isascii() and stated.isdigit()) or len(stated) > 20:
        raise ProblemError(400, "Content-Length must be a whole number.")
    if int(stated) > limit:
        raise _too_large(limit)


async def read_body(receive: Receive, limit: int, seconds: float) -> bytes | None:
    """The whole body, however it is framed; None if the caller hung up.

    Args:
        receive: of ASGI.
        limit: bytes at most.
        seconds: time it may take.

    Raises:
        ProblemError: 413 above `limit`, 408 after `seconds`.
    """
    parts: list[bytes] = []
    size = 0
    try:
        async with asyncio.timeout(seconds):
            while True:
                message = await receive()
                if message["type"] != "http.request":
                    return None
                part: bytes = message.get("body", b"")
                size += len(part)
                if size > limit:
                    raise _too_large(limit)
                parts.append(part)
                if not message.get("more_body", False):
                    return parts[0] if len(parts) == 1 else b"".join(parts)
    except TimeoutError:
        detail = f"The body did not come within {seconds:g} s."
        raise ProblemError(408, detail, CLOSE) from None


def replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body already read, then what comes after it."""
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _too_large(limit: int) -> ProblemError:
    detail = f"The body is larger than {limit} bytes; send less, or raise body_limit."
    return ProblemError(413, detail, CLOSE)
