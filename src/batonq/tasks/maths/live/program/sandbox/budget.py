"""What a program has left to use, and the one error of everything it may not do."""

from __future__ import annotations

import math

from .limits import Limits


class ProgramError(Exception):
    """A program cannot be run, or not to its end; the message is one plain sentence."""


class Budget:
    """Counts the steps of one program against its limits.

    Args:
        limits: of the program.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.left = limits.steps
        self.bits = math.ceil(limits.digits * math.log2(10))

    def spend(self, steps: int = 1) -> None:
        """Take steps off what is left.

        Raises:
            ProgramError: if there are not so many left.
        """
        self.left -= steps
        if self.left < 0:
            raise ProgramError(f"the program does not end within {self.limits.steps} steps")

    def hold(self, items: int) -> None:
        """Let one list, tuple or dictionary have so many items.

        Raises:
            ProgramError: if that is more than one may have.
        """
        if items > self.limits.items:
            raise ProgramError(f"the program makes a list of more than {self.limits.items} items")
