"""A triage problem: hidden facets, agents that measure them, and who is the right specialist.

Agent k measures facet k. The right specialist is the leaf of a decision tree over facets, so what
to ask next depends on what has been found: every facet matters for some requests and for none
all of them do.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float, Int

from batonq.base.errors import ModelError
from batonq.base.seeds import generator

GAMMA: Final = 0.98
SPECIALISTS: Final = 4
TYPES: Final = 2  # hidden kinds of requests, which correlate the facets
MEANS: Final = (1.0, 6.0)  # least and largest mean duration of a measurement, in primitive steps
WEIGHTS: Final = (0.5, 1.5)  # least and largest weight of a facet's value before normalisation
SIZES: Final = (3, 12)  # facets an instance may have
TRIES: Final = 1000
ROOT: Final = -1  # in place of the question above a node: there is none
ASKED: Final = -2  # in its place: the node is no leaf any more


@dataclass(frozen=True, eq=False)
class Instance:
    """A triage problem with K facets, facet k having v_k values.

    Attributes:
        prior: chance of each combination of facets, all positive; shape (v_0, ..., v_K-1).
        specialist: the right one for each combination, 0 .. S-1; the same shape.
        means: by facet, the mean duration of measuring each of its values, in primitive steps,
            each at least 1.
        gamma: discount per primitive step.

    Raises:
        ModelError: naming the first part that cannot be right.
    """

    prior: Float[np.ndarray, ...]
    specialist: Int[np.ndarray, ...]
    means: tuple[Float[np.ndarray, " _"], ...]
    gamma: float = GAMMA

    def __post_init__(self) -> None:
        if not (self.prior > 0).all() or abs(self.prior.sum() - 1) > 1e-9:
            raise ModelError("triage: the prior must be positive everywhere and sum to 1")
        if self.specialist.shape != self.prior.shape or self.specialist.min() < 0:
            raise ModelError(
                f"triage: specialists of shape {self.specialist.shape} for a prior of shape "
                f"{self.prior.shape}; give one number >= 0 for each combination of facets"
            )
        if tuple(len(mean) for mean in self.means) != self.values:
            raise ModelError(
                f"triage: means of {[len(mean) for mean in self.means]} values for facets of "
                f"{list(self.values)}; give one for each value"
            )
        if min(float(mean.min()) for mean in self.means) < 1:
            raise ModelError("triage: a mean duration is below 1 step; give each at least 1")
        if not 0 < self.gamma <= 1:
            raise ModelError(f"triage: gamma {self.gamma:g} is not in (0, 1]")

    @property
    def size(self) -> int:
        """Number of facets, and of triage agents, K."""
        return self.prior.ndim

    @property
    def values(self) -> tuple[int, ...]:
        """Number of values of each facet."""
        return self.prior.shape

    @property
    def n_specialists(self) -> int:
        """Number of specialists, S."""
        return int(self.specialist.max()) + 1


def drawn(size: int, seed: int, number: int, attempt: int = 0) -> Instance:
    """Draw the `number`-th instance with `size` facets.

    One facet has three values, the others two. A request is of one of two hidden types; given the
    type the facets are independent, so that they are correlated over all requests. Given
    everything else a binary facet has a chance of at least .25 of either value. The decision tree
    grows leaf by leaf: first every facet once, in random order, then half as many again, each at a
    random leaf whose path lacks it; leaves that one question tells apart have different
    specialists.

    Args:
        size: K, in 3..12.
        seed: of all instances, at least 0.
        number: which one.
        attempt: another draw in its place, should one not be wanted.

    Raises:
        ModelError: if `size` is outside 3..12.
    """
    low, high = SIZES
    if not low <= size <= high:
        raise ModelError(f"triage: {size} facets; give {low} to {high}")
    rng = generator(seed, size, number, attempt)
    values = np.full(size, 2)
    values[rng.integers(size)] = 3
    prior = _prior(values, rng)
    for _ in range(TRIES):
        rule = _rule(values, rng)
        if len(np.unique(rule)) == SPECIALISTS and all(_matters(rule, k) for k in range(size)):
            break
    else:
        raise ModelError(f"triage: no decision tree for {size} facets in {TRIES} tries")
    means = tuple(rng.uniform(*MEANS, size=count) for count in values)
    return Instance(prior, rule, means)


def _prior(values: Int[np.ndarray, " facet"], rng: np.random.Generator) -> np.ndarray:
    """Mixture of types, in each of which the facets are independent."""
    share = rng.uniform(*WEIGHTS, size=TYPES)
    total = np.zeros(tuple(values))
    for weight in share / share.sum():
        one = np.array(weight)
        for count in values:
            chance = rng.uniform(*WEIGHTS, size=count)
            one = np.multiply.outer(one, chance / chance.sum())
        total += one
    return total


def _rule(values: Int[np.ndarray, " facet"], rng: np.random.Generator) -> np.ndarray:
    """The specialist of each combination, by a random decision tree."""
    size = len(values)
    facets = np.indices(tuple(values))
    leaf = np.zeros(tuple(values), np.int64)  # which leaf each combination is in
    paths: list[frozenset[int]] = [frozenset()]  # facets asked above each node
    above = [ROOT]  # number of the question that leads to each node
    extra = rng.integers(size, size=size // 2)
    for question, facet in enumerate([*rng.permutation(size), *extra]):
        free = [k for k, path in enumerate(paths) if facet not in path and above[k] != ASKED]
        if not free:
            continue
        split = free[rng.integers(len(free))]
        above[split] = ASKED
        inside = leaf == split
        for value in range(values[facet]):
            leaf[inside & (facets[facet] == value)] = len(paths)
            paths.append(paths[split] | {int(facet)})
            above.append(question)
    label = np.zeros(len(paths), np.int64)
    for node in range(len(paths)):
        brothers = [k for k in range(node) if above[k] == above[node] >= 0]
        label[node] = rng.choice(np.setdiff1d(np.arange(SPECIALISTS), label[brothers]))
    return label[leaf]


def _matters(rule: np.ndarray, facet: int) -> bool:
    """Whether the specialist depends on a facet for some value of the others."""
    return bool((rule != np.take(rule, [0], axis=facet)).any())
