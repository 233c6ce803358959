"""What can be asked of the CPU experiment, and what is refused before anything is run."""

from __future__ import annotations

import pytest

from batonq.base.errors import ModelError
from batonq.tasks.cpu.options import CpuOptions


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"scenario": "solo"}, "choose one of shared, suite"),
        ({"programs": ("p01",)}, "or choose scenario 'suite'"),
        ({"seeds": 0}, "seeds: 0 is too small"),
        ({"seed": -1}, "seed: -1 is too small"),
    ],
)
def test_what_cannot_be_is_named(given: dict[str, object], told: str) -> None:
    with pytest.raises(ModelError, match=told):
        CpuOptions(**given)


def test_seeds_are_five_two_when_quick_or_as_asked() -> None:
    found = [CpuOptions(), CpuOptions(quick=True), CpuOptions(seeds=3, quick=True)]
    assert [one.repetitions for one in found] == [5, 2, 3]
    assert found[2].to_json() == {"scenario": "shared", "seeds": 3, "seed": 0, "quick": True}
