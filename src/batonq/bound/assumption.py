"""What a bound assumes, and whether that is known to hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Status: TypeAlias = Literal["met", "not met", "not checkable", "supplied"]


@dataclass(frozen=True)
class Assumption:
    """One assumption of a bound.

    Attributes:
        name: what is assumed.
        status: "met" or "not met" where that was checked, "supplied" where somebody declared it,
            "not checkable" where nobody can from what is at hand.
        note: how it was checked, or what was declared: "given beta <= 0.95".
    """

    name: str
    status: Status
    note: str
