"""Fixtures of the tests of language models."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from batonq.llm.cache import Cache


@pytest.fixture
def cache(tmp_path: Path) -> Iterator[Cache]:
    """An empty cache of calls."""
    with Cache(tmp_path / "calls.db") as opened:
        yield opened


@pytest.fixture(scope="session")
def gguf_file() -> Path:
    """A small chat model: the file that BATONQ_TEST_GGUF names."""
    given = os.environ.get("BATONQ_TEST_GGUF")
    if not given:
        pytest.skip("BATONQ_TEST_GGUF names no file")
    pytest.importorskip("xllamacpp")
    return Path(given)
