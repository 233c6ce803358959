"""Request and Reply: what every model client takes and gives, whoever runs the model."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import Final, Protocol

ENDED: Final = "stop"  # the model ended its text itself
CUT: Final = "length"  # its text was cut at `max_tokens`


@dataclass(frozen=True)
class Request:
    """One call of a model.

    Attributes:
        model: whom to ask; what an endpoint calls it, or `gguf-` and the file's checksum.
        system: the system message; "" for none.
        prompt: the user's message.
        max_tokens: the longest reply, at least 1.
        alternatives: how many of the likeliest first tokens to report with their log-probability;
            0 for none. Where it is 0, the log-probability of every token written is asked for.
        temperature: 0 for the likeliest text.
        seed: of the sampler, where the model has one.
        url: where the model is asked; "" where it runs here, and before anybody is asked.
    """

    model: str
    system: str
    prompt: str
    max_tokens: int
    alternatives: int = 0
    temperature: float = 0.0
    seed: int = 0
    url: str = ""

    def key(self) -> str:
        """SHA-256 of the whole request: equal exactly where the calls are the same."""
        told = asdict(self)
        if not self.url:  # keys are the same as before requests had a URL
            del told["url"]
        text = json.dumps(told, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()

    def messages(self) -> list[dict[str, str]]:
        """The request as chat messages."""
        asked = [{"role": "user", "content": self.prompt}]
        return [{"role": "system", "content": self.system}, *asked] if self.system else asked


@dataclass(frozen=True)
class Reply:
    """What a model answered.

    Attributes:
        text: what it wrote.
        finish: `ENDED` or `CUT`, or `completion.BLOCKED`; other words are the server's own.
        tokens_in: tokens read.
        tokens_out: tokens written.
        seconds: how long the call took, on the caller's clock.
        logprobs: log-probability of each token written; empty where the server tells none.
        first: the likeliest first tokens and their log-probability, if they were asked for.
    """

    text: str
    finish: str
    tokens_in: int
    tokens_out: int
    seconds: float
    logprobs: tuple[float, ...] = ()
    first: tuple[tuple[str, float], ...] = ()


class Client(Protocol):
    """Something that runs or reaches one model."""

    @property
    def model(self) -> str:
        """The `Request.model` it answers."""
        ...

    @property
    def label(self) -> str:
        """A short name for people, reports and records."""
        ...

    @property
    def url(self) -> str:
        """Where it is asked; "" for one that runs here."""
        ...

    def complete(self, request: Request) -> Reply:
        """Make the call.

        Raises:
            RequestError: if the model will not take this request.
            CallError: if no usable answer came, after every retry.
        """
        ...

    def close(self) -> None:
        """Let go of connections and memory."""
        ...
