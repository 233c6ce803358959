"""Trying again: back-off with full jitter, the server's own waiting times, one deadline.

What failed says how often it is worth another try, and whether the request may be to blame.
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final, TypeVar

from batonq.base.errors import CallError, RequestError

logger = logging.getLogger(__name__)

_T = TypeVar("_T")
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_SPAN: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_NUMBER: Final = re.compile(r"\d+(?:\.\d+)?")
_EPOCH: Final = 1e9  # seconds; a larger number is a moment, not a span
_EPOCH_MS: Final = 1e12
_MOST_SILENT: Final = 2
_MOST_DOUBLED: Final = 60  # times; a float ends at some


class AgainError(Exception):
    """An attempt failed in a way that another attempt may mend.

    Attributes:
        wait: seconds that the server asks to wait; None if it does not say.
    """

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class BusyError(AgainError):
    """The server asks for patience; the deadline alone ends it."""


class SilentError(AgainError):
    """A server that took the request said nothing for too long, and may bill it: once more only.

    So does a gateway that waited for it.
    """


class UnfitError(AgainError):
    """A server answered, with what is no answer; at every attempt, the request may be to blame."""


@dataclass(frozen=True)
class Patience:
    """How often and how long to try.

    Attributes:
        attempts: tries in all, at least 1, but for those that a busy server put off.
        first: the longest wait before the second try in seconds; it doubles with every try.
        longest: the longest such wait, in seconds.
        told: the longest wait that a server may ask for, in seconds; who asks for more is not
            asked again.
        deadline: seconds for all tries and waits together.
    """

    attempts: int = 8
    first: float = 1.0
    longest: float = 30.0
    told: float = 120.0
    deadline: float = 900.0


@dataclass(frozen=True)
class Clock:
    """Time, and chance, for those who wait.

    Attributes:
        now: seconds since 1970.
        passed: seconds since any moment; never goes back.
        sleep: waits so many seconds.
        draw: uniform in [0, 1).
    """

    now: Callable[[], float] = time.time
    passed: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    draw: Callable[[], float] = random.random


def insist(attempt: Callable[[float], _T], where: str, patience: Patience, clock: Clock) -> _T:
    """Run `attempt`, given the seconds left, until it returns; an `AgainError` is tried again.

    Raises:
        RequestError: after the last try, if the server answered at every one, with what is none.
        CallError: after the last try, at the deadline, or if the server asks for too long a wait.
    """
    start = clock.passed()
    until = start + patience.deadline
    failures: list[AgainError] = []
    while True:
        try:
            return attempt(until - clock.passed())
        except AgainError as error:
            failed = error
        failures.append(failed)
        if failed.wait is not None and failed.wait > patience.told:
            raise CallError(
                f"{where}: {failed}, and asks to wait {failed.wait:.0f} s; start again after that, "
                "what is kept is not asked again"
            ) from failed
        wait = _wait(failed, len(failures), patience, clock)
        if _enough(failures, patience) or clock.passed() + wait >= until:
            break
        logger.info("%s: %s; asked again in %.1f s", where, failed, wait)
        clock.sleep(wait)
    unfit = all(isinstance(one, UnfitError) for one in failures)
    raise (RequestError if unfit else CallError)(
        f"{where}: {failed}, at the last of {len(failures)} attempts in "
        f"{clock.passed() - start:.0f} s; look at the server or start again later, what is kept is "
        "not asked again"
    ) from failed


def told_wait(headers: Mapping[str, str], now: float, limited: bool = True) -> float | None:
    """Seconds that a server asks to wait, at least 0; None if it does not say.

    `Retry-After` counts first, in seconds or as a date. Of the `x-ratelimit-reset` kind, those
    whose `remaining` is 0 count, the longest of them; where none is, the shortest, if the answer is
    about a limit at all.

    Args:
        headers: of the answer.
        now: seconds since 1970.
        limited: whether the answer says that a limit was reached; many tell the state of their
            limits in every answer.
    """
    told = {name.lower(): value.strip() for name, value in headers.items()}
    if "retry-after" in told:
        return _after(told["retry-after"], now)
    spans = {name: span(told[name], now) for name in told if "ratelimit-reset" in name}
    known = {name: value for name, value in spans.items() if value is not None}
    empty = [
        value
        for name, value in known.items()
        if told.get(name.replace("reset", "remaining")) == "0"
    ]
    if empty or not limited:
        return max(empty, default=None)
    return min(known.values(), default=None)


def span(told: str, now: float) -> float | None:
    """Seconds in "1.5", "6m0s", "20ms", or until a moment in seconds or milliseconds."""
    if _NUMBER.fullmatch(told):
        number = float(told)
        if number >= _EPOCH_MS:
            number /= 1000
        return max(number - now, 0.0) if number >= _EPOCH else number
    if not re.fullmatch(f"(?:{_SPAN.pattern})+", told):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _SPAN.findall(told))


def _enough(failures: Sequence[AgainError], patience: Patience) -> bool:
    tried = sum(not isinstance(one, BusyError) for one in failures)
    silent = sum(isinstance(one, SilentError) for one in failures)
    return tried >= patience.attempts or silent >= _MOST_SILENT


def _wait(failed: AgainError, tried: int, patience: Patience, clock: Clock) -> float:
    longest = min(patience.longest, patience.first * 2.0 ** min(tried - 1, _MOST_DOUBLED))
    return (failed.wait or 0.0) + clock.draw() * longest  # not all at the same moment


def _after(told: str, now: float) -> float | None:
    if _NUMBER.fullmatch(told):
        return float(told)
    try:
        return max(parsedate_to_datetime(told).timestamp() - now, 0.0)
    except (ValueError, OverflowError, OSError):
        return None
