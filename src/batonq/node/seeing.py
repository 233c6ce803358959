"""What an agent sees of an artifact: its information state, as one JSON key.

A key names fields by value. Text is never kept: its words are hashed to numbers (theory, section 4,
takes any features), so that neither the store nor a trace holds what somebody wrote.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, Final
from zlib import crc32

import numpy as np
from jaxtyping import Float

from batonq.base.errors import DataError
from batonq.base.files import Json

Features = Callable[[Any], Any]

WIDTH: Final = 256  # length of a feature vector
LONGEST: Final = 4_096  # characters of a key
_WORD: Final = re.compile(r"\w+")
_HASHED: Final = "#text"
_PLAIN: Final = frozenset({str, int, bool, type(None)})
_MOST_WRITTEN: Final = 4_096
_written: Final[dict[str, str]] = {}
_encode: Final = json.JSONEncoder(
    ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False
).encode


def as_it_is(state: Any) -> Any:
    """The default interface: the agent sees all it is given."""
    return state


def key(seen: Any, agent: str, text: Sequence[str]) -> str:
    """The information state as one string, equal for equal sights.

    Args:
        seen: what the agent's `features` returned: a mapping of fields to strings, numbers, true,
            false, None or sequences of them; or one such value.
        agent: whose, for messages.
        text: fields that hold free text; their words are hashed.

    Raises:
        DataError: for anything else, naming the field.
    """
    plain = type(seen) is dict and _PLAIN.issuperset(map(type, seen.values()))
    if not plain or (text and not seen.keys().isdisjoint(text)):
        return _key(seen, agent, text)
    written = repr(seen)  # most sights recur, and this is quicker than writing JSON
    made = _written.get(written)
    if made is None:
        made = _key(seen, agent, ())
        if len(_written) >= _MOST_WRITTEN:
            _written.clear()
        _written[written] = made
    return made


def _key(seen: Any, agent: str, text: Sequence[str]) -> str:
    if isinstance(seen, Mapping):
        fields = dict(seen)
        if text:
            words = [fields.pop(name) for name in text if name in fields]
            if words:
                fields[_HASHED] = _hashed(words, agent)
        seen = fields
    try:
        made = _encode(seen)
    except (TypeError, ValueError, RecursionError) as error:
        raise DataError(
            f"features of agent '{agent}': {_culprit(seen)} ({error}); give strings, finite "
            "numbers, true, false, None, or lists of them"
        ) from error
    if len(made) > LONGEST:
        raise DataError(
            f"features of agent '{agent}': {len(made)} characters, at most {LONGEST}; name long "
            "fields in `text`, or give fewer"
        )
    return made


def _culprit(seen: Any) -> str:
    for name, value in seen.items() if isinstance(seen, dict) else [("what is seen", seen)]:
        try:
            json.dumps(value, allow_nan=False)
            json.dumps({name: 0}, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            return f"field '{name}' is a {type(value).__name__} that cannot be kept"
    return "the fields cannot be kept"


def _hashed(texts: Sequence[Any], agent: str) -> list[int]:
    """Numbers of the words and neighbouring pairs of the texts, sorted, each once."""
    numbers = set()
    for one in texts:
        if not isinstance(one, str):
            raise DataError(
                f"features of agent '{agent}': a text field holds a {type(one).__name__}; "
                "give a string"
            )
        words = _WORD.findall(one.lower())[:1_000]
        pairs = [f"{a} {b}" for a, b in pairwise(words)]
        numbers |= {crc32(word.encode()) % WIDTH for word in words + pairs}
    return sorted(numbers)


@lru_cache(maxsize=4_096)
def vector(y: str) -> Float[np.ndarray, " feature"]:
    """Feature vector of a key: a constant, each field hashed with its value, and its hashed text.

    Each of the three parts has length 1 at most; shape (`WIDTH` + 1,).
    """
    seen: Json = json.loads(y)
    x = np.zeros(WIDTH + 1)
    x[WIDTH] = 1.0
    fields = seen if isinstance(seen, dict) else {"": seen}
    hashed = fields.get(_HASHED, [])
    names = [name for name in fields if name != _HASHED]
    for name in names:
        spot = crc32(f"{name}={_encode(fields[name])}".encode()) % WIDTH
        x[spot] += 1.0 / math.sqrt(len(names))
    for number in hashed:
        x[number] += 1.0 / math.sqrt(len(hashed))
    return x


def has_text(y: str) -> bool:
    """Whether a key holds hashed text, so that it will seldom recur."""
    return _HASHED in y
