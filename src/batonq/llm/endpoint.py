"""A model behind an OpenAI-compatible endpoint, asked over HTTP.

Whatever another attempt may mend is tried again: 408, 425, 429, 5xx, time-outs, broken connections,
streams cut before their end, answers that are no completion. A wrong key, model or request is not.
An attempt that failed may have been billed by the server; nobody can know. Where a server counts no
tokens they are estimated, see `completion`. A reply's seconds are those of the attempt that worked.
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import httpx
from pydantic import SecretStr

from batonq.base.errors import CallError, DataError, RequestError
from batonq.base.files import Json
from batonq.base.machine import is_loopback
from batonq.llm.completion import DONE, join_stream, read_reply
from batonq.llm.request import Reply, Request
from batonq.llm.retry import AgainError, Clock, Patience, insist, told_wait

LARGEST: Final = 1 << 23  # bytes of an answer
_MOST_ALTERNATIVES: Final = 20  # that endpoints report
_AGAIN: Final = frozenset({408, 425, 429})
_REFUSED: Final = frozenset({400, 422})
_OF_REQUEST: Final = _REFUSED | {413}  # what the server holds against this request, not the next
_SHORTEST_KEY: Final = 8
_NO_CREDIT: Final = "insufficient_quota"
_END: Final = re.compile(rb"(?:^|[\r\n])data: ?" + re.escape(DONE.encode()))
# What a server may refuse and the call can do without, and the fields it consists of.
_OPTIONAL: Final = {
    "logprobs": ("logprobs", "top_logprobs"),
    "seed": ("seed",),
    "temperature": ("temperature",),
    "stream_options": ("stream_options",),
}
_BEFORE_AT: Final = re.compile(r".*@", re.S)
_NEWER: Final = "max_completion_tokens"  # what some call `max_tokens` now


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: httpx.Headers
    text: str


class Endpoint:
    """One model at one URL. Any number of threads may ask.

    A server that refuses `logprobs`, `seed`, `temperature` or `stream_options`, naming it, is asked
    without from then on.

    Args:
        base_url: the URL before `/chat/completions`.
        model: what the endpoint calls the model.
        key: sent as a bearer token; None for none.
        stream: whether to ask for the reply piece by piece, which keeps a slow call alive.
        seconds: the longest silence of the server.
        patience: how often and how long to try.
        plain: whether http without encryption will do for other machines than this one.
        clock: time, for the waits.

    Attributes:
        model: as given.
        label: the same in small letters, with `-` for what is no letter, digit, dot or underscore.
        url: where it is asked.

    Raises:
        DataError: if the URL cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        key: SecretStr | None = None,
        *,
        stream: bool = False,
        seconds: float = 120.0,
        patience: Patience | None = None,
        plain: bool = False,
        clock: Clock | None = None,
    ) -> None:
        self.model = model
        self.label = re.sub(r"[^a-z0-9._-]+", "-", model.lower())
        self.url = checked_url(base_url, plain) + "/chat/completions"
        self._key = key
        self._stream = stream
        self._seconds = seconds
        self._patience = patience or Patience()
        self._clock = clock or Clock()
        self._without: frozenset[str] = frozenset()
        self._rest_until = 0.0  # on `passed`; what one call is told to wait, all wait
        encrypted = self.url.startswith("https:")
        self._client = httpx.Client(
            follow_redirects=False,  # the key is for this host alone
            trust_env=encrypted,  # a proxy would see what goes unencrypted to this machine
            verify=encrypted,  # reading the certificates takes long
            headers={"accept-encoding": "identity"},
        )

    def complete(self, request: Request) -> Reply:
        """Make the call; see `Client`."""
        where = f"{self.model} at {self.url}"
        return insist(lambda left: self._attempt(request, left), where, self._patience, self._clock)

    def close(self) -> None:
        """Let go of connections."""
        self._client.close()

    def _attempt(self, request: Request, left: float) -> Reply:
        until = self._clock.passed() + left
        rest = self._rest_until - self._clock.passed()
        if rest > 0:
            self._clock.sleep(rest)
        while True:
            start = self._clock.passed()
            body = self._body(request)
            answer = self._post(body, until)
            refused = _refused(answer, body)
            if refused is None:
                break
            self._without |= {refused}  # two threads may both find out; neither loses by it
        self._check(answer)
        try:
            told = _told(answer)
            return read_reply(told, request, self._clock.passed() - start)
        except (ValueError, RecursionError) as error:
            raise AgainError(f"the answer {error}") from error

    def _body(self, request: Request) -> dict[str, Json]:
        longest = _NEWER if "max_tokens" in self._without else "max_tokens"
        body: dict[str, Json] = {
            "model": self.model,
            "messages": request.messages(),
            longest: request.max_tokens,
            "temperature": request.temperature,
            "seed": request.seed,
            "logprobs": True,
            # With 0, some servers tell no log-probability at all.
            "top_logprobs": min(max(1, request.alternatives), _MOST_ALTERNATIVES),
        }
        if self._stream:
            body |= {"stream": True, "stream_options": {"include_usage": True}}
        dropped = {field for name in self._without for field in _OPTIONAL.get(name, ())}
        return {field: value for field, value in body.items() if field not in dropped}

    def _post(self, body: Json, until: float) -> _Answer:
        left = until - self._clock.passed()
        headers = {}
        if self._key is not None:
            headers["authorization"] = f"Bearer {self._key.get_secret_value()}"
        try:
            with self._client.stream(
                "POST",
                self.url,
                json=body,
                headers=headers,
                timeout=max(min(self._seconds, left), 0.001),
            ) as response:
                content = self._read(response, until)
        except httpx.HTTPError as error:
            reason = type(error).__name__ if isinstance(error, httpx.TimeoutException) else error
            raise AgainError(self._hidden(f"no answer came ({reason})")) from error
        text = self._hidden(content.decode(errors="replace"))  # servers repeat keys in messages
        return _Answer(response.status_code, response.headers, text)

    def _read(self, response: httpx.Response, until: float) -> bytes:
        content = bytearray()
        for piece in response.iter_bytes():
            content += piece
            if len(content) > LARGEST:
                raise CallError(
                    f"{self.model} at {self.url}: the answer is longer than {LARGEST} bytes; is "
                    "this a chat endpoint?"
                )
            if self._clock.passed() > until:
                raise AgainError("the answer did not end in time")
            if _streams(response.headers) and _END.search(content, len(content) - len(piece) - 16):
                break  # some keep the connection open
        return bytes(content)

    def _check(self, answer: _Answer) -> None:
        """Raise what the status of an answer stands for."""
        status, said = answer.status, _message(answer.text)
        if 200 <= status < 300:
            return
        where = f"{self.model} at {self.url}"
        if (status in _AGAIN or status >= 500) and _NO_CREDIT not in answer.text:
            wait = told_wait(answer.headers, self._clock.now())
            if wait is not None and wait <= self._patience.told:
                self._rest_until = max(self._rest_until, self._clock.passed() + wait)
            raise AgainError(f"the server answered {status} ({said})", wait)
        if 300 <= status < 400:
            raise CallError(f"{where}: sends to another address ({status}); give that one instead")
        if status in (401, 403):
            key = (
                "needs a key: name its variable or file" if self._key is None else "refused the key"
            )
            raise CallError(f"{where}: {key} ({status}: {said})")
        if status == 404:
            raise CallError(f"{where}: knows no such model or address ({said}); correct the name")
        kind = RequestError if status in _OF_REQUEST else CallError
        raise kind(f"{where}: refused the request ({status}: {said})")

    def _hidden(self, text: str) -> str:
        """A text without the key. What is shorter than a real key may be a common word."""
        key = "" if self._key is None else self._key.get_secret_value()
        return text.replace(key, "[key]") if len(key) >= _SHORTEST_KEY else text


def checked_url(base_url: str, plain: bool = False) -> str:
    """The URL of an endpoint, without a slash at its end.

    Raises:
        DataError: if it is no such URL, holds a secret, or is not encrypted and leaves the machine
            without `plain`.
    """
    try:
        url = httpx.URL(base_url)
    except httpx.InvalidURL as error:
        raise DataError(f"the URL of an endpoint cannot be read ({error})") from error
    if url.userinfo or url.query or url.fragment:
        raise DataError(
            f"the URL of the endpoint at {url.host} holds a name, a query or a fragment; give "
            "https://HOST/v1, and the key in a variable or a file"
        )
    if url.scheme not in ("http", "https") or not url.host:
        shown = _BEFORE_AT.sub("", base_url)  # a password may stand there
        raise DataError(f"'{shown}' is no URL of an endpoint; give https://HOST/v1")
    if url.scheme == "http" and not plain and not is_loopback(url.host):
        raise DataError(
            f"{base_url}: key and questions would go unencrypted; give https, or allow it with "
            "--plain-http"
        )
    return base_url.rstrip("/")


def _refused(answer: _Answer, body: dict[str, Json]) -> str | None:
    """What of the body the server named as the reason for its refusal, and can be left out."""
    if answer.status not in _REFUSED:
        return None
    words = set(re.findall(r"\w+", answer.text))
    if _NEWER in words and "max_tokens" in body:
        return "max_tokens"
    for name, fields in _OPTIONAL.items():
        if name in body and words & set(fields):
            return name
    return None


def _streams(headers: httpx.Headers) -> bool:
    return str(headers.get("content-type", "")).startswith("text/event-stream")


def _told(answer: _Answer) -> Json:
    if _streams(answer.headers):
        return join_stream(answer.text)
    try:
        return json.loads(answer.text)
    except ValueError as error:
        raise ValueError(f"is not JSON ({error})") from error


def _message(text: str) -> str:
    """What a server says went wrong: short, and nothing that a terminal would obey."""
    said: Json = text
    with suppress(ValueError, KeyError, TypeError, RecursionError):
        said = json.loads(text)["error"]
        said = said["message"]
    return "".join(c if c.isprintable() else " " for c in str(said)[:300]).strip()
