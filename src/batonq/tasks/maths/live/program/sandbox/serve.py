"""The confined process: a JSON string with a program on each line in, a JSON object each out."""

from __future__ import annotations

import json
import sys
from typing import Any, Final

from .budget import ProgramError
from .interpreter import interpret
from .limits import Limits

_RECURSION: Final = 20_000  # of Python; `Limits.depth` calls with deep expressions between them
_REASON: Final = 200  # characters


def main(settings: str, programs: int) -> None:
    """Confine this process, say whether that worked, and run programs until there are no more.

    Args:
        settings: the limits, as a JSON object.
        programs: how many there will be at most.
    """
    limits = Limits(**json.loads(settings))
    try:
        from .confine import allow_time, confine  # where there is no `resource`, that is said

        confine(limits, programs)
    except (ImportError, OSError, ValueError, OverflowError) as error:
        _say({"ready": False, "reason": f"{error}"[:_REASON]})
        return
    sys.setrecursionlimit(_RECURSION)
    _say({"ready": True, "reason": ""})
    for line in sys.stdin:
        allow_time(limits)
        _say(_ran(json.loads(line), limits))


def _ran(source: str, limits: Limits) -> dict[str, Any]:
    try:
        return {"value": interpret(source, limits), "reason": ""}
    except ProgramError as error:
        return {"value": None, "reason": f"{error}"[:_REASON]}


def _say(what: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()
