"""Functions listed with their shortest programs, and sets that share none."""

from __future__ import annotations

import numpy as np
import pytest

from batonq.base.errors import DataError
from batonq.tasks.cpu.expression import evaluate
from batonq.tasks.cpu.heldout.functions import computed, keys_of, reachable, telling_of
from batonq.tasks.cpu.heldout.work import posed
from batonq.tasks.cpu.machine.interpreter import run
from batonq.tasks.cpu.machine.program import encode, parse
from batonq.tasks.cpu.machine.words import blank
from batonq.tasks.cpu.prover import prove
from batonq.tasks.cpu.shared.workshop import SHOPS, VECTORS

INC = parse("inc eax\nneg eax\nmov eax, ecx\nadd eax, ecx")


def outputs(program, placement, values):
    state = blank(values.shape[1])
    state[list(placement)] = values[: len(placement)]
    assert run(encode(program), state)
    return state[:1].copy()


def test_functions_of_a_small_menu_have_their_shortest_programs():
    telling = telling_of(VECTORS)
    found = reachable(INC, (0, 1), 0, telling, 2)
    lengths = {}
    for wanted, length in (
        (lambda x, y: x, 0),
        (lambda x, y: x + np.uint32(1), 1),
        (lambda x, y: x + y, 1),
        (lambda x, y: x + y + y, 2),
        (lambda x, y: ~x, 2),  # inc, neg gives -(x + 1)
    ):
        key = keys_of(wanted(*telling.values)[None], telling)[0]
        lengths[length] = found[key]
        assert len(found[key].program) == length
    # mov eax, ecx gives y, which is x with inputs swapped: no function of its own.
    assert all(one.program != INC[2:3] for one in found.values())


def test_swapped_inputs_make_no_new_function():
    telling = telling_of(VECTORS)
    x, y = telling.values
    keys = [keys_of(one[None], telling) for one in (x - y, y - x, x + y)]
    assert keys[0] == keys[1] != keys[2]


@pytest.mark.parametrize("shop", [shop.name for shop in SHOPS[:4]])
def test_expressions_say_what_programs_compute(shop):
    one = next(one for one in SHOPS if one.name == shop)
    placement = next(iter(one.placements.values()))
    telling = telling_of(VECTORS[: len(placement)])
    found = list(reachable(one.program, placement, 0, telling, 3).values())
    for function in found[1::7]:
        inputs = dict(zip("xy", telling.values, strict=False))
        expression = computed(function.program, placement, 0)
        np.testing.assert_array_equal(
            evaluate(expression, inputs), outputs(function.program, placement, telling.values)[0]
        )


def test_what_has_no_expression_is_refused():
    with pytest.raises(DataError, match="'bswap' is not read"):
        computed(parse("bswap eax"), (0,), 0)


def function_keys(one):
    """Functions of a set by their values on random vectors of this test's own.

    They are the same with inputs swapped, and for functions that differ on rare inputs only.
    """
    rng = np.random.default_rng(99)
    values = rng.integers(0, 2**32, (2, 40), dtype=np.uint32)
    both = np.concatenate([values, values[::-1]], axis=1)
    keys = set()
    for job in one.jobs.jobs:
        given = both[: len(job.task.inputs)]
        wanted = job.task.wanted(given)[0]
        keys.add(min(wanted.tobytes(), np.roll(wanted, 40).tobytes()))
    return keys


@pytest.mark.parametrize("shop", ["bits", "sign"])
def test_no_function_is_both_trained_on_and_held_out(shop):
    drawn = posed(shop, 3, (30, 10))
    training, held_out, named = map(function_keys, (drawn.training, drawn.held_out, drawn.named))
    assert training and held_out and named
    assert not training & held_out
    assert not training & named
    assert not held_out & named
    assert len(set(drawn.held_out.keys)) == len(drawn.held_out.keys)


def test_references_are_right_and_of_the_length_said():
    drawn = posed("order", 0, (20, 10))
    for one in (drawn.training, drawn.held_out):
        for job, length in zip(one.jobs.jobs[::9], one.shortest[::9], strict=True):
            assert len(job.task.reference) == length
            assert prove(job.task.reference, job.task).proved
    assert set(np.unique(drawn.training.shortest)) == {1, 2, 3, 4}
    assert drawn.held_out.shortest.max() == 5
