"""Run the programs in models' replies: a number, or the reason why there is none.

A program is never given to Python to run. In a process that can open no file and no connection and
start no other process, it is parsed, refused if it holds anything but the allowed parts
(`sandbox/allowed.py`), and walked with a budget of steps, while the system bounds the process's
memory and time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields

from batonq.base.errors import ModelError
from batonq.tasks.maths.live.program.child import Ran, converse
from batonq.tasks.maths.live.program.reply import program_in
from batonq.tasks.maths.live.program.sandbox.limits import Limits

__all__ = ["Limits", "Ran", "run_program", "run_programs"]

_DEFAULTS = Limits()
_PYTHON = 64 * 2**20  # bytes that Python needs for itself


def run_programs(texts: Sequence[str], limits: Limits = _DEFAULTS) -> list[Ran]:
    """Run the program in each reply and call its function `solve()`.

    Args:
        texts: the replies, with the program in a block of code or by itself.
        limits: of each program.

    Returns:
        For each reply the number, or the reason why there is none, which is an abstention.

    Raises:
        ModelError: if a limit cannot be kept.
        DataError: if this system cannot confine a process.
    """
    for one in fields(limits):
        least = _PYTHON if one.name == "memory" else 0
        if not getattr(limits, one.name) > least:
            raise ModelError(f"limits: {one.name} is {getattr(limits, one.name)}, has to be more")
    return converse([program_in(text) for text in texts], limits)


def run_program(text: str, limits: Limits = _DEFAULTS) -> Ran:
    """Run the program in one reply, as `run_programs` does; for many, that is much faster."""
    return run_programs([text], limits)[0]
