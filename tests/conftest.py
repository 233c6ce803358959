"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data: BATONQ_DATA, or ../shared/data beside the checkout."""
    given = os.environ.get("BATONQ_DATA")
    place = Path(given) if given else Path(__file__).parents[2] / "shared" / "data"
    if not place.is_dir():
        pytest.skip(f"no data folder at {place}: set BATONQ_DATA to run this test")
    return place
