"""The interpreter: programs run on all test vectors at once, compiled from the table.

What Numba makes of the table is one jump by the row's number to that row's own loop over vectors,
which LLVM vectorises. It is emitted here by hand, as the code of a loop over functions that differ
cannot be written in Numba's Python without a comparison for every row on the way.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Int64, UInt32
from numba.core import cgutils, types
from numba.core.errors import TypingError
from numba.extending import intrinsic, overload, register_jitable

from batonq.base.compiled import compiled
from batonq.tasks.cpu.machine.table import ROWS, Row
from batonq.tasks.cpu.machine.words import FLAGS

State = UInt32[np.ndarray, "word vector"]


def execute_plain(op: int, dst: int, src: int, state: State) -> bool:
    """What `execute` does, by NumPy: it runs with the compiler off, and is the peer in speed."""
    row = ROWS[op]
    if row.effect == "reads" and state[FLAGS, 0] == 0:
        return False
    first, second = state[dst], np.uint32(src) if row.immediate else state[src]
    kept = first.copy() if row.swaps else first
    state[FLAGS if row.effect == "sets" else dst] = row.compute(first, second, state[FLAGS])
    if row.swaps:
        state[src] = kept
    if row.effect == "invalidates":
        state[FLAGS] = 0
    return True


def _word(builder: Any, array: Any, word: Any) -> Any:
    """Where the lanes of a word begin, and how many there are."""
    n_vectors = builder.extract_value(array.shape, 1)
    return builder.gep(array.data, [builder.mul(word, n_vectors)]), n_vectors


def _lanes(context: Any, builder: Any, row: Row, dst: Any, src: Any, array: Any) -> None:
    """Emit the loop over vectors of one row; a lane reads and writes its own column only."""
    integer = array.shape.type.element
    first, n_vectors = _word(builder, array, dst)
    flags, _ = _word(builder, array, integer(FLAGS))
    second = None if row.immediate else _word(builder, array, src)[0]
    signature = types.uint32(types.uint32, types.uint32, types.uint32)
    zero = context.get_constant(types.uint32, 0)
    value = builder.trunc(src, zero.type)
    compute = register_jitable(row.compute)
    with cgutils.for_range(builder, n_vectors) as lane:
        at = {place: builder.gep(place, [lane.index]) for place in (first, flags, second) if place}
        held = [builder.load(at[place]) if place else value for place in (first, second, flags)]
        found = context.compile_internal(builder, compute, signature, held)
        builder.store(found, at[flags if row.effect == "sets" else first])
        if row.swaps:
            builder.store(held[0], at[second])
        if row.effect == "invalidates":
            builder.store(zero, at[flags])


def _emitted(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
    """Emit one jump by the row's number, and beyond it the loop of every row."""
    op, dst, src, state = arguments
    array = context.make_array(signature.args[3])(context, builder, state)
    done, illegal, end = (builder.append_basic_block(name) for name in ("done", "illegal", "end"))
    valid = builder.load(_word(builder, array, dst.type(FLAGS))[0])
    switch = builder.switch(op, done)
    for number, row in enumerate(ROWS):
        block = builder.append_basic_block(row.mnemonic)
        switch.add_case(op.type(number), block)
        builder.position_at_end(block)
        if row.effect == "reads":
            block = builder.append_basic_block(row.mnemonic)
            builder.cbranch(builder.icmp_unsigned("==", valid, valid.type(0)), illegal, block)
            builder.position_at_end(block)
        _lanes(context, builder, row, dst, src, array)
        builder.branch(done)
    for block in (done, illegal):
        builder.position_at_end(block)
        builder.branch(end)
    builder.position_at_end(end)
    result = builder.phi(cgutils.bool_t)
    result.add_incoming(cgutils.true_bit, done)
    result.add_incoming(cgutils.false_bit, illegal)
    return result


def _typed(_context: Any, op: Any, dst: Any, src: Any, state: Any) -> Any:
    if state != types.Array(types.uint32, 2, "C"):
        raise TypingError(
            f"a state is a C-contiguous array of uint32, words by vectors; got {state}"
        )
    return types.boolean(op, dst, src, state), _emitted


_switched: Any = intrinsic(_typed)


@overload(execute_plain)
def _compiled_execute(op: Any, dst: Any, src: Any, state: Any) -> Any:
    del op, dst, src, state

    def implementation(op: Any, dst: Any, src: Any, state: Any) -> Any:
        return _switched(np.int64(op), np.int64(dst), np.int64(src), state)

    return implementation


@compiled
def execute(op: int, dst: int, src: int, state: State) -> bool:
    """Execute one instruction on all vectors, in place.

    Args:
        op: number of its row in `table.ROWS`; it and the words' numbers are not checked.
        dst: number of the word it writes.
        src: number of the word it reads, or the value of an immediate operand.
        state: words by vectors, at least one, C-contiguous.

    Returns:
        False, with `state` as it was, if it reads flags that are not valid.
    """
    return execute_plain(op, dst, src, state)


@compiled
def run(program: Int64[np.ndarray, "step 3"], state: State) -> bool:
    """Run a program on all vectors, in place; False as soon as an instruction is not legal."""
    for step in range(len(program)):
        if not execute(program[step, 0], program[step, 1], program[step, 2], state):
            return False
    return True
