"""Learning: a toy that must succeed, what is seen, and the loop against plain code."""

from __future__ import annotations

import numpy as np
import pytest

from batonq.base.errors import ModelError
from batonq.base.seeds import generator
from batonq.icq import update
from batonq.icq.behaviour import choose, epsilon_greedy, uniform
from batonq.tasks.cpu.heldout.features import look, n_features
from batonq.tasks.cpu.heldout.learn import Learners, Settings, narrowed
from batonq.tasks.cpu.learning.jobs import Job, Jobs, crew
from batonq.tasks.cpu.learning.learn import GAMMA
from batonq.tasks.cpu.machine.interpreter import execute
from batonq.tasks.cpu.machine.program import parse
from batonq.tasks.cpu.parsing import parse as expression
from batonq.tasks.cpu.prover import prove
from batonq.tasks.cpu.shared.workshop import VECTORS
from batonq.tasks.cpu.task import Input, Output, Task

MENU = parse("mov eax, ecx\nadd eax, ecx\nsub eax, ecx\nand eax, ecx\nxor eax, ecx\nnot eax")
CREW = crew("toy", MENU)
TRAINING = ("x + y", "x - y", "x & y", "~x", "(x + y) ^ y", "~(x - y)", "(x & y) + y", "~y")
HELD_OUT = ("~(x + y)", "x ^ y", "(x - y) & y", "(x ^ y) + y")


def jobs_of(texts):
    inputs = (Input("x", 0), Input("y", 1))
    return Jobs(
        (CREW,),
        tuple(
            Job(Task(f"t{n}", text, inputs, (Output(0, expression(text, "xy")),), 8, MENU), 0, 8)
            for n, text in enumerate(texts)
        ),
        VECTORS,
    )


def test_a_toy_is_learnt_and_carries_over_to_functions_never_trained_on():
    trained = Learners(jobs_of(TRAINING), 16, Settings(width=16, hope=0.0), seed=1)
    trained.train(30_000)
    assert (trained.first >= 0).all()
    held = trained.again(jobs_of(HELD_OUT), seed=2)
    written = [held.write(n) for n in range(len(HELD_OUT))]
    solved = [
        right and prove(program, job.task).proved
        for (program, right), job in zip(written, held.jobs.jobs, strict=True)
    ]
    assert sum(solved) >= 3
    # Without learning the greedy program of networks that are 0 is the first item over and over.
    fresh = Learners(jobs_of(HELD_OUT), 16, Settings(width=16, hope=0.0), seed=1)
    assert not any(fresh.write(n)[1] for n in range(len(HELD_OUT)))


def test_writing_changes_nothing():
    who = Learners(jobs_of(TRAINING), 16, seed=1)
    who.learn(500)
    before = who.handoffs, who.crossed, who.first.copy(), who._nets.weights.copy()
    first = who.write(3)
    assert who.write(3) == first
    who.write(3, uniform())
    assert (who.handoffs, who.crossed) == before[:2]
    np.testing.assert_array_equal(who.first, before[2])
    np.testing.assert_array_equal(who._nets.weights, before[3])


def test_what_is_not_visible_does_not_matter():
    one, other = jobs_of(TRAINING), jobs_of(TRAINING)
    vectors = VECTORS.copy()
    vectors[:, 4:] += 12345
    other = Jobs(other.crews, other.jobs, vectors)
    for view, same in ((4, True), (16, False)):
        values = []
        for jobs in (one, other):
            who = Learners(jobs, view, seed=3).scrambled(4)
            who.write(0)
            values.append(who._room.values.copy())
        assert np.array_equal(*values) is same


def test_networks_start_at_hope_and_copies_are_their_own():
    who = Learners(jobs_of(TRAINING), 16, seed=1)
    who.write(0)
    np.testing.assert_allclose(who._room.values[0, :3], 0.3, atol=1e-12)
    other = who.again(jobs_of(TRAINING), seed=2)
    other.learn(200)
    assert not np.array_equal(who._nets.weights, other._nets.weights)
    np.testing.assert_array_equal(who._nets.weights, who._nets.start)


@pytest.mark.parametrize("width", [0, 8])
def test_the_loop_agrees_with_plain_code(width):
    settings = Settings(width=width, size=0.2, radius=2.0, hope=0.1, behaviour=epsilon_greedy(0.3))
    who = Learners(narrowed(jobs_of(TRAINING), [4]), 5, settings, seed=5)
    # Values all different, or rounding decides among equals.
    who._nets.weights[:] += generator(1).standard_normal(who._nets.weights.shape) / 3
    weights = who._nets.weights.copy()
    rng = np.random.default_rng()
    rng.bit_generator.state = who._rng.bit_generator.state
    who.learn(120)
    count = plain(who, weights, rng, 120)
    assert count == who.handoffs
    np.testing.assert_allclose(who._nets.weights, weights, rtol=1e-9, atol=1e-12)


def value_of(who, weights, net, x):
    if who.settings.width == 0:
        return who.settings.hope + weights[net, :, 0] @ x
    reach = x @ weights[net]
    output = who._nets.signs[net] @ np.maximum(reach, 0) / np.sqrt(len(reach))
    return who.settings.hope + output


def plain_values(who, weights, agent, words):
    """(features, states) of every item, and Q of all actions."""
    jobs, menu = who.jobs, CREW.menus[agent]
    n_agents = len(CREW.agents)
    values, states, seen = np.full((1, jobs.n_actions), -np.inf), [], []
    for item in range(len(menu) + 1):
        state = words.copy()
        if item < len(menu):
            execute(menu[item].op, menu[item].dst, menu[item].src, state)
        row = np.zeros((1, weights.shape[1]))
        look(state, jobs.wanted, 0, who.view, True, row, 0)
        states.append(state)
        seen.append(row[0])
        for receiver in range(n_agents):
            value = value_of(who, weights, agent * n_agents + receiver, row[0])
            values[0, item * n_agents + receiver] = np.clip(value, 0, 1)
    return seen, states, values


def plain(who, weights, rng, handoffs):
    """Play one job as the loop does; `weights` learn in place."""
    jobs, n_agents, count = who.jobs, len(CREW.agents), 0
    while count < handoffs:
        rng.random()  # draws the only job
        words, agent, elapsed, before = jobs.start[0].copy(), 0, 0, None
        while True:
            ended = before is not None and np.array_equal(words[0], jobs.wanted[0, 0])
            seen, states, values = plain_values(who, weights, agent, words)
            if before is not None:
                net, x, duration = before
                quote = 0.0 if ended else values.max()
                reward = GAMMA**duration if ended else 0.0
                worth = update.target(reward, GAMMA**duration, quote)
                plain_step(who, weights, net, x, worth)
            if ended or elapsed >= jobs.jobs[0].length:
                break
            mask = np.isfinite(values)
            action, _ = choose(values, 0, mask, 0, who.settings.behaviour, rng)
            item, receiver = divmod(action, n_agents)
            menu = CREW.menus[agent]
            duration = menu[item].duration if item < len(menu) else 1
            before = agent * n_agents + receiver, seen[item], duration
            words, agent, elapsed, count = states[item], receiver, elapsed + duration, count + 1
    return count


def plain_step(who, weights, net, x, worth):
    error = who.settings.size * (worth - value_of(who, weights, net, x))
    if who.settings.width == 0:
        weights[net, :, 0] += error * x
        return
    signs, start = who._nets.signs[net], who._nets.start[net]
    gate = (x @ weights[net] > 0) * signs / np.sqrt(len(signs))
    moved = weights[net] + error * np.outer(x, gate) - start
    length = np.linalg.norm(moved, axis=0)
    weights[net] = start + moved * np.minimum(1, who._nets.ball / np.maximum(length, 1e-300))


def test_bad_settings_are_named():
    with pytest.raises(ModelError, match=r"width 3, steps 0\.3 to 0\.01; give"):
        Settings(width=3)
    with pytest.raises(ModelError, match="steps 2 to"):
        Settings(size=2.0)
    two = Jobs((CREW, CREW), jobs_of(TRAINING).jobs, VECTORS)
    with pytest.raises(ModelError, match="2 crews; give jobs of one crew"):
        Learners(two, 4)
    assert n_features(True) > n_features(False)
