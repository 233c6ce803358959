"""A model behind an OpenAI-compatible endpoint, asked over HTTP.

Whatever another attempt may mend is tried again: 408, 425, 429, 5xx, time-outs, broken connections,
streams cut before their end, answers that are no completion. A wrong key, model or request is not.
What a server that began to answer tells as an error with a status counts as that status.
A request that a server answers at every attempt, with an error of its own or with no completion, is
taken to be refused: others may be answered. A gateway that does not reach the server says nothing
of the request.
An attempt that failed may have been billed by the server; nobody can know. Where a server counts no
tokens they are estimated, see `completion`. A reply's seconds are those of the attempt that worked.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import Final

import httpx
from pydantic import SecretStr

from batonq.base.errors import CallError, DataError
from batonq.base.files import Json
from batonq.base.machine import is_loopback
from batonq.base.proxies import proxies_named
from batonq.llm.body import OPTIONAL, UNKNOWN, body_of, is_unexplained, refused_part
from batonq.llm.completion import (
    DONE,
    StoppedError,
    UnendedError,
    is_counted,
    join_stream,
    read_reply,
)
from batonq.llm.refusals import Refusal, error_of, read_refusal
from batonq.llm.request import Reply, Request
from batonq.llm.retry import (
    AgainError,
    BusyError,
    Clock,
    Patience,
    SilentError,
    UnfitError,
    insist,
    told_wait,
)

LARGEST: Final = 1 << 25  # bytes of an answer; a stream takes a thousand for a token
_STREAMED: Final = 300.0  # seconds of silence
_WHOLE: Final = 600.0
_LIMITED: Final = 429
_BUSY: Final = frozenset({408, 425, _LIMITED, 503, 529})  # "not now"
_SLOW: Final = frozenset({504, 524})  # a gateway that waited for the server in vain
_AWAY: Final = frozenset({502, 520, 521, 522, 523})  # one that did not reach it
_SHORTEST_KEY: Final = 8
_NO_CREDIT: Final = "insufficient_quota"
_END: Final = re.compile(rb"(?:^|[\r\n])data: ?" + re.escape(DONE.encode()))
_BEFORE_AT: Final = re.compile(r".*@", re.S)


@dataclass(frozen=True)
class _Answer:
    status: int
    headers: httpx.Headers
    text: str
    seconds: float

    @property
    def fine(self) -> bool:
        return 200 <= self.status < 300

    @property
    def refusal(self) -> Refusal:
        return read_refusal(self.status, self.text)


class Endpoint:
    """One model at one URL. Any number of threads may ask.

    A server that refuses `logprobs`, `seed`, `temperature`, `stream_options`, `stream` or a system
    message, naming it, is asked without from then on; so is one that never answered and refuses
    without a reason, if that helps. One whose streams do not end as they should, or do not count
    tokens, is asked for whole answers.

    Args:
        base_url: the URL before `/chat/completions`.
        model: what the endpoint calls the model.
        key: sent as a bearer token; None for none.
        stream: whether to ask for the reply piece by piece, which keeps a slow call alive.
        seconds: the longest silence of the server; None: 300 s of one that streams, as it may say
            nothing while it loads a model or thinks, and 600 s before a whole answer.
        patience: how often and how long to try.
        plain: whether http without encryption will do for other machines than this one.
        clock: time, for the waits.

    Attributes:
        model: as given.
        label: the same in small letters, with `-` for what is no letter, digit, dot or underscore.
        url: where it is asked.

    Raises:
        DataError: if the URL, or a proxy of the environment, cannot be used.
    """

    def __init__(
        self,
        base_url: str,
        model: str,
        key: SecretStr | None = None,
        *,
        stream: bool = False,
        seconds: float | None = None,
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
        self._answered = False  # whether it ever did
        self._tried_bare = False
        self._rest_until = 0.0  # on `passed`; what one call is told to wait, all wait
        encrypted = self.url.startswith("https:")
        with proxies_named():
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
        answer = self._settled(request, until)
        if not answer.fine:
            raise self._failure(answer)
        try:
            told = _told(answer)
            reply = read_reply(told, request, answer.seconds)
        except StoppedError as error:
            raise self._failure(replace(answer, status=error.status, text=error.told)) from error
        except (ValueError, RecursionError) as error:
            if isinstance(error, UnendedError):  # some servers never say it
                self._without |= {"stream"}
            raise UnfitError(f"the answer {error}") from error
        self._answered = True
        if _streams(answer.headers) and not is_counted(told):
            self._without |= {"stream"}  # hidden thoughts cost too; whole answers are counted
        return reply

    def _settled(self, request: Request, until: float) -> _Answer:
        """The answer once nothing more is refused that the call can do without."""
        while True:
            body = body_of(request, self._stream, self._without)
            answer = self._post(body, until)
            refused = None if answer.fine else refused_part(answer.refusal, body)
            if refused is None:
                break
            self._without |= {refused}  # two threads may both find out; neither loses by it
        known = answer.fine or self._answered or self._tried_bare
        if known or not is_unexplained(answer.refusal):
            return answer
        bare = self._without | OPTIONAL.keys()
        second = self._post(body_of(request, self._stream, bare), until)
        if second.fine:
            self._without = bare
        self._tried_bare |= second.fine or second.status in UNKNOWN
        passes = second.status in _BUSY | _SLOW | _AWAY  # nobody knows yet whether it helps
        return second if second.fine or passes else answer

    def _post(self, body: dict[str, Json], until: float) -> _Answer:
        start = self._clock.passed()
        silence = self._seconds or (_STREAMED if "stream" in body else _WHOLE)
        headers = {}
        if self._key is not None:
            headers["authorization"] = f"Bearer {self._key.get_secret_value()}"
        try:
            with self._client.stream(
                "POST",
                self.url,
                json=body,
                headers=headers,
                timeout=max(min(silence, until - start), 0.001),
            ) as response:
                content = self._read(response, until)
        except httpx.HTTPError as error:
            reason = type(error).__name__ if isinstance(error, httpx.TimeoutException) else error
            kind = SilentError if isinstance(error, httpx.ReadTimeout) else AgainError
            raise kind(self._hidden(f"no answer came ({reason})")) from error
        text = self._hidden(content.decode(errors="replace"))  # servers repeat keys in messages
        seconds = self._clock.passed() - start
        return _Answer(response.status_code, response.headers, text, seconds)

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

    def _failure(self, answer: _Answer) -> CallError | AgainError:
        """What the status of an answer stands for."""
        status, refusal = answer.status, answer.refusal
        busy = status in _BUSY
        if not (busy or status >= 500) or _NO_CREDIT in answer.text:
            return error_of(refusal, f"{self.model} at {self.url}", self._key is not None)
        wait = told_wait(answer.headers, self._clock.now(), limited=status == _LIMITED)
        wait = refusal.wait if wait is None else wait
        if wait is not None and wait <= self._patience.told:
            self._rest_until = max(self._rest_until, self._clock.passed() + wait)
        return _kind(status)(f"the server answered {status} ({refusal.shown})", wait)

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
    except httpx.InvalidURL:  # which repeats a part, and that may be of a password
        raise DataError(
            "the URL of an endpoint cannot be read; give https://HOST/v1, and the key in a "
            "variable or a file"
        ) from None
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


def _kind(status: int) -> type[AgainError]:
    """How often what may pass is worth another try."""
    if status in _BUSY:
        return BusyError
    if status in _SLOW:
        return SilentError
    return AgainError if status in _AWAY else UnfitError


def _streams(headers: httpx.Headers) -> bool:
    return str(headers.get("content-type", "")).startswith("text/event-stream")


def _told(answer: _Answer) -> Json:
    if _streams(answer.headers):
        return join_stream(answer.text)
    try:
        return json.loads(answer.text)
    except ValueError as error:
        raise ValueError(f"is not JSON ({error})") from error
