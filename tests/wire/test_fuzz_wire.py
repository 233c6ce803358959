"""The fuzzers' targets, briefly and blindly; `python -m benchmarks.fuzz` does it at length."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

WIRE = ("json", "ask", "answer", "declaration", "chain")


@pytest.fixture(scope="module", autouse=True)
def _benchmarks() -> Iterator[None]:
    """Benchmarks lie beside the package, not in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2])
        yield


@pytest.mark.parametrize("name", WIRE)
def test_nothing_but_errors_of_ours_comes_out(name: str) -> None:
    target = import_module("benchmarks._fuzz_targets").TARGETS[name]()
    mutated = import_module("benchmarks.fuzz").mutated
    rng = random.Random(1)
    for start in target.starts:
        target.run(start)
    for _ in range(1_000):
        target.run(mutated(rng, target.starts))


def test_a_finding_is_kept_once_with_its_input(tmp_path: Path) -> None:
    def broken(data: bytes) -> None:
        if data.startswith(b"x"):
            raise ZeroDivisionError

    record = import_module("benchmarks.fuzz").Recorder(broken, tmp_path / "found")
    for data in (b"a", b"xy", b"xz"):
        record(data)
    (found,) = map(json.loads, (tmp_path / "found").read_text().splitlines())
    assert found["input"] == b"xy".hex()
    assert found["error"].startswith("ZeroDivisionError at test_fuzz_wire.py")


def test_a_recipe_starts_from_a_valid_document() -> None:
    recipes = import_module("benchmarks._fuzz_recipes")
    starts = [{"a": 1}, ["b"]]
    assert [json.loads(recipes.document_of(bytes([1, k]), starts)) for k in (0, 1)] == starts
    assert recipes.document_of(recipes.RAW + b"\xff", starts) == b"\xff"
