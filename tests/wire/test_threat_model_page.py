"""docs/threat-model.md names modules that there are."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text(encoding="utf-8")
NAMED = sorted(set(re.findall(r"`((?:wire|node|service)(?:\.(?!toml)\w+)?)`", PAGE)))


def test_it_names_modules() -> None:
    assert {"wire.scalar", "node.answering", "service.security"} <= set(NAMED)


@pytest.mark.parametrize("name", NAMED)
def test_a_module_it_names_is_there(name: str) -> None:
    place = ROOT / "src" / "batonq" / name.replace(".", "/")
    assert place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()


def test_rows_of_a_table_have_the_columns_of_its_head() -> None:
    lines = PAGE.splitlines()
    for before, line in pairwise(lines):
        if before.startswith("|") and line.startswith("|"):
            assert before.count("|") == line.count("|"), line
