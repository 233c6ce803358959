"""The behaviour chain: the state at successive decision epochs, with restarts after an end.

Theory, section 2 (Assumption M): after an option that terminates, the next epoch is a
fresh start drawn from `initial`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from jaxtyping import Float
from scipy import sparse
from scipy.sparse import csgraph
from scipy.sparse.linalg import LinearOperator, gmres

from batonq.base.errors import ModelError
from batonq.smdp.durations import SLACK
from batonq.smdp.model import FiniteICSMDP
from batonq.smdp.policies import as_table, policy_of_cells

DENSE_LIMIT: Final = 2_000  # states up to which matrices are dense
LONGEST: Final = 2**40  # epochs after which a chain counts as not mixing
ACCURACY: Final = 1e-9  # allowed total of |d P - d|


@dataclass(frozen=True, eq=False)
class BehaviourChain:
    """Transition law of the state over epochs: `matrix + outer(restart, initial)`.

    Attributes:
        matrix: probability of going on from state to state, CSR, shape (S, S).
        restart: probability that the option ends the episode, per state.
        initial: law of the state after a restart.
    """

    matrix: sparse.csr_array
    restart: Float[np.ndarray, " state"]
    initial: Float[np.ndarray, " state"]


def behaviour_chain(
    model: FiniteICSMDP, behaviour: Float[np.ndarray, "cell action"]
) -> BehaviourChain:
    """The chain of the state at decision epochs under a behaviour, restarts kept apart.

    Raises:
        ModelError: if a row of `behaviour` is no law over the cell's permitted actions.
    """
    chances = policy_of_cells(model, as_table(model.cell_mask, behaviour, "cell"))
    weight = model.probability * np.repeat(chances.ravel(), np.diff(model.indptr))
    matrix = sparse.csr_array(
        (weight, model.successor, model.indptr[:: model.n_actions]),
        shape=(model.n_states, model.n_states),
        copy=True,  # what follows sorts and merges in place
    )
    matrix.sum_duplicates()
    matrix.eliminate_zeros()
    mass = matrix.sum(axis=1)
    restart = np.where(1 - mass > SLACK, 1 - mass, 0.0)
    # Rows are scaled to sum to 1 with the restart, so that rounding is not taken for an end.
    scale = np.divide(1 - restart, mass, out=np.ones_like(mass), where=mass > 0)
    matrix.data *= np.repeat(scale, np.diff(matrix.indptr))
    return BehaviourChain(matrix, restart, model.initial)


def stationary(
    model: FiniteICSMDP, behaviour: Float[np.ndarray, "cell action"]
) -> Float[np.ndarray, " state"]:
    """The stationary law d of the behaviour chain; a periodic chain has one too.

    Raises:
        ModelError: if the chain is not irreducible, naming two states that do not reach each
            other, or if it mixes too slowly for the iterative solver of a large model.
    """
    chain = behaviour_chain(model, behaviour)
    _check_irreducible(chain)
    small = model.n_states <= DENSE_LIMIT
    solved = _stationary_dense(_dense(chain)) if small else _stationary_sparse(chain)
    law: np.ndarray = np.maximum(solved, 0.0)
    law /= law.sum()
    drift = np.abs(law @ chain.matrix + (law @ chain.restart) * chain.initial - law).sum()
    if not drift <= ACCURACY:
        raise ModelError(
            f"behaviour chain: no stationary law to {ACCURACY:g} for {model.n_states} states "
            f"(reached {drift:.2g}); the chain mixes too slowly"
        )
    return law


def mixing_time(model: FiniteICSMDP, behaviour: Float[np.ndarray, "cell action"]) -> int:
    """t_mix = min{t >= 1: max_s TV(P^t(s, .), d) <= 1/4}, in epochs. Theory, section 1.

    Raises:
        ModelError: if the chain is not irreducible, is periodic, has more than `DENSE_LIMIT`
            states, or has not mixed after `LONGEST` epochs.
    """
    if model.n_states > DENSE_LIMIT:
        raise ModelError(
            f"mixing time: {model.n_states} states; it is computed for up to {DENSE_LIMIT}"
        )
    law = stationary(model, behaviour)
    step = _dense(behaviour_chain(model, behaviour))
    period = _period(step)
    if period > 1:
        raise ModelError(
            f"mixing time: the behaviour chain has period {period} and never mixes; "
            "let some option come back after another number of handoffs"
        )
    powers = [step]
    while _distance(powers[-1], law) > 1 / 4:
        if 2 ** len(powers) > LONGEST:
            raise ModelError(f"mixing time: not mixed after {LONGEST} epochs; loosen the chain")
        powers.append(_normal(powers[-1] @ powers[-1]))
    return _bisect(powers, law)


def _bisect(powers: list[np.ndarray], law: Float[np.ndarray, " state"]) -> int:
    """Least t with P^t mixed, given P^(2^k) for k = 0 .. n, of which only the last is mixed."""
    if len(powers) == 1:
        return 1
    reached = powers[-2]
    unmixed = 2 ** (len(powers) - 2)
    for k in range(len(powers) - 3, -1, -1):
        tried = _normal(reached @ powers[k])
        if _distance(tried, law) > 1 / 4:
            reached = tried
            unmixed += 2**k
    return int(unmixed + 1)


def _distance(power: Float[np.ndarray, "state state"], law: Float[np.ndarray, " state"]) -> float:
    return float(np.abs(power - law).sum(axis=1).max() / 2)


def _normal(power: Float[np.ndarray, "state state"]) -> Float[np.ndarray, "state state"]:
    """Rows scaled to 1: squaring would double their rounding error each time."""
    scaled: np.ndarray = power / power.sum(axis=1, keepdims=True)
    return scaled


def _dense(chain: BehaviourChain) -> Float[np.ndarray, "state state"]:
    full: np.ndarray = chain.matrix.toarray() + np.outer(chain.restart, chain.initial)
    return full


def _check_irreducible(chain: BehaviourChain) -> None:
    n_states = len(chain.restart)
    edges = chain.matrix.tocoo()
    ends = np.flatnonzero(chain.restart > 0)
    # One more node stands for the restart, so that its edges are not S by S.
    starts = np.flatnonzero(chain.initial > 0) if len(ends) else ends
    n_nodes = n_states + (len(ends) > 0)
    origin = np.concatenate([edges.row, ends, np.full(len(starts), n_states)])
    target = np.concatenate([edges.col, np.full(len(ends), n_states), starts])
    graph = sparse.coo_array((np.ones(len(origin)), (origin, target)), shape=(n_nodes, n_nodes))
    count, label = csgraph.connected_components(graph, directed=True, connection="strong")
    if count > 1:
        apart = int(np.argmax(label != label[0]))
        where = f"states 0 and {apart}" if apart < n_states else "state 0 and a restart"
        raise ModelError(
            f"behaviour chain: {where} do not reach each other ({count} classes); "
            "give every action a chance, or leave out states that are never met again"
        )


def _period(step: Float[np.ndarray, "state state"]) -> int:
    graph = sparse.csr_array(step > 0)
    level = csgraph.shortest_path(graph, unweighted=True, indices=0).astype(np.int64)
    origin, target = graph.nonzero()
    return int(np.gcd.reduce(level[origin] + 1 - level[target]))


def _stationary_dense(step: Float[np.ndarray, "state state"]) -> Float[np.ndarray, " state"]:
    """Solve d (I - P) = 0 with one equation, redundant in it, replaced by sum d = 1."""
    system = np.eye(len(step)) - step.T
    system[-1] = 1.0
    right = np.zeros(len(step))
    right[-1] = 1.0
    law: np.ndarray = np.linalg.solve(system, right)
    return law


def _stationary_sparse(chain: BehaviourChain) -> Float[np.ndarray, " state"]:
    """The same for large chains: d (I - P + 1 u) = u with u uniform, by GMRES."""
    n_states = len(chain.restart)
    back = chain.matrix.T.tocsr()

    def apply(law: Float[np.ndarray, " state"]) -> Float[np.ndarray, " state"]:
        moved: np.ndarray = back @ law + (chain.restart @ law) * chain.initial
        out: np.ndarray = law - moved + law.sum() / n_states
        return out

    uniform = np.full(n_states, 1 / n_states)
    system = LinearOperator((n_states, n_states), matvec=apply, dtype=np.float64)
    law, _ = gmres(system, uniform, rtol=ACCURACY / 100, restart=60, maxiter=50)
    return np.asarray(law)
