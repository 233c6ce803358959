"""Models of known skill behind a real endpoint, and sessions with them."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from openai_server import Script, Server, serving

from batonq.llm.cache import Cache
from batonq.llm.calls import Calls
from batonq.llm.endpoint import Endpoint
from batonq.llm.prices import WEIGHTED, Price
from batonq.tasks.maths.live.answers import Model
from batonq.tasks.maths.live.experiment import Sources
from batonq.tasks.maths.live.questions import Question, load_questions
from batonq.tasks.maths.live.session import Session

WEAK, STRONG = "a-weak", "b-strong"
# What stands in the prompt of each kind alone; "reread" asks for steps, too.
SAID = {
    "check": "solution right?",
    "program": "`solve()`",
    "direct": "number only",
    "reread": "question again:",
    "step": "step by step:",
}
READ, WRITTEN = 7, 3  # tokens of every call, as the server counts them
BILLIONS = {WEAK: 0.5, STRONG: 2.0}


@cache
def generated(count: int) -> list[Question]:
    """The first of the generated questions, which need no file."""
    return load_questions("generated")[:count]


def knows(model: str, question: Question) -> bool:
    """The strong model knows every answer, the weak one those to questions of even number."""
    return model == STRONG or question.index % 2 == 0


def reply(body: dict[str, Any]) -> str:
    """What a model writes: its answer in the form it is asked for; a check is never wrong."""
    prompt = body["messages"][-1]["content"]
    (question,) = [one for one in generated(60) if prompt.startswith(one.text + "\n")]
    kind = next(name for name, words in SAID.items() if words in prompt)
    if kind == "check":
        return "Yes" if f"{question.gold:g}\n" in prompt.split("solution:\n")[1] else "No"
    value = question.gold if knows(body["model"], question) else question.gold + 1
    if kind == "program":
        mine = body["model"].replace("-", "_")  # no two models write the same program
        return f"```python\ndef solve():\n    {mine} = {value:g}\n    return {mine}\n```"
    return f"{value:g}" if kind == "direct" else f"So it is.\n#### {value:g}"


def asked(server: Server) -> Counter[tuple[str, str]]:
    """How often each model was asked each thing."""
    return Counter((body["model"], body["messages"][-1]["content"]) for body in list(server.bodies))


def prices(folder: Path, unit: str = WEIGHTED) -> Path:
    """A price file of both models."""
    entry = {"date": "none", "source": "test"}
    listed = {
        name: {"name": name, "input": 1000 * size, "output": 1000 * size, **entry}
        for name, size in BILLIONS.items()
    }
    path = folder / "prices.json"
    path.write_text(json.dumps({"unit": f"{unit} per million tokens", "models": listed}))
    return path


def cost(model: str) -> float:
    """Of any call."""
    return BILLIONS[model] * (READ + WRITTEN) / 1000


def sources(server: Server, folder: Path, **told: Any) -> Sources:
    """Both models at the server, with a cache of their own in a folder."""
    plain = {
        "models": (WEAK, STRONG),
        "base_url": server.url,
        "prices": (prices(folder),),
        "cache": folder / "calls.db",
    }
    return Sources(**{**plain, **told})


@contextmanager
def models(script: Script | None = None) -> Iterator[Server]:
    """The server of both models."""
    with serving(reply, script) as server:
        yield server


@contextmanager
def session(server: Server, folder: Path, limit: float | None = None) -> Iterator[Session]:
    """A session with both models, as if they were local ones of 0.5 and 2 billion parameters."""
    each = {
        name: Price(name, 1000 * size, 1000 * size, WEIGHTED, "none", "test", size)
        for name, size in BILLIONS.items()
    }
    clients = [Endpoint(server.url, name) for name in BILLIONS]
    with Cache(folder / "calls.db") as cache, Calls(clients, cache, each, limit) as calls:
        yield Session(calls, [Model(name, name, size) for name, size in BILLIONS.items()])
