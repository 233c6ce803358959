"""The axes: which dial is moved, over which values, and what is wanted of the slope."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final

from batonq.smdp.design import Dials

CHECKPOINTS: Final = 200  # of a run with a constant step, after it has settled
SETTLED: Final = 0.25  # share of such a run before the first checkpoint
ROUNDING: Final = 1e-12  # below the eigenvalue at which the mode is not quite mixed
QUICK_SHARE: Final = 0.3  # of the handoffs, with --quick


@dataclass(frozen=True)
class Setting:
    """One point of an axis: a model and how it is learnt.

    Attributes:
        cell: its name.
        x: place on the axis; the exact mixing time takes its place where the axis is that.
        dials: of the model.
        handoffs: decision epochs of one seed.
        step: constant step, for which the run starts at Qhat* and is judged over time; None takes
            the rescaled-linear clock, starts at 0 and judges the last table.
        blocks: of the hidden mode that the interface shows.
        twin: whether the same draws are also learnt from with kappa 0.
        streams: independent runs of each seed, whose squared errors are averaged.
        fitted: whether the point takes part in the slope.
    """

    cell: str
    x: float
    dials: Dials
    handoffs: int
    step: float | None = None
    blocks: int = 1
    twin: bool = False
    streams: int = 1
    fitted: bool = True


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a slope: to lie in [low, high]; and what is predicted."""

    predicted: float
    low: float
    high: float


@dataclass(frozen=True)
class Axis:
    """An axis.

    Attributes:
        name: its name in rows and on the command line.
        title: what it shows.
        x_label: of its figure.
        of: which error is fitted: "error" (to Q*), "residual" (to Qhat*) or "excess" (the residual
            less that of the twin, in squares).
        settings: its points.
        wanted: of the slope; None where none is fitted.
        learner: "icq", tables, or "icq_neural", networks.
    """

    name: str
    title: str
    x_label: str
    of: str
    settings: tuple[Setting, ...]
    wanted: Wanted | None = None
    learner: str = "icq"


def around(value: float, tolerance: float) -> Wanted:
    """A slope within `tolerance` of `value`."""
    return Wanted(value, value - tolerance, value + tolerance)


def persistence(mixing_time: int) -> float:
    """Eigenvalue of a mode of two levels that has mixed after that many epochs."""
    return float(0.5 ** (1 / mixing_time)) - ROUNDING


def gap_axis(seed: int, share: float) -> Axis:
    """Kappa from .03 to 1: the floor goes with the gap."""
    settings = [
        Setting(
            f"kappa={kappa:g}",
            kappa,
            _dials(seed, kappa=kappa),
            _shared(10_000_000, share),
            streams=8,
        )
        for kappa in (0.03, 0.06, 0.1, 0.2, 0.3, 0.6, 1.0)
    ]
    settings += [
        Setting(
            f"kappa={kappa:g}-tilted",
            kappa,
            _dials(seed, kappa=kappa, tilt=0.5),
            _shared(3_000_000, share),
            streams=8,
            fitted=False,
        )
        for kappa in (0.03, 0.1, 0.3, 1.0)
    ]
    return Axis(
        "gap",
        "Interface coarseness at fixed mixing and durations",
        "kappa",
        "error",
        tuple(settings),
        around(1.0, 0.05),
    )


def reveal_axis(seed: int, share: float) -> Axis:
    """8 hidden levels, shown in 1, 2, 4 or 8 blocks."""
    dials = _dials(seed, kappa=0.1, n_hidden=8)
    settings = tuple(
        Setting(
            f"blocks={blocks}",
            float(blocks),
            dials,
            _shared(10_000_000, share),
            blocks=blocks,
            streams=3,
        )
        for blocks in (1, 2, 4, 8)
    )
    return Axis("reveal", "Blocks of the hidden mode shown", "blocks shown", "error", settings)


def mixing_axis(seed: int, share: float) -> Axis:
    """A hidden mode that outweighs all other noise, at fixed Q* and gap."""
    settings = tuple(
        Setting(
            f"t_mix={epochs}",
            float(epochs),
            _dials(seed, kappa=0.1, spread=0.1, persistence=persistence(epochs)),
            _shared(20_000_000, share),
            step=0.0007,
            twin=True,
        )
        for epochs in (69, 162, 380, 889, 2080)
    )
    return Axis(
        "mixing",
        "Mixing time of a hidden mode at fixed Q* and gap",
        "mixing time (epochs)",
        "excess",
        settings,
        around(0.5, 0.12),
    )


def zero_gap_axis(seed: int, share: float) -> Axis:
    """The same mode where holders see it."""
    settings = tuple(
        Setting(
            f"t_mix={epochs}",
            float(epochs),
            _dials(seed, kappa=0.1, persistence=persistence(epochs)),
            _shared(10_000_000, share),
            step=0.002,
            blocks=2,
        )
        for epochs in (69, 162, 380, 889, 2080)
    )
    return Axis(
        "mixing_zero_gap",
        "Mixing time of a visible mode, no gap",
        "mixing time (epochs)",
        "residual",
        settings,
        Wanted(0.0, -1.0, 0.05),
    )


def horizon_axis(seed: int, share: float) -> Axis:
    """T from 1e5 to 1e7 by the rescaled-linear clock."""
    dials = _dials(seed, kappa=0.1, persistence=persistence(69))
    settings = tuple(
        Setting(f"T={handoffs}", float(handoffs), dials, handoffs, streams=streams)
        for handoffs, streams in (
            (_shared(100_000, share), 30),
            (_shared(316_000, share), 20),
            (_shared(1_000_000, share), 10),
            (_shared(3_160_000, share), 5),
            (_shared(10_000_000, share), 3),
        )
    )
    return Axis(
        "horizon",
        "Horizon by the rescaled-linear clock",
        "handoffs T",
        "residual",
        settings,
        around(-0.5, 0.1),
    )


def durations_axis(seed: int, share: float) -> Axis:
    """Contraction from .5 to .97 by the durations' means."""
    settings = tuple(
        Setting(
            f"contraction={beta:g}",
            1 / (1 - beta),
            _dials(seed, kappa=0.03, gamma=0.98, contraction=beta),
            _shared(20_000_000, share),
            step=0.002,
        )
        for beta in (0.5, 0.65, 0.79, 0.9, 0.95, 0.97)
    )
    return Axis(
        "durations", "Contraction by the durations", "1 / (1 - contraction)", "residual", settings
    )


def agents_axis(seed: int, _share: float) -> Axis:
    """N from 2 to 1,000 with the same number of handoffs per cell and action, also if quick."""
    settings = tuple(
        Setting(
            f"N={n}",
            float(n),
            _dials(seed, kappa=0.1, n_agents=n, cells_per_agent=1, n_successors=2),
            100_000 * n,
            streams=max(1, 100 // n),
        )
        for n in (2, 10, 100, 1000)
    )
    return Axis("agents", "Number of agents, same data per cell", "agents N", "residual", settings)


def neural_axis(seed: int, share: float) -> Axis:
    """The hidden mode of the axis mixing, learnt by networks."""
    settings = tuple(
        Setting(
            f"t_mix={epochs}",
            float(epochs),
            _dials(
                seed,
                n_agents=4,
                contraction=0.5,
                kappa=0.1,
                spread=0.05,
                persistence=persistence(epochs),
            ),
            _shared(2_000_000, share),
            step=0.0033,
            twin=True,
        )
        for epochs in (14, 33, 77, 180, 416)
    )
    return Axis(
        NEURAL,
        "Mixing time of a hidden mode, learnt by networks",
        "mixing time (epochs)",
        "excess",
        settings,
        around(0.5, 0.12),
        "icq_neural",
    )


NEURAL: Final = "neural_mixing"
TABULAR: Final[Mapping[str, Callable[[int, float], Axis]]] = MappingProxyType(
    {
        "gap": gap_axis,
        "reveal": reveal_axis,
        "mixing": mixing_axis,
        "mixing_zero_gap": zero_gap_axis,
        "horizon": horizon_axis,
        "durations": durations_axis,
        "agents": agents_axis,
    }
)
MODELS: Final = MappingProxyType({**TABULAR, NEURAL: neural_axis})


def axis_named(name: str, seed: int, quick: bool) -> Axis:
    """An axis by name; `quick` takes every other point and a third of the handoffs."""
    if not quick:
        return MODELS[name](seed, 1.0)
    axis = MODELS[name](seed, QUICK_SHARE)
    kept = tuple(replace(one, streams=min(one.streams, 3)) for one in axis.settings[::2])
    return replace(axis, settings=kept)


def _shared(handoffs: int, share: float) -> int:
    return round(handoffs * share)


def _dials(seed: int, **moved: Any) -> Dials:
    return replace(Dials(persistence=0.9, seed=seed), **moved)
