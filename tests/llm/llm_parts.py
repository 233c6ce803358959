"""Parts that several tests of language models use."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

from openai_server import Answer, Script

from batonq.llm.endpoint import Endpoint
from batonq.llm.prices import Price
from batonq.llm.request import Reply, Request
from batonq.llm.retry import Clock

MODEL = "some-model"
CENTS = Price(MODEL, input=100.0, output=1000.0, unit="US cents", date="none", source="test")


@dataclass
class Waits:
    """Time that passes only where somebody sleeps, and chance that always draws the same."""

    drawn: float = 0.5
    slept: list[float] = field(default_factory=list)

    def clock(self) -> Clock:
        """A clock of it."""
        return Clock(
            now=lambda: 1.8e9 + sum(self.slept),
            passed=lambda: sum(self.slept),
            sleep=self.slept.append,
            draw=lambda: self.drawn,
        )


def request(prompt: str = "What is 6 times 7?", **fields: object) -> Request:
    """A request of `MODEL`."""
    return Request(**{"model": MODEL, "system": "", "prompt": prompt, "max_tokens": 16} | fields)


@contextmanager
def endpoint(url: str, waits: Waits | None = None, **options: object) -> Iterator[Endpoint]:
    """An endpoint whose waits take no time."""
    with closing(Endpoint(url, MODEL, clock=(waits or Waits()).clock(), **options)) as opened:
        yield opened


def ask(url: str, asked: Request, waits: Waits | None = None, **options: object) -> Reply:
    """One call of such an endpoint."""
    with endpoint(url, waits, **options) as opened:
        return opened.complete(asked)


def once(answer: Answer) -> Script:
    """A script whose first answer is this one."""
    return lambda body, nth: answer if nth == 1 else None


def always(answer: Answer) -> Script:
    """A script that knows this answer alone."""
    return lambda body, nth: answer
