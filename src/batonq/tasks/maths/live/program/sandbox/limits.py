"""How much a program may use."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """What one program may use at most.

    Attributes:
        steps: evaluated expressions and statements, and items made or gone through.
        seconds: of processor time, in the confined process; kept by the system, which counts
            whole seconds, so that up to one more can pass.
        wall: seconds after which the process is ended, whatever it does.
        memory: bytes of the process, Python's own included.
        characters: of the program's text.
        depth: calls of its functions inside one another.
        digits: of an integer.
        items: of a list, a tuple or a dictionary.
    """

    steps: int = 100_000
    seconds: float = 2.0
    wall: float = 30.0
    memory: int = 256 * 2**20
    characters: int = 10_000
    depth: int = 200
    digits: int = 1_000
    items: int = 10_000
