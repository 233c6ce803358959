"""The conformance kits accept what is right and name what is not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from batonq.base.errors import ModelError
from batonq.icq import clocks
from batonq.icq.environment import ModelEnvironment, Turn
from batonq.icq.linear import LinearQ, RidgeQ
from batonq.icq.tabular import TabularQ
from batonq.smdp import durations
from batonq.smdp.model import from_entries
from batonq.testing import check_environment, check_qfunction


def ring() -> ModelEnvironment:
    return ModelEnvironment(
        from_entries(
            agents=["a", "b"],
            holder=np.array([0, 1]),
            reward=np.ones((2, 2)),
            state=np.array([0, 0, 1, 1]),
            action=np.array([0, 1, 0, 1]),
            successor=np.array([1, 0, 0, 1]),
            probability=np.full(4, 0.9),
            durations=durations.geometric(np.full(4, 2.0)),
            gamma=0.9,
        )
    )


def test_a_right_environment_passes() -> None:
    check_environment(ring())


class Forgetful:
    agents = {"a": 2}
    gamma = 0.9
    calls = 0

    def reset(self, rng):  # type: ignore[no-untyped-def]
        self.rng = rng
        return Turn("a", observation=0)

    def step(self, action):  # type: ignore[no-untyped-def]
        self.calls += 1
        return Turn("a", observation=self.calls)


class Fickle(Forgetful):
    def step(self, action):  # type: ignore[no-untyped-def]
        return Turn("a", observation=0, mask=[True, bool(self.rng.random() < 0.5)])


@pytest.mark.parametrize(
    ("environment", "said"),
    [(Forgetful(), "differs between two plays"), (Fickle(), "must follow from what it sees")],
)
def test_wrong_environments_are_named(environment: Forgetful, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        check_environment(environment)


FEATURES = {"x": np.array([1.0, 0.0]), "y": np.array([0.5, 1.0])}


@pytest.mark.parametrize(
    "make",
    [
        lambda: TabularQ(3, clocks.constant(0.1)),
        lambda: LinearQ(3, 2, FEATURES.__getitem__, clocks.constant(0.1)),
        lambda: RidgeQ(3, 2, FEATURES.__getitem__),
    ],
    ids=["table", "linear", "ridge"],
)
def test_our_q_functions_pass(make: Callable[[], TabularQ]) -> None:
    check_qfunction(make, ["x", "y"], 3)


class Blind(TabularQ):
    def quote(self, y, mask):  # type: ignore[no-untyped-def]
        return float(self.values(y, mask).max()) + 1.0


class Stubborn(TabularQ):
    def update(self, y, action, target):  # type: ignore[no-untyped-def]
        pass


class Moving(TabularQ):
    def frozen(self):  # type: ignore[no-untyped-def]
        return self


class Restless(TabularQ):
    def quote(self, y, mask):  # type: ignore[no-untyped-def]
        found = super().quote(y, mask)
        self.update(y, 0, 1.0)
        return found


class Short(TabularQ):
    def values(self, y, mask):  # type: ignore[no-untyped-def]
        return np.zeros(1)


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Blind, "with only action 0 permitted"),
        (Stubborn, "left 1 of a distance"),
        (Moving, "frozen copy moved"),
        (Restless, "changed the values"),
        (Short, "give 2 finite numbers"),
    ],
)
def test_wrong_q_functions_are_named(kind: type[TabularQ], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        check_qfunction(lambda: kind(2, clocks.constant(0.1)), ["x"], 2)


def test_something_else_is_no_q_function() -> None:
    with pytest.raises(ModelError, match="lacks values"):
        check_qfunction(lambda: object(), ["x"], 2)  # type: ignore[arg-type, return-value]
