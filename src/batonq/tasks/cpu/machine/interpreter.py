"""The interpreter: programs run on all test vectors at once, compiled from the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numba
import numpy as np
from jaxtyping import Int64, UInt32
from numba.core import types
from numba.extending import intrinsic, overload, register_jitable

from batonq.tasks.cpu.machine.table import ROWS, Row
from batonq.tasks.cpu.machine.words import FLAGS

State = UInt32[np.ndarray, "word vector"]

_EFFECT: Final = np.array(
    [("keeps", "invalidates", "sets", "reads").index(row.effect) for row in ROWS], dtype=np.int64
)
_INVALIDATES, _READS = 1, 3


def _lanes(row: Row) -> Callable[[int, int, State], None]:
    """The loop over vectors of one row."""
    compute = register_jitable(row.compute)
    sets, immediate, swaps = row.effect == "sets", row.immediate, row.swaps

    def loop(dst: int, src: int, state: State) -> None:
        target = FLAGS if sets else dst
        if immediate:
            for v in range(state.shape[1]):
                state[target, v] = compute(state[dst, v], np.uint32(src), state[FLAGS, v])
        else:
            for v in range(state.shape[1]):
                first, second = state[dst, v], state[src, v]
                state[target, v] = compute(first, second, state[FLAGS, v])
                if swaps:
                    state[src, v] = first

    return loop


def _rows(op: int, dst: int, src: int, state: State) -> None:
    """One instruction by NumPy: what runs with the compiler off, and the peer of speed tests."""
    row = ROWS[op]
    first, second = state[dst], np.uint32(src) if row.immediate else state[src]
    kept = first.copy() if row.swaps else first
    state[FLAGS if row.effect == "sets" else dst] = row.compute(first, second, state[FLAGS])
    if row.swaps:
        state[src] = kept


def _switched_code(_context: Any, op: Any, dst: Any, src: Any, state: Any) -> Any:
    inner = types.void(dst, src, state)

    def generate(context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        done = builder.append_basic_block("done")
        switch = builder.switch(arguments[0], done)
        for number, row in enumerate(ROWS):
            block = builder.append_basic_block(row.mnemonic)
            switch.add_case(arguments[0].type(number), block)
            builder.position_at_end(block)
            context.compile_internal(builder, _lanes(row), inner, arguments[1:])
            builder.branch(done)
        builder.position_at_end(done)
        return context.get_dummy_value()

    return types.void(op, dst, src, state), generate


_switched: Any = intrinsic(_switched_code)


def _apply(op: int, dst: int, src: int, state: State) -> None:
    _rows(op, dst, src, state)


@overload(_apply)
def _compiled_apply(op: Any, dst: Any, src: Any, state: Any) -> Any:
    del op, dst, src, state

    def implementation(op: Any, dst: Any, src: Any, state: Any) -> Any:
        _switched(op, dst, src, state)

    return implementation


@numba.njit(cache=True, nogil=True)
def execute(op: int, dst: int, src: int, state: State) -> bool:
    """Execute one instruction on all vectors, in place.

    Args:
        op: number of its row in `table.ROWS`; it and the words' numbers are not checked.
        dst: number of the word it writes.
        src: number of the word it reads, or the value of an immediate operand.
        state: words by vectors, C-contiguous.

    Returns:
        False, with `state` as it was, if it reads flags that are not valid.
    """
    if _EFFECT[op] == _READS and state[FLAGS, 0] == 0:
        return False
    _apply(op, dst, src, state)
    if _EFFECT[op] == _INVALIDATES:
        state[FLAGS] = 0
    return True


@numba.njit(cache=True, nogil=True)
def run(program: Int64[np.ndarray, "step 3"], state: State) -> bool:
    """Run a program on all vectors, in place; False as soon as an instruction is not legal."""
    for step in range(len(program)):
        if not execute(program[step, 0], program[step, 1], program[step, 2], state):
            return False
    return True
