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
_LINE: Final = re.compile(r"\r\n|\n|\r")  # a text may hold what Python takes for more line ends
_CHARACTERS: Final = 4  # in a token, where a server counts none
_IMPOSSIBLE: Final = -1e4  # stands for a log-probability of minus infinity: JSON has none


def read_reply(answer: Json, request: Request, seconds: float) -> Reply:
    """The reply in a completion.

    Tokens that the server does not count are estimated: a quarter of the characters, rounded up.

    Args:
        answer: the completion, as JSON.
        request: what was asked.
        seconds: how long the call took.

    Raises:
        ValueError: if it is no completion; the message shows its beginning.
    """
    try:
        choice = answer["choices"][0]
        text = _text(choice["message"].get("content"))
        tokens = (choice.get("logprobs") or {}).get("content") or []
        told = tokens[0]["top_logprobs"] if request.alternatives and tokens else []
        tokens_in, tokens_out = _counts(answer.get("usage") or {}, request, text)
        return Reply(
            text=text,
            finish=_text(choice.get("finish_reason")) or ENDED,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            seconds=seconds,
            logprobs=tuple(_finite(token["logprob"]) for token in tokens),
            first=tuple((_text(one["token"]), _finite(one["logprob"])) for one in told),
        )
    except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise ValueError(f"is no chat completion ({error!r}): {str(answer)[:200]}") from error


def join_stream(stream: str) -> Json:
    """The completion that a stream of events tells piece by piece.

    Raises:
        ValueError: if an event is not as expected or reports an error, or the stream was cut.
    """
    text: list[str] = []
    tokens: list[Json] = []
    finish = usage = None
    try:
        for event in _events(stream):
            if event == DONE:
                choice = {"message": {"content": "".join(text)}, "finish_reason": finish}
                return {
                    "choices": [choice | {"logprobs": {"content": tokens}}],
                    "usage": usage,
                }
            piece = json.loads(event)
            if piece.get("error"):
                raise ValueError(f"the server stopped with {str(piece['error'])[:200]}")
            usage = piece.get("usage") or usage
            for choice in piece.get("choices") or ():
                text.append(choice.get("delta", {}).get("content") or "")
                tokens += (choice.get("logprobs") or {}).get("content") or []
                finish = choice.get("finish_reason") or finish
    except (TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"an event of the stream is not as expected ({error})") from error
    raise ValueError(f"the stream was cut before {DONE}")


def estimate(characters: int) -> int:
    """Tokens in so many characters, where nobody counted them."""
    return -(-characters // _CHARACTERS)


def _events(stream: str) -> Iterator[str]:
    """The data of each server-sent event; comments and other fields are left out."""
    data: list[str] = []
    for line in [*_LINE.split(stream), ""]:
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            yield "\n".join(data)
            data = []


def _counts(usage: Json, request: Request, text: str) -> tuple[int, int]:
    read, written = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if read is None:
        read = estimate(len(request.system) + len(request.prompt))
    if written is None:
        written = estimate(len(text))
    if int(read) < 0 or int(written) < 0:
        raise ValueError("fewer than no tokens")
    return int(read), int(written)


def _text(told: Json) -> str:
    """A string that can be stored; "" for null."""
    if not isinstance(told, str | None):
        raise TypeError(f"a text is {type(told).__name__}")
    return (told or "").encode(errors="replace").decode()  # JSON can name half a character


def _finite(value: Json) -> float:
    return round(float(value), 5) if math.isfinite(float(value)) else _IMPOSSIBLE
