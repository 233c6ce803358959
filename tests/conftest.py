"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import settings

# The first call of a kernel compiles it, which no deadline should count.
settings.register_profile("batonq", deadline=None)
settings.load_profile("batonq")


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data: BATONQ_DATA, or ../shared/data beside the checkout."""
    given = os.environ.get("BATONQ_DATA")
    place = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    if not place.is_dir():
        pytest.skip(f"no data folder at {place}: set BATONQ_DATA to run this test")
    return place
