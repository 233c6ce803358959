"""Linear Q on features of the information state: on-line, and by ridge regression per phase."""

from __future__ import annotations

from collections.abc import Callable, Hashable

import numpy as np
from jaxtyping import Bool, Float

from batonq.base.errors import ModelError
from batonq.icq import clocks, update
from batonq.icq.clocks import Clock

Features = Callable[[Hashable], Float[np.ndarray, " feature"]]


class LinearQ:
    """Q(y, a) = weights[a] . features(y), learnt on-line.

    An update moves the prediction by the clock's step toward the target, by the smallest change
    of weights that does so (normalised least mean squares); the clock counts per action.

    Attributes:
        weights: one row per action, float64, zero at first.
        counts: updates per action.
    """

    def __init__(self, n_actions: int, n_features: int, features: Features, clock: Clock) -> None:
        self.weights: Float[np.ndarray, "action feature"] = np.zeros((n_actions, n_features))
        self.counts = [0] * n_actions
        self._features = features
        self._clock = clock

    def values(
        self, y: Hashable, mask: Bool[np.ndarray, " action"]
    ) -> Float[np.ndarray, " action"]:
        """Value of every action at `y`."""
        del mask
        predicted: np.ndarray = self.weights @ self.seen(y)
        return predicted

    def quote(self, y: Hashable, mask: Bool[np.ndarray, " action"]) -> float:
        """Largest value over the permitted actions."""
        return float(update.quote(self.values(y, mask)[None], 0, mask[None], 0))

    def update(self, y: Hashable, action: int, target: float) -> None:
        """Move the prediction of one action at `y` toward `target`."""
        x = self.seen(y)
        square = float(x @ x)
        if square == 0.0:
            return
        self.counts[action] += 1
        size = clocks.size(self._clock, self.counts[action])
        before = float(self.weights[action] @ x)
        self.weights[action] += (update.step(before, target, size) - before) / square * x

    def frozen(self) -> LinearQ:
        """A copy that answers in the phase that starts now; the counts here start again."""
        copy = type(self)(len(self.counts), self.weights.shape[1], self._features, self._clock)
        copy.weights = self.weights.copy()
        self.counts = [0] * len(self.counts)
        return copy

    def seen(self, y: Hashable) -> Float[np.ndarray, " feature"]:
        """The features of `y`.

        Raises:
            ModelError: if they have another length than declared or are not finite.
        """
        x = np.asarray(self._features(y), np.float64)
        if x.shape != self.weights.shape[1:] or not np.isfinite(x).all():
            raise ModelError(
                f"features: of {y!r} are {x!r}; give {self.weights.shape[1]} finite numbers"
            )
        return x


class RidgeQ:
    """Q(y, a) = weights[a] . features(y), fitted to all targets of a phase at once.

    For frozen answers (theory, section 4): each phase starts an empty regression, whose solution
    minimises sum (w . x - target)**2 + penalty |w - before|**2 per action; an action without
    samples keeps its weights.
    """

    def __init__(
        self, n_actions: int, n_features: int, features: Features, penalty: float = 1.0
    ) -> None:
        if not penalty > 0:
            raise ModelError(f"penalty: {penalty:g} is not positive")
        self._answering = LinearQ(n_actions, n_features, features, clocks.sample_mean())
        self._n_features = n_features
        self._features = features
        self._penalty = penalty
        self._clear(n_actions)

    def values(
        self, y: Hashable, mask: Bool[np.ndarray, " action"]
    ) -> Float[np.ndarray, " action"]:
        """Value of every action at `y`, by the regression so far."""
        self._solve()
        return self._answering.values(y, mask)

    def quote(self, y: Hashable, mask: Bool[np.ndarray, " action"]) -> float:
        """Largest value over the permitted actions."""
        self._solve()
        return self._answering.quote(y, mask)

    def update(self, y: Hashable, action: int, target: float) -> None:
        """Add one sample to the phase's regression."""
        x = self._answering.seen(y)
        self._gram[action] += np.outer(x, x)
        self._moment[action] += (target - float(self._before[action] @ x)) * x
        self._stale = True

    def frozen(self) -> RidgeQ:
        """End the phase: return its solution as a copy that answers, and start a new one here."""
        self._solve()
        n_actions = len(self._before)
        copy = type(self)(n_actions, self._n_features, self._features, self._penalty)
        copy._answering.weights = self._answering.weights.copy()
        copy._clear(n_actions)
        self._clear(n_actions)
        return copy

    def _clear(self, n_actions: int) -> None:
        self._gram = np.zeros((n_actions, self._n_features, self._n_features))
        self._moment = np.zeros((n_actions, self._n_features))
        self._before = self._answering.weights.copy()
        self._stale = False

    def _solve(self) -> None:
        if not self._stale:
            return
        from scipy.linalg import solve  # half of what importing a node would take

        ridge = self._penalty * np.eye(self._n_features)
        for action, before in enumerate(self._before):
            move = solve(self._gram[action] + ridge, self._moment[action], assume_a="pos")
            self._answering.weights[action] = before + move
        self._stale = False
