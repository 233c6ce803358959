"""A chat completion as servers and llama.cpp tell it, whole or as a stream, read into a Reply."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Final

from batonq.base.files import Json
from batonq.llm.request import ENDED, Reply, Request

DONE: Final = "[DONE]"  # the last event of a stream
BLOCKED: Final = "blocked"  # `Reply.finish` where the server gave no choice: it blocked the prompt
_LINE: Final = re.compile(r"\r\n|\n|\r")  # a text may hold what Python takes for more line ends
_CHARACTERS: Final = 4  # in a token, where a server counts none
_FAILED: Final = "error"  # how a choice finishes whose provider failed on the way
_STATUSES: Final = range(400, 600)  # of errors
_COUNTED: Final = ("prompt", "completion", "total")
_MOST_TOKENS: Final = 1e12  # above it is no count
_TEXT: Final = "text"  # the type of the parts of a message that are its text
_THINKS: Final = "<think>"
_THOUGHT: Final = "</think>"
_MISSHAPEN: Final = (LookupError, TypeError, ValueError, AttributeError, OverflowError)
_IMPOSSIBLE: Final = -1e4  # stands for a log-probability of minus infinity: JSON has none


class UnendedError(ValueError):
    """A stream that told how its text finished, and not that it ended."""


class StoppedError(ValueError):
    """A server that began to answer told an error instead, with a status.

    Attributes:
        status: from 400 to 599.
        told: the error, as JSON that a server would have answered with that status.
    """

    def __init__(self, reason: str, status: int, told: str) -> None:
        super().__init__(reason)
        self.status = status
        self.told = told


def read_reply(answer: Json, request: Request, seconds: float) -> Reply:
    """The reply in a completion.

    Only its message has to be there: an answer was paid for, and what else it tells may look
    different or be missing. Thoughts before the answer are left out of the text, and where there
    are any, the first token is not told: it is theirs. An answer without a choice is that of a
    server that blocked the prompt: an empty text. Tokens that the server does not count are
    estimated: a quarter of the characters, rounded up, and as many as it tells one by one at least.

    Args:
        answer: the completion, as JSON.
        request: what was asked.
        seconds: how long the call took.

    Raises:
        ValueError: if it is no completion, or the server says that it failed on the way; the
            message shows its beginning. A `StoppedError`, if it says so with a status.
    """
    try:
        choice = _choice(answer)
        message = choice["message"]
        written, thought = _written(message.get("content")), _thought(message)
        text = _without_thoughts(written)
        tokens = _tokens(choice)
        least = max(estimate(len(thought + written)), len(tokens))
        tokens_in, tokens_out = _counts(answer.get("usage"))
        of_text = not thought and text == written  # whose the first token is
        return Reply(
            text=text,
            finish=_known(choice.get("finish_reason")) or ENDED,
            tokens_in=tokens_in or estimate(len(request.system) + len(request.prompt)),
            tokens_out=tokens_out or least,
            seconds=seconds,
            logprobs=_logprobs(tokens),
            first=_first(tokens) if request.alternatives and of_text else (),
        )
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        said = f"is no chat completion ({error!r}): {str(answer)[:200]}"
        if isinstance(error, StoppedError):
            raise StoppedError(said, error.status, error.told) from error
        raise ValueError(said) from error


def join_stream(stream: str) -> Json:
    """The completion that a stream of events tells piece by piece.

    A stream that told how its text finished and counted it is whole, also without its last event.

    Raises:
        ValueError: if an event is not as expected or reports an error, or the stream was cut or
            told nothing; an `UnendedError`, if it was cut after the text; a `StoppedError`, if the
            error has a status.
    """
    joined = _Joined()
    try:
        for event in _events(stream):
            if event == DONE:
                return joined.whole()
            joined.add(json.loads(event))
    except (LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"an event of the stream is not as expected ({error!r})") from error
    if joined.finish and is_counted(joined.whole()):
        return joined.whole()
    raise (UnendedError if joined.finish else ValueError)(f"the stream was cut before {DONE}")


def is_counted(answer: Json) -> bool:
    """Whether the server counts what it wrote, where it wrote anything.

    Args:
        answer: a completion that `read_reply` can read.
    """
    return _counts(answer.get("usage"))[1] > 0 or not answer["choices"]


def estimate(characters: int) -> int:
    """Tokens in so many characters, where nobody counted them."""
    return -(-characters // _CHARACTERS)


class _Joined:
    """What the events of a stream have told so far."""

    def __init__(self) -> None:
        self.finish: Json = None
        self._usage: Json = None
        self._text: list[str] = []
        self._thought: list[str] = []
        self._tokens: list[Json] = []
        self._listed = False  # whether there was a list of choices
        self._chosen = False  # and one in it

    def add(self, piece: Json) -> None:
        _check(piece)
        self._usage = piece.get("usage") or self._usage
        choices = piece.get("choices")
        self._listed |= isinstance(choices, list)
        for choice in choices or ():
            _check(choice)
            self._chosen = True
            delta = choice.get("delta") or {}
            self._text.append(_written(delta.get("content")))
            self._thought.append(_thought(delta))
            self._tokens += _tokens(choice)
            self.finish = choice.get("finish_reason") or self.finish

    def whole(self) -> Json:
        """As a completion in one piece; a ValueError where the server told nothing of one."""
        if not self._listed:
            raise ValueError("the stream told of no choices, not even that there are none")
        message = {"content": "".join(self._text), "reasoning_content": "".join(self._thought)}
        tokens = {"content": self._tokens}
        whole = {"message": message, "finish_reason": self.finish, "logprobs": tokens}
        return {"choices": [whole] if self._chosen else [], "usage": self._usage}


def _events(stream: str) -> Iterator[str]:
    """The data of each server-sent event; comments and other fields are left out."""
    data: list[str] = []
    for line in [*_LINE.split(stream), ""]:
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []


def _check(part: Json) -> None:
    """Raise where a server tells in the middle of an answer that it failed."""
    error = part.get("error")
    if not error and part.get("finish_reason") != _FAILED:
        return
    reason = f"the server stopped with {str(error)[:200]}"
    status = error.get("code") if isinstance(error, dict) else None
    if isinstance(status, int) and status in _STATUSES:
        raise StoppedError(reason, status, json.dumps({"error": error}))
    raise ValueError(reason)


def _choice(answer: Json) -> Json:
    _check(answer)
    if answer["choices"] == []:
        return {"message": {"content": None}, "finish_reason": BLOCKED}
    choice = answer["choices"][0]
    _check(choice)
    return choice


def _counts(told: Json) -> tuple[int, int]:
    """Tokens read and written, 0 where nobody counted them.

    Some servers count hidden thoughts apart, or in the total alone.
    """
    usage = told if isinstance(told, dict) else {}
    details = usage.get("completion_tokens_details")
    read, written, total = (_count(usage, f"{name}_tokens") for name in _COUNTED)
    thought = _count(details if isinstance(details, dict) else {}, "reasoning_tokens")
    if read:
        written = max(written, total - read)
    if thought > _count(usage, "completion_tokens"):
        written = max(written, thought + _count(usage, "completion_tokens"))
    return read, written


def _count(told: dict[str, Json], name: str) -> int:
    """A number of tokens, 0 where none is told that can be one."""
    count = told.get(name)
    if not isinstance(count, int | float) or not 0 < count < _MOST_TOKENS:
        return 0
    return int(count)


def _written(content: Json) -> str:
    """The text of a message, which may come in parts, some of them thoughts."""
    if not isinstance(content, list):
        return _text(content)
    return "".join(_text(part["text"]) for part in content if part.get("type") == _TEXT)


def _thought(message: Json) -> str:
    """The thoughts that are told beside the text of a message, or in parts of their own."""
    beside = _known(message.get("reasoning_content")) or _known(message.get("reasoning"))
    content = message.get("content")
    parts = content if isinstance(content, list) and not beside else []
    return beside + "".join(_thinking(part.get("thinking")) for part in parts)


def _thinking(told: Json) -> str:
    if isinstance(told, list):
        return "".join(_known(part.get("text")) for part in told if isinstance(part, dict))
    return _known(told)


def _without_thoughts(text: str) -> str:
    """What follows the thoughts: nothing, where they do not end.

    Some chat templates open them in the prompt, so that only their end is in the text.
    """
    begins = text.lstrip().startswith(_THINKS)
    before, end, after = text.partition(_THOUGHT)
    if end and (begins or _THINKS not in before):
        return after.lstrip()
    return "" if begins else text


def _tokens(choice: Json) -> list[Json]:
    """What is told of each token; nothing where it is not told as expected."""
    told = choice.get("logprobs")
    content = told.get("content") if isinstance(told, dict) else None
    return content if isinstance(content, list) else []


def _logprobs(tokens: list[Json]) -> tuple[float, ...]:
    try:
        return tuple(_finite(token["logprob"]) for token in tokens)
    except _MISSHAPEN:
        return ()


def _first(tokens: list[Json]) -> tuple[tuple[str, float], ...]:
    try:
        likely = tokens[0]["top_logprobs"]
        return tuple((_text(one["token"]), _finite(one["logprob"])) for one in likely)
    except _MISSHAPEN:
        return ()


def _known(told: Json) -> str:
    """A text that need not be there."""
    return _text(told) if isinstance(told, str) else ""


def _text(told: Json) -> str:
    """A string that can be stored; "" for null."""
    if not isinstance(told, str | None):
        raise TypeError(f"a text is {type(told).__name__}")
    return (told or "").encode(errors="replace").decode()  # JSON can name half a character


def _finite(value: Json) -> float:
    return round(float(value), 5) if math.isfinite(float(value)) else _IMPOSSIBLE
