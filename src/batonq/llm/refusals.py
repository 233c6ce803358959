"""What a server says in place of an answer: why, about which field, and for how long.

Servers put it in as many ways as there are: `{"error": {"message", "param"}}` is OpenAI's, a list
around it Google's, `{"detail": [{"loc", "msg"}]}` FastAPI's, `{"error": {"metadata": {"raw"}}}`
OpenRouter's around another server's. Some repeat the whole request beside it, so that only what
names the reason is read, and the whole text only where nothing does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from batonq.base.errors import CallError, RequestError
from batonq.base.files import Json
from batonq.llm.retry import span

_SHOWN: Final = 300  # characters of a message
_OF_REQUEST: Final = frozenset({400, 413, 422})  # what is held against this request, not the next
_NAMES, _SAYS, _WAITS = "names", "says", "waits"
_KEYS: Final = {
    "param": _NAMES,
    "loc": _NAMES,
    "retryDelay": _WAITS,
    **dict.fromkeys(("error", "message", "detail", "details", "msg", "metadata", "raw"), _SAYS),
}
_IN: Final = re.compile(r"\b(?:retry|try again) in ((?:\d+(?:\.\d+)?(?:ms|s|m|h|d))+)", re.I)
_ACCOUNT: Final = re.compile(r"credit balance|\bbilling\b|\bquota\b|\bapi[ _-]?key\b", re.I)
_FLAGGED: Final = re.compile(r"\bmoderation\b|\bflagged\b", re.I)


@dataclass(frozen=True)
class Refusal:
    """What a server said.

    Attributes:
        status: of the answer.
        message: in its words.
        named: words of the fields that it says it is about.
        wait: seconds that it asks to wait; None if it does not say.
    """

    status: int
    message: str
    named: frozenset[str] = frozenset()
    wait: float | None = None

    @property
    def shown(self) -> str:
        """The message: short, and nothing that a terminal would obey."""
        return "".join(c if c.isprintable() else " " for c in self.message[:_SHOWN]).strip()


def read_refusal(status: int, text: str) -> Refusal:
    """What a server says in the text of an answer."""
    try:
        parts = list(_parts(json.loads(text), _SAYS))
    except (ValueError, RecursionError):
        parts = []
    message = "; ".join(dict.fromkeys(told for kind, told in parts if kind == _SAYS)) or text
    delays = [told for kind, told in parts if kind == _WAITS] + _IN.findall(message)
    waits = [wait for wait in (span(told, 0.0) for told in delays) if wait is not None]
    return Refusal(
        status,
        message,
        frozenset(words(" ".join(told for kind, told in parts if kind == _NAMES))),
        waits[0] if waits else None,
    )


def words(text: str) -> set[str]:
    """The words of a text, in small letters."""
    return set(re.findall(r"\w+", text.lower()))


def error_of(refusal: Refusal, where: str, keyed: bool) -> CallError:
    """What a refusal is that no other attempt mends: of this request, or of whatever is asked.

    Args:
        refusal: what the server said.
        where: model and place.
        keyed: whether a key was given.
    """
    status, said = refusal.status, refusal.shown
    if 300 <= status < 400:
        return CallError(f"{where}: sends to another address ({status}); give that one instead")
    if status == 403 and _FLAGGED.search(said):
        return RequestError(f"{where}: refused the request ({status}: {said})")
    if status in (401, 403):
        key = "refused the key" if keyed else "needs a key: name its variable or file"
        return CallError(f"{where}: {key} ({status}: {said})")
    if status == 404:
        return CallError(f"{where}: knows no such model or address ({said}); correct the name")
    if about_account(refusal):
        return CallError(
            f"{where}: refused the key or the account ({status}: {said}); look at both there"
        )
    kind = RequestError if status in _OF_REQUEST else CallError
    return kind(f"{where}: refused the request ({status}: {said})")


def about_account(refusal: Refusal) -> bool:
    """Whether it is one of those that are told as a bad request, but hold for whatever is asked."""
    return refusal.status == 400 and _ACCOUNT.search(refusal.shown) is not None


def _parts(told: Json, kind: str) -> Iterator[tuple[str, str]]:
    """The texts that name the reason, each with what it does."""
    if isinstance(told, str):
        yield from _text(told, kind)
    elif isinstance(told, list):
        for one in told:
            yield from _parts(one, kind)
    elif isinstance(told, dict):
        for key, inner in _KEYS.items():
            yield from _parts(told.get(key), inner)


def _text(told: str, kind: str) -> Iterator[tuple[str, str]]:
    """A text, or what is in it: some pass on what another server said, as JSON in a string."""
    if kind == _SAYS and told.lstrip().startswith(("{", "[")):
        try:
            yield from list(_parts(json.loads(told), kind)) or [(kind, told)]
        except ValueError:
            yield kind, told
    elif told.strip():
        yield kind, told
