"""The body of a chat request, and what of it a server makes us leave out.

What is left out is known by the name of a field, but for two: without "max_tokens" its newer name
is used, without "system" the system message is put before the user's.
"""

from __future__ import annotations

import re
from typing import Final

from batonq.base.files import Json
from batonq.llm.refusals import Refusal, about_account, words
from batonq.llm.request import Request

# What a call can do without, and the words that name it; those that are fields are left out.
OPTIONAL: Final = {
    "logprobs": ("logprobs", "top_logprobs"),
    "seed": ("seed",),
    "temperature": ("temperature",),
    "stream_options": ("stream_options",),
    "stream": ("stream", "streaming"),
}
_MOST_ALTERNATIVES: Final = 20  # that endpoints report
_NEWER: Final = "max_completion_tokens"  # what some call `max_tokens` now
UNKNOWN: Final = frozenset({400, 422})  # how servers refuse what they do not know
_FAILED: Final = 500  # also of a stream that broke
_NAMING: Final = UNKNOWN | {403, 404, _FAILED, 501}  # and how some do, that name it
_NO_SYSTEM: Final = re.compile(
    r"(?:system|developer)['\"`]? (?:role|message|prompt|instruction)s?\b[^.]{0,20}\bnot\b"
    r"|\bnot (?:support|allow)\w* [^.]{0,20}\bsystem\b"
    r"|roles must alternate|only user and assistant roles",
    re.I,
)
_OF_TEXT: Final = re.compile(
    r"too (?:long|large|many)|context length|policy|moderation|flagged|safety", re.I
)


def body_of(request: Request, stream: bool, without: frozenset[str]) -> dict[str, Json]:
    """What is sent for a request.

    Args:
        request: what is asked.
        stream: whether the answer is to come piece by piece.
        without: what is left out.
    """
    longest = _NEWER if "max_tokens" in without else "max_tokens"
    body: dict[str, Json] = {
        "model": request.model,
        "messages": _joined(request) if "system" in without else request.messages(),
        longest: request.max_tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "logprobs": True,
        # With 0, some servers tell no log-probability at all.
        "top_logprobs": min(max(1, request.alternatives), _MOST_ALTERNATIVES),
    }
    if stream and "stream" not in without:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    dropped = {field for name in without for field in OPTIONAL.get(name, ())}
    return {field: value for field, value in body.items() if field not in dropped}


def refused_part(refusal: Refusal, body: dict[str, Json]) -> str | None:
    """What of the body the server named as the reason of its refusal, and can be left out."""
    if refusal.status not in _NAMING:
        return None
    if len(body["messages"]) > 1 and _NO_SYSTEM.search(refusal.message):
        return "system"
    said = words(refusal.message)
    named = refusal.named & body.keys()
    if _NEWER in said and "max_tokens" in body and (not named or "max_tokens" in named):
        return "max_tokens"
    for name, fields in OPTIONAL.items():
        may_pass = name == "stream" and refusal.status == _FAILED
        if name in body and (named or said) & set(fields) and not may_pass:
            return name
    return None


def is_unexplained(refusal: Refusal) -> bool:
    """Whether a server refused without a word about a field, the text or the account."""
    if refusal.status not in UNKNOWN or about_account(refusal):
        return False
    known = {word for names in OPTIONAL.values() for word in names} | {_NEWER}
    said = words(refusal.message) | refusal.named
    return not said & known and _OF_TEXT.search(refusal.message) is None


def _joined(request: Request) -> list[dict[str, str]]:
    parts = [part for part in (request.system, request.prompt) if part]
    return [{"role": "user", "content": "\n\n".join(parts)}]
