"""Prompts as files: `name.vN.txt`; the newest version is used and every answer tells which.

An answer recorded under an older version stays what it was: the version and the checksum of the
file's text stand in the record.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from batonq.base.errors import DataError

_FOLDER: Final = Path(__file__).with_name("prompts")
_NAME: Final = re.compile(r"([a-z][a-z-]*)\.v(\d+)\.txt")


@dataclass(frozen=True)
class Prompt:
    """One version of one prompt.

    Attributes:
        name: such as "program".
        version: 1, 2, ...
        text: with the places `{question}`, `{options}` and `{attempt}` to be filled in.
    """

    name: str
    version: int
    text: str

    @property
    def sha256(self) -> str:
        """Checksum of the text, 16 digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    def fill(self, **places: str) -> str:
        """Fill in the places, all at once: what is filled in is not looked at again."""
        pattern = re.compile(r"\{(" + "|".join(places) + r")\}") if places else None
        return pattern.sub(lambda m: places[m[1]], self.text) if pattern else self.text


def prompt(name: str, version: int | None = None) -> Prompt:
    """The prompt called `name`, in its newest version or the one given.

    Raises:
        DataError: if there is none.
    """
    found = _all().get(name, {})
    if not found or (version is not None and version not in found):
        there = ", ".join(f"{one}.v{v}" for one, of in _all().items() for v in of)
        wanted = name if version is None else f"{name}.v{version}"
        raise DataError(f"prompt: there is no '{wanted}'; there are: {there}")
    return found[max(found) if version is None else version]


@cache
def _all() -> dict[str, dict[int, Prompt]]:
    found: dict[str, dict[int, Prompt]] = {}
    for path in sorted(_FOLDER.iterdir()):
        named = _NAME.fullmatch(path.name)
        if named:
            text = path.read_text(encoding="utf-8").rstrip("\n")
            found.setdefault(named[1], {})[int(named[2])] = Prompt(named[1], int(named[2]), text)
    return found
