"""A finite model: what a coarse interface costs, and that IC-Q learns what it predicts.

A router hands a job to a quick or to a thorough agent. A quarter of the jobs is hard. If the
interface shows the router which, it uses both agents; if not, it can but guess.
"""

import numpy as np

import batonq as bq
from batonq.smdp.durations import geometric
from batonq.smdp.exact import aggregated, evaluate, optimal
from batonq.smdp.interface import from_labels
from batonq.smdp.model import from_entries
from batonq.smdp.policies import policy_of_cells, uniform

ROUTER, QUICK, THOROUGH = 0, 1, 2
EASY, HARD = 0, 1


def jobs() -> bq.FiniteICSMDP:
    """Six states (holder, kind of job). The router's two actions hand on; the others end the job.

    Rewards are worth what they are at the start of the option; `geometric` gives the mean number
    of steps. Rows of quick and thorough have no entries: their job is done, and a new one starts.
    """
    holder = np.array([ROUTER, ROUTER, QUICK, QUICK, THOROUGH, THOROUGH])
    reward = np.array([[0.0, 0.0], [0.0, 0.0], [0.9, 0.0], [0.1, 0.0], [0.6, 0.0], [0.6, 0.0]])
    mask = np.array([[True, True]] * 2 + [[True, False]] * 4)
    return from_entries(
        agents=("router", "quick", "thorough"),
        holder=holder,
        reward=reward,
        state=np.array([0, 0, 1, 1]),
        action=np.array([0, 1, 0, 1]),
        successor=np.array([2, 4, 3, 5]),
        probability=np.ones(4),
        durations=geometric(np.array([1.5, 1.5, 1.5, 1.5])),
        gamma=0.95,
        mask=mask,
        initial=np.array([0.75, 0.25, 0.0, 0.0, 0.0, 0.0]),
    )


def main() -> None:
    """Solve and learn behind two interfaces, and compare."""
    full = jobs()
    kind = np.array([EASY, HARD] * 3)
    unseen = np.where(full.holder == ROUTER, 0, kind)  # the workers see the kind, the router not
    oracle = float(full.initial @ optimal(full).value)
    print(f"oracle: {oracle:.4f}")
    for name, field in (("kind shown", kind), ("kind hidden", unseen)):
        model = full.seen_as(from_labels(full.holder, field))
        limit = aggregated(model, uniform(model))
        greedy = evaluate(model, policy_of_cells(model, limit.policy))
        run = bq.train(model, handoffs=100_000, seeds=4)
        learnt = np.concatenate([table.q for table in run.tables[0].values()])
        error = np.abs(learnt - limit.q)[model.cell_mask].max()
        print(
            f"{name}: {model.n_cells} cells, fixed point worth {model.initial @ greedy.value:.4f}, "
            f"IC-Q {run.final.mean():.4f}; its values are within {error:.4f} of the fixed point"
        )
        assert np.isclose(run.final, model.initial @ greedy.value).all()
    assert oracle > float(run.final.mean())  # hidden kinds cost something


if __name__ == "__main__":
    main()
