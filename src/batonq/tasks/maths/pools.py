"""Pools: which calls take part, named before any test fold was looked at, but for `local3`.

A call is one model under one prompt. Four or five of them keep the number of information states
in proportion to the questions there are to learn from.

Every data set has the pool `local`: what local models answered live, replayed from its recording,
and `local3`: three calls of the recording that comes with the package. Each is run by itself, as it
counts another unit of cost, and only if it is asked for, unless there is no other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from batonq.base.errors import DataError
from batonq.tasks.maths.board import Board


@dataclass(frozen=True)
class Pool:
    """A named choice of calls.

    Attributes:
        name: `all`, `no4omini`, `local` or `local3`.
        calls: (model, prompt) in the order in which ties are settled; empty takes every call.
        reason: why these.
        local: whether its answers are those of local models, see `live.recorded`.
    """

    name: str
    calls: tuple[tuple[str, str], ...]
    reason: str
    local: bool = False


_GSM8K = (
    Pool(
        "all",
        (
            ("gpt-4o-mini", "cot-read2"),
            ("gpt-4o-mini", "vanilla-read2"),
            ("gpt-4o-mini", "cot-read1"),
            ("gpt-4", "8-shot"),
            ("tora-70b", "python"),
        ),
        "the cheap strong model under the three prompts that reason most or read twice, the dear "
        "strong model, and one that writes a program, so that errors differ in kind",
    ),
    Pool(
        "no4omini",
        (
            ("gpt-4", "8-shot"),
            ("tora-70b", "python"),
            ("gpt-3.5-turbo", "cot-read2"),
            ("mixtral-8x7b", "8-shot"),
            ("tora-34b", "python"),
        ),
        "without the model that is both cheap and strong: one call of every other vendor's chat "
        "model under its most careful prompt, and both models that write programs",
    ),
)
_MMLU = (
    Pool(
        "all",
        (
            ("gpt-4o", "5-shot"),
            ("claude-3-opus", "5-shot"),
            ("gemini-1.5-flash", "5-shot"),
            ("llama-3-70b", "5-shot"),
            ("mixtral-8x22b", "5-shot"),
        ),
        "one model of each of five vendors, over the whole range of prices",
    ),
)
_GENERATED = (Pool("all", (), "every simulated solver"),)
_LOCAL = Pool("local", (), "every call that was recorded live", local=True)
_LOCAL_3 = Pool(
    "local3",
    (
        ("qwen2.5-coder-0.5b-instruct-q4_k_m", "program"),
        ("qwen2.5-coder-1.5b-instruct-q4_k_m", "program"),
        ("qwen2.5-coder-1.5b-instruct-q4_k_m", "step"),
    ),
    "of the recording that comes with the package, three calls that differ in kind: with 160 "
    "questions to learn from, all six overfit; chosen after looking at the first 150",
    local=True,
)

POOLS: Final = {
    "gsm8k": (*_GSM8K, _LOCAL, _LOCAL_3),
    "mmlu": (*_MMLU, _LOCAL, _LOCAL_3),
    "generated": (*_GENERATED, _LOCAL, _LOCAL_3),
    "mathqa": (_LOCAL, _LOCAL_3),
}


def usual_pools(dataset: str) -> tuple[str, ...]:
    """The pools of a data set that are run if none is named."""
    pools = POOLS[dataset]
    return tuple(pool.name for pool in pools if not pool.local) or (_LOCAL.name,)


def pool_named(dataset: str, name: str) -> Pool:
    """Find a pool of a data set.

    Raises:
        DataError: if it has none of that name.
    """
    pools = {pool.name: pool for pool in POOLS[dataset]}
    if name not in pools:
        raise DataError(
            f"pool: data set '{dataset}' has no pool '{name}'; choose one of {', '.join(pools)}"
        )
    return pools[name]


def columns(board: Board, pool: Pool) -> tuple[int, ...]:
    """Return the board's column of every call of the pool.

    Raises:
        DataError: if a call was not recorded.
    """
    if not pool.calls:
        return tuple(range(len(board.models)))
    return tuple(board.call(model, prompt) for model, prompt in pool.calls)
