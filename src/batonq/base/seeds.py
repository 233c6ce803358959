"""Seeds: the same seed gives the same numbers, whatever the number of threads or processes."""

from __future__ import annotations

import numpy as np


def generators(seed: int, count: int) -> list[np.random.Generator]:
    """Return `count` independent generators spawned from one `seed`.

    The k-th generator depends on `seed` and k only, not on `count`.

    Raises:
        ValueError: if `seed` is negative.
    """
    return [np.random.default_rng(child) for child in np.random.SeedSequence(seed).spawn(count)]


def generator(seed: int, *path: int) -> np.random.Generator:
    """Return the generator at a `path` of spawn keys below `seed`."""
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=path))
