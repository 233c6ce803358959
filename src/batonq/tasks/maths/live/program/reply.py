"""The program in a model's reply."""

from __future__ import annotations

import re
import textwrap
from typing import Final

_FENCE: Final = re.compile(r"^[ \t]*```.*$", re.M)
_SOLVE: Final = "def solve"


def program_in(text: str) -> str:
    """The first block of a reply that defines `solve()`.

    Blocks stand between lines that begin with three backticks. Where none of them defines it, what
    stands outside them is looked at, so that a reply without blocks, or with a lost opening line,
    is taken as it is. Where the last block is not closed, the reply was cut off: its last line is
    left out unless it was ended, since `return 12` may be the beginning of `return 120`.
    """
    parts = _FENCE.split(text)
    if len(parts) % 2 == 0:
        parts[-1] = parts[-1][: parts[-1].rfind("\n") + 1]
    for part in (*parts[1::2], *parts[0::2]):
        if _SOLVE in part:
            return textwrap.dedent(part).strip("\n")
    return textwrap.dedent(parts[1] if len(parts) > 1 else text).strip("\n")
