"""Variants that send one number per handoff against one-step IC-Q, all tuned on 24 settings each.

Every learner gets the same models and handoffs, and the best of its own 24 settings, chosen per
task on tuning seeds; what is reported comes from fresh ones. A seed draws a model as well as what
happens in it. On dense tasks all learn from the uniform behaviour (the bonus may be greedier) and
are tuned for the error, on sparse ones epsilon and the start value are tuned too, for the regret.

Rows: `error` is the error of the last table over IC-Q's, `error_path` the same over the whole
path, geometric means over seeds; `regret_path` the mean regret over looks at growing numbers of
handoffs, `regret_less` IC-Q's minus this; each with its paired 95 % interval. `to_95`, `to_99` are
medians of the handoffs to 95 % and 99 % of what there is to learn, None if most seeds missed it.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np
from jaxtyping import Float

from batonq.base.seeds import generator
from batonq.icq import clocks
from batonq.icq.baselines import learner_named
from batonq.icq.behaviour import epsilon_greedy
from batonq.icq.settings import Settings
from batonq.icq.variants import LateSeed, Variant
from batonq.study.intervals import over_seeds, paired_seeds
from batonq.study.rows import Interval
from benchmarks._pairs import CENTRED, DOUBLE, RICHARDSON, pair_learner
from benchmarks._variant_tasks import TASKS, Case, Table, Task

TUNING_SEEDS: Final = 5
SPARSE_TUNING_SEEDS: Final = 15  # the regret of a learner that explores varies more
SEEDS: Final = 20
FIRST_TUNING_SEED: Final = 1_000_000
LATE: Final = -1  # a rule beside those of `_pairs`

Setting = Mapping[str, Any]
Path = Float[np.ndarray, "seed stop 2"]  # error and regret


def _settings(**choices: Sequence[Any]) -> list[Setting]:
    """Every combination of the choices."""
    return [dict(zip(choices, one, strict=True)) for one in itertools.product(*choices.values())]


LINEAR, POWER, CONSTANT = clocks.rescaled_linear, clocks.power, clocks.constant
MANY: Final = (
    [LINEAR(c) for c in (0, 0.3, 0.5, 0.6, 0.7, 0.75, 0.8, 0.85, 0.9, 0.925, 0.95)]
    + [LINEAR(c) for c in (0.96, 0.97, 0.98, 0.985, 0.99, 0.995)]
    + [POWER(p) for p in (0.55, 0.6, 0.7, 0.8)]
    + [CONSTANT(a) for a in (0.02, 0.05, 0.1)]
)
FOUR: Final = [LINEAR(0.8), LINEAR(0.9), LINEAR(0.95), LINEAR(0.98)]
SIX: Final = [LINEAR(0.7), *FOUR, LINEAR(0.99)]
STEPS: Final = [*map(CONSTANT, (0.02, 0.05, 0.1, 0.2)), POWER(0.6), LINEAR(0.95)]
PLAIN: Final[dict[str, Sequence[Any]]] = {"rule": [LATE], "wait": [1], "average": [None]}

DENSE: Final = {
    "icq": _settings(**PLAIN, clock=MANY),
    "late": _settings(rule=[LATE], average=[None], clock=SIX, decay=[0.0, 0.3, 0.6, 0.9]),
    "average": _settings(
        rule=[LATE],
        wait=[1],
        clock=[*FOUR, LINEAR(0.99), *map(POWER, (0.55, 0.65, 0.75))],
        average=[1.0, 3.0, 8.0],
    ),
    "late_average": _settings(
        rule=[LATE],
        clock=[*FOUR[1:], POWER(0.7)],
        decay=[0.0, 0.5, 0.9],
        average=[1.0, 4.0],
    ),
    "double": _settings(rule=[DOUBLE], clock=MANY),
    "richardson": _settings(rule=[RICHARDSON], clock=STEPS, average=[None, 0.0, 2.0, 6.0]),
    "centred": _settings(rule=[CENTRED], clock=FOUR, first=[1_000, 4_000], growth=[1.5, 2.0, 3.0]),
    "bonus": _settings(**PLAIN, clock=FOUR, bonus=[0.1, 0.3, 1.0], epsilon=[0.3, 1.0]),
    # As `train` has them, without any tuning: the clock follows from the model's contraction.
    "icq_default": _settings(**PLAIN, clock=[None]),
    "late_default": _settings(rule=[LATE], clock=[None]),
}
# A start at 1, the prize, is an optimistic one.
BOTH: Final[dict[str, Sequence[Any]]] = {"epsilon": [0.0, 0.1, 1.0], "initial": [0.0, 1.0]}
PAIR: Final = [LINEAR(0.5), LINEAR(0.95)]
QUARTET: Final = [LINEAR(0.5), LINEAR(0.8), LINEAR(0.95), CONSTANT(0.2)]
SPARSE: Final = {
    "icq": _settings(**PLAIN, **BOTH, clock=QUARTET),
    "late": [
        *_settings(rule=[LATE], average=[None], **BOTH, clock=PAIR, decay=[0.0], wait=[16]),
        *_settings(rule=[LATE], average=[None], **BOTH, clock=PAIR, decay=[0.9], wait=[4]),
    ],
    "average": _settings(rule=[LATE], wait=[1], **BOTH, clock=PAIR, average=[2.0, 8.0]),
    "late_average": [
        *_settings(rule=[LATE], average=[4.0], **BOTH, clock=PAIR, decay=[0.0], wait=[16]),
        *_settings(rule=[LATE], average=[4.0], **BOTH, clock=PAIR, decay=[0.9], wait=[4]),
    ],
    "double": _settings(rule=[DOUBLE], **BOTH, clock=QUARTET),
    "richardson": _settings(
        rule=[RICHARDSON], **BOTH, clock=[CONSTANT(0.1), LINEAR(0.8)], average=[None, 4.0]
    ),
    "centred": _settings(
        rule=[CENTRED], **BOTH, clock=[LINEAR(0.9)], first=[100, 1_000], growth=[1.5, 2.0]
    ),
    "bonus": _settings(**PLAIN, **BOTH, clock=PAIR, bonus=[0.1, 0.3]),
    "late_bonus": _settings(
        rule=[LATE], average=[None], **BOTH, clock=PAIR, bonus=[0.1, 0.3], decay=[0.0]
    ),
}


def run(quick: bool) -> list[dict[str, Any]]:
    """A row for each task and learner."""
    rows = []
    for task in TASKS:
        tuning = SPARSE_TUNING_SEEDS if task.sparse else TUNING_SEEDS
        tuning, seeds, shrink = (1, 2, 100) if quick else (tuning, SEEDS, 1)
        rivals = [Case(task, FIRST_TUNING_SEED + k, shrink) for k in range(tuning)]
        cases = [Case(task, k, shrink) for k in range(seeds)]
        paths: dict[str, Path] = {}
        for name, grid in (SPARSE if task.sparse else DENSE).items():
            setting = _best(task, rivals, grid)
            paths[name] = _paths(cases, setting)
            rows.append(_row(task, cases[0], name, setting, len(grid), paths[name], paths["icq"]))
    return rows


def _best(task: Task, cases: list[Case], grid: list[Setting]) -> Setting:
    """The setting that does best on the tuning seeds."""
    return min(grid, key=lambda one: _cost(task, _paths(cases, one))) if len(grid) > 1 else grid[0]


def _paths(cases: list[Case], setting: Setting) -> Path:
    """Error and regret of a learner at every look, on every case."""
    paths = []
    for case in cases:
        play_on = _learner(case, setting)
        paths.append([case.judge(play_on(int(stop))[0]) for stop in case.stops])
    return np.array(paths)


def _learner(case: Case, setting: Setting) -> Callable[[int], tuple[Table, int]]:
    """A learner of a case: given a number of handoffs, it plays on until it has them."""
    own = {"epsilon": 1.0, **setting}
    rule, epsilon = own.pop("rule"), own.pop("epsilon")
    clock = own.pop("clock") or LINEAR(case.model.contraction)
    behaviour, rng = epsilon_greedy(epsilon), generator(case.number, 1)
    if rule != LATE:
        return pair_learner(case.prepared, case.model.n_cells, rule, clock, behaviour, rng, **own)
    settings = Settings(
        handoffs=int(case.stops[-1]),
        seeds=1,
        seed=0,
        behaviour=behaviour,
        clock=clock,
        phases=None,
        initial=own.pop("initial", 0.0),
        points=1,
        record=False,
        workers=1,
    )
    seed = LateSeed(case.model, case.prepared, case.plan, settings, Variant(**own), rng)

    def play_on(stop: int) -> tuple[Table, int]:
        seed.advance(learner_named("icq"), settings, clock, stop)
        q = np.empty((case.model.n_cells, case.model.n_actions))
        for keys, table in zip(case.plan.keys, seed.tables, strict=True):
            q[keys] = table
        return q, seed.crossed

    return play_on


def _cost(task: Task, paths: Path) -> tuple[float, float]:
    """What tuning makes small: the error over the path, or the regret, and then the error."""
    error, regret = float(np.log(paths[..., 0]).mean()), float(paths[..., 1].mean())
    return (regret, error) if task.sparse else (error, regret)


def _row(
    task: Task, case: Case, name: str, setting: Setting, tried: int, path: Path, base: Path
) -> dict[str, Any]:
    logs = np.log(path[..., 0] / base[..., 0])
    regret, of_base = path[..., 1].mean(axis=1), base[..., 1].mean(axis=1)
    return {
        "task": task.name,
        "variant": name,
        "handoffs": int(case.stops[-1]),
        "seeds": len(path),
        "settings": tried,
        **_ratio("error", over_seeds(logs[:, -1])),
        **_ratio("error_path", over_seeds(logs.mean(axis=1))),
        "regret_path": float(regret.mean()),
        **_ends("regret_less", paired_seeds(of_base, regret)),
        "to_95": _reached(case, path, 0.05),
        "to_99": _reached(case, path, 0.01),
        "chosen": {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in setting.items()
        },
    }


def _ratio(name: str, logs: Interval) -> dict[str, float | None]:
    """An interval of logarithms as one of ratios."""
    ends = _ends(name, logs)
    return {key: None if value is None else float(np.exp(value)) for key, value in ends.items()}


def _ends(name: str, found: Interval) -> dict[str, float | None]:
    return {name: found.value, f"{name}_low": found.low, f"{name}_high": found.high}


def _reached(case: Case, path: Path, regret: float) -> int | None:
    """Median over seeds of the handoffs at the first look with at most this regret."""
    there = path[..., 1] <= regret
    first = np.where(there.any(axis=1), case.stops[there.argmax(axis=1)], np.inf)
    median = float(np.median(first))
    return round(median) if np.isfinite(median) else None
