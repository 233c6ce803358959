"""How far IC-Q's values scatter around their limit: a central limit estimate, never a guarantee.

Near its fixed point on-line IC-Q is linear stochastic approximation: with Delta = Q - Qhat* over
pairs p, Delta moves by G (noise - A Delta) per epoch, where A = D (I - Gamhat^pihat), D holds the
pairs' shares of epochs and G their steps. The noise is e_p times the temporal difference at
Qhat*; its long-run covariance Omega has a martingale part and, with a gap, a part that remembers
the hidden state. Theory, section 11. It holds for small steps after the start is
forgotten, and says nothing about the bias of the maximum in a quote, which is of the order of the
step.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Bool, Float, Int
from scipy import sparse
from scipy.linalg import solve_continuous_lyapunov

from batonq.base.errors import ModelError
from batonq.bound.gap import Gap, between_cells, covering
from batonq.bound.residual import (
    Onward,
    fundamental,
    pair_numbers,
    pair_visits,
    transitions,
)
from batonq.icq.clocks import Clock, size
from batonq.smdp.model import FiniteICSMDP

TIE: Final = 1e-7  # actions whose values differ by less count as equally good
FORGOTTEN: Final = 1e-14  # weight of old noise below which it is left out


@dataclass(frozen=True, eq=False)
class Scatter:
    """Estimated law of Q_T - Qhat*: normal with mean 0.

    Attributes:
        covariance: over pairs, in the order of `pair_numbers`.
        sd: standard deviation of each pair; 0 where not permitted.
        rms: root mean square in L2(mu).
    """

    covariance: Float[np.ndarray, "pair pair"]
    sd: Float[np.ndarray, "cell action"]
    rms: float

    @property
    def largest(self) -> float:
        """Largest standard deviation of any pair; the supremum of the error is a few of these."""
        return float(self.sd.max())


@dataclass(frozen=True, eq=False)
class Memory:
    """Covariances R_t of the noise at lags t: R_0 is diagonal, R_t = onset step^(t-1) source.

    Attributes:
        at_once: diagonal of R_0.
        onset: E[noise of p; the next epoch is in s].
        step: transition matrix of the state over epochs, less its limit.
        source: mean noise of p at an epoch in s, pi_b(a|y) eta(s, a) for p = (y, a).
    """

    at_once: Float[np.ndarray, " pair"]
    onset: Float[np.ndarray, "pair state"]
    step: Float[np.ndarray, "state state"]
    source: Float[np.ndarray, "state pair"]

    def noise(self, kept: Float[np.ndarray, "pair pair"]) -> Float[np.ndarray, "pair pair"]:
        """R_0 + later + later', later being the sum over t >= 1 of kept^(t-1) R_t, by doubling.

        With `kept` the identity it is Omega. A step that is not small against 1 / memory has
        forgotten part of the noise of long ago when it recurs, so that less of it comes in.
        """
        total, ahead = self.onset, self.step
        while np.abs(kept).max() * np.abs(ahead).max() > FORGOTTEN:
            total = total + kept @ total @ ahead
            kept, ahead = kept @ kept, ahead @ ahead
        later = total @ self.source
        noise: np.ndarray = np.diag(self.at_once) + later + later.T
        return noise


@dataclass(frozen=True, eq=False)
class Asymptotic:
    """The linear recursion that IC-Q follows near its fixed point; pairs as in `pair_numbers`.

    Attributes:
        mask: permitted pairs.
        visits: share of epochs of each pair, the diagonal of D.
        drift: A = D (I - Gamhat^pihat); its eigenvalues have positive real part.
        noise: Omega, long-run covariance of e_p (R + gamma**tau v - Qhat*(p)).
        martingale: the part of it that each option's own randomness gives, diagonal. The rest,
            noise - martingale, is 0 without a gap residual and grows like t_mix ||eta||^2.
        margin: least lead of a cell's best action over its second best; the estimate fails where
            standard deviations come near it. Infinite where no cell has a choice.
        memory: the covariances at each lag, of which `noise` is the sum.
    """

    mask: Bool[np.ndarray, "cell action"]
    visits: Float[np.ndarray, " pair"]
    drift: Float[np.ndarray, "pair pair"]
    noise: Float[np.ndarray, "pair pair"]
    martingale: Float[np.ndarray, "pair pair"]
    margin: float
    memory: Memory

    def scatter(self, clock: Clock, handoffs: int, *, hidden: bool = True) -> Scatter:
        """Scatter of the values after so many handoffs with local clocks.

        A pair's step is that of its expected count, n_p = mu_p T. With G = diag(steps) and rho_p
        = -d log step / d log n, the covariance X solves the Lyapunov equation
        (G A - rho / 2T) X + X (G A - rho / 2T)' = G Omega G. A constant step alpha has rho = 0:
        X = alpha Sigma, A Sigma + Sigma A' = Omega. Steps 1 / (1 + (1 - beta) n) have rho = 1, and
        G A = (I - Gamhat^pihat) / ((1 - beta) T), which always suffices. Where the hidden state
        is remembered for longer than the values, Omega counts only what is still felt of it.

        Args:
            clock: step sizes.
            handoffs: T, at least 1.
            hidden: False leaves out what the gap adds to the noise.

        Raises:
            ModelError: if the steps shrink too fast for the start to be forgotten at rate
                1 / sqrt(T), as 1 / n does where beta is above 1/2.
        """
        counts = self.visits * handoffs
        if not counts.min() >= 1:
            raise ModelError(
                f"asymptotic: not available: {handoffs} handoffs visit some pair "
                f"{counts.min():.2g} times on average; give more handoffs"
            )
        steps = np.array([size(clock, n) for n in counts])
        falling = clock.power * clock.rate * counts / (clock.offset + clock.rate * counts)
        pull = steps[:, None] * self.drift - np.diag(falling) / (2 * handoffs)
        slowest = float(np.linalg.eigvals(pull).real.min())
        if not slowest > 0:
            raise ModelError(
                "asymptotic: not available: these steps shrink faster than the error does, so the "
                "start is not forgotten at rate 1 / sqrt(T); use clocks.rescaled_linear"
            )
        noise = self.martingale
        if hidden:
            # Of noise G n from t epochs ago (I - G A)^(t-1) G n = G (I - A G)^(t-1) n is left.
            kept = np.eye(len(steps)) - self.drift * steps[None, :]
            noise = self.memory.noise(kept)
        return self._of(solve_continuous_lyapunov(pull, np.outer(steps, steps) * noise))

    def averaged(self, handoffs: int, *, hidden: bool = True) -> Scatter:
        """Scatter of the Polyak average over so many handoffs: A^-1 Omega A^-T / T.

        For steps that fall more slowly than 1 / n. Averages with a constant step also keep the
        bias of the maximum, which this leaves out.

        Raises:
            ModelError: if there are no handoffs.
        """
        if handoffs < 1:
            raise ModelError(f"asymptotic: an average over {handoffs} handoffs; give at least 1")
        inverse = np.linalg.inv(self.drift)
        noise = self.noise if hidden else self.martingale
        return self._of(inverse @ noise @ inverse.T / handoffs)

    def _of(self, covariance: Float[np.ndarray, "pair pair"]) -> Scatter:
        variance = np.maximum(np.diagonal(covariance), 0.0)
        sd = np.zeros(self.mask.shape)
        sd[self.mask] = np.sqrt(variance)
        return Scatter(covariance, sd, float(np.sqrt(self.visits @ variance)))


def asymptotic(
    model: FiniteICSMDP, behaviour: Float[np.ndarray, "cell action"], found: Gap
) -> Asymptotic:
    """Drift and noise of IC-Q near its fixed point under a fixed behaviour, exactly.

    Args:
        model: the model, seen through its interface.
        behaviour: probability of each action in each cell.
        found: the gap under the same behaviour.

    Raises:
        ModelError: if some cell has two best actions, or there are too many states for
            `residual.fundamental`.
    """
    chances = covering(model, behaviour)
    margin = _margin(model, found)
    mask, numbers = model.cell_mask, pair_numbers(model.cell_mask)
    visits = pair_visits(found, model)[mask]
    memory, expected = _memory(model, chances, found, numbers)
    past = fundamental(model, chances, found.aggregated.stationary)
    later = memory.onset @ (past @ memory.source)
    kept = np.zeros((len(visits), len(visits)))
    greedy = numbers[np.arange(model.n_cells), found.aggregated.policy]
    onward = between_cells(model, found.aggregated)
    kept[:, greedy] = onward[np.flatnonzero(mask.ravel())].toarray()
    drift = visits[:, None] * (np.eye(len(visits)) - kept)
    return Asymptotic(
        mask=mask,
        visits=visits,
        drift=drift,
        noise=np.diag(memory.at_once) + later + later.T,
        martingale=np.diag(np.maximum(memory.at_once - expected, 0.0)),  # not below by rounding
        margin=margin,
        memory=memory,
    )


def _margin(model: FiniteICSMDP, found: Gap) -> float:
    choice = model.cell_mask.sum(axis=1) > 1
    if not choice.any():
        return np.inf
    top = np.sort(found.aggregated.q[choice], axis=1)
    leads = top[:, -1] - top[:, -2]
    if leads.min() <= TIE + 2 * found.aggregated.solution.error:
        cell = int(np.flatnonzero(choice)[leads.argmin()])
        raise ModelError(
            f"asymptotic: not available: cell {cell} has two best actions, where the maximum is "
            "not linear; use a certificate"
        )
    return float(leads.min())


def _memory(
    model: FiniteICSMDP,
    chances: Float[np.ndarray, "cell action"],
    found: Gap,
    numbers: Int[np.ndarray, "cell action"],
) -> tuple[Memory, Float[np.ndarray, " pair"]]:
    """The covariances, and the part of R_0 that the expected noise eta makes.

    With x = R - Qhat*(p) and y = gamma**tau v, R_0 is E[(x + y)^2], which needs E[gamma**(2 tau)].
    """
    n_pairs, value = int(numbers.max()) + 1, found.aggregated.value[model.cell]
    state, action = np.nonzero(found.met)
    row, pair = state * model.n_actions + action, numbers[model.cell[state], action]
    share, eta = found.visits[state, action], found.residual[state, action]
    own = model.reward[state, action] - found.aggregated.q[model.cell[state], action]
    carried = sparse.csr_array(
        (model.discounted * value[model.successor], model.successor, model.indptr),
        shape=(model.mask.size, model.n_states),
    )[row]
    double = model.probability * model.durations.mean_discount(model.gamma**2)
    second = model.sum_rows(double * value[model.successor] ** 2)[state, action]
    square = own**2 + 2 * own * carried.sum(axis=1) + second

    def per_pair(amount: Float[np.ndarray, " row"]) -> Float[np.ndarray, " pair"]:
        total: np.ndarray = np.bincount(pair, weights=share * amount, minlength=n_pairs)
        return total

    onward = Onward.of(model)
    gather = sparse.csr_array((share, (pair, np.arange(len(row)))), shape=(n_pairs, len(row)))
    onset = (gather @ (sparse.diags_array(own) @ onward.matrix[row] + carried)).toarray()
    onset += np.outer(gather @ (own * onward.ends[row]), onward.initial)
    source = np.zeros((model.n_states, n_pairs))
    source[state, pair] = chances[model.cell[state], action] * eta
    step = transitions(model, chances) - found.aggregated.stationary
    return Memory(per_pair(square), onset, step, source), per_pair(eta**2)
