"""What the options of experiments share: how often they repeat, from which seed."""

from __future__ import annotations

from batonq.base.errors import ModelError


def check_seeds(repetitions: int, seed: int) -> None:
    """Raise a ModelError unless there is at least one repetition, from a seed of at least 0."""
    for name, number, least in (("seeds", repetitions, 1), ("seed", seed, 0)):
        if number < least:
            raise ModelError(f"{name}: {number} is too small; give at least {least}")


def repetitions_of(seeds: int | None, quick: bool, usual: int, few: int) -> int:
    """How many seeds: those asked for, else `few` for a quick run and `usual` for a full one."""
    if seeds is not None:
        return seeds
    return few if quick else usual
