"""What can be chosen of the demo."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Final

from batonq.base.errors import DataError
from batonq.base.files import Json

HANDOFFS: Final = 3_000
QUICK: Final = 600
LEAST: Final = 100  # so that there is a middle to be killed in


@dataclass(frozen=True)
class Options:
    """How the demo is run.

    Attributes:
        seed: of requests, of what comes of options, and of exploration.
        handoffs: after how many no new request is begun.

    Raises:
        DataError: for a number out of range.
    """

    seed: int = 0
    handoffs: int = HANDOFFS

    def __post_init__(self) -> None:
        if self.seed < 0:
            raise DataError(f"seed: {self.seed} is negative; give 0 or more")
        if self.handoffs < LEAST:
            raise DataError(f"handoffs: {self.handoffs} is too few; give {LEAST} or more")

    def to_json(self) -> dict[str, Json]:
        """What the results depend on."""
        return asdict(self)
