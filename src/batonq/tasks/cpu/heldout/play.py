"""The loop of neural IC-Q over features: as `learning.play`, with networks in place of a memory.

The holder works out the state that each of its own instructions would leave on the visible
vectors, and passing; nothing else is executed. The value of writing item k and handing on to
agent j is the output of its network for receiver j at the features of that state, clamped to
[0, 1], the range of what can come of a workflow. Networks are shared over items, never between
agents.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, UInt32

from batonq.base.compiled import compiled, summing
from batonq.icq import update
from batonq.icq.behaviour import Behaviour, choose
from batonq.icq.neural_kernels import output, shift
from batonq.tasks.cpu.heldout.features import look
from batonq.tasks.cpu.learning.jobs import PASS_DURATION
from batonq.tasks.cpu.learning.play import LONGEST, Bench, drawn, mask_row, perform, right

_target = compiled(update.target)
_step = compiled(update.step)
_quote = compiled(update.quote)
_discount = compiled(update.discount)


class Nets(NamedTuple):
    """Networks of all agents of one crew; row ``agent * n_agents + receiver`` is its agent's own.

    Attributes:
        weights: learnt in place.
        start: weights at the start, centres of the balls.
        signs: b of each neuron.
        ball: radius of each neuron's ball.
        linear: whether values are linear in the features: the first column of weights alone.
        far: whether features of two steps are looked at.
        hope: the value of everything at the start.
    """

    weights: Float[np.ndarray, "net feature neuron"]
    start: Float[np.ndarray, "net feature neuron"]
    signs: Float[np.ndarray, "net neuron"]
    ball: float
    linear: bool
    far: bool
    hope: float


class Learning(NamedTuple):
    """How agents learn and act.

    Attributes:
        behaviour: how actions are drawn.
        size: of every step; 0 learns nothing.
        ease, rarest: as in `learning.play.Rule`.
    """

    behaviour: Behaviour
    size: float
    ease: float
    rarest: float


class Room(NamedTuple):
    """Room for what one agent works out.

    Attributes:
        states: what each item would leave.
        inputs: features of the state after each item; the last one is that of the action taken.
        values: Q of all actions, one row.
        reach, length: a number for each neuron.
    """

    states: UInt32[np.ndarray, "item word vector"]
    inputs: Float[np.ndarray, "item feature"]
    values: Float[np.ndarray, "1 action"]
    reach: Float[np.ndarray, " neuron"]
    length: Float[np.ndarray, " neuron"]


@summing
def raw(nets: Nets, net: int, room: Room, row: int) -> float:
    """A network's output, not clamped."""
    if not nets.linear:
        return nets.hope + output(nets.weights, nets.signs, net, room.inputs, row, room.reach)
    total = nets.hope
    for k in range(nets.weights.shape[1]):
        total += nets.weights[net, k, 0] * room.inputs[row, k]
    return total


@summing
def learn(nets: Nets, net: int, room: Room, row: int, target: float, size: float) -> None:
    """One semi-gradient step toward `target`."""
    before = raw(nets, net, room, row)
    move = _step(before, target, size) - before
    if not nets.linear:
        shift(
            nets.weights,
            nets.start,
            nets.signs,
            net,
            room.inputs,
            row,
            room.reach,
            move,
            nets.ball,
            room.length,
        )
        return
    for k in range(nets.weights.shape[1]):
        nets.weights[net, k, 0] += move * room.inputs[row, k]


@compiled
def consider(
    bench: Bench,
    nets: Nets,
    job: int,
    agent: int,
    words: UInt32[np.ndarray, "word vector"],
    room: Room,
) -> int:
    """Values of all that `agent` may do, written to `room`; returns the row of its mask."""
    crew = bench.crew[job]
    permitted = mask_row(bench, crew, agent, words)
    n_agents = bench.n_agents[crew]
    for item in range(bench.n_menu[crew, agent] + 1):
        if not bench.mask[permitted, item * n_agents]:
            continue
        state = room.states[item]
        state[:] = words
        perform(bench, crew, agent, item * n_agents, state)
        look(state, bench.wanted, job, bench.seen, nets.far, room.inputs, item)
        for receiver in range(n_agents):
            value = raw(nets, agent * n_agents + receiver, room, item)
            room.values[0, item * n_agents + receiver] = min(max(value, 0.0), 1.0)
    return permitted


@compiled
def play(
    bench: Bench,
    nets: Nets,
    learning: Learning,
    eagerness: Float[np.ndarray, " job"],
    room: Room,
    first: Int[np.ndarray, " job"],
    posed: int,
    handoffs: int,
    done: int,
    agents: Int[np.ndarray, " step"],
    items: Int[np.ndarray, " step"],
    rng: np.random.Generator,
) -> tuple[int, int, bool]:
    """Pose jobs until `handoffs` options have run; the last workflow is finished.

    A receiver works its values out once: it quotes the best of them, and then acts on them. What
    it wrote leaves the state that it has worked out, here on all vectors, of which it saw some.

    Args:
        bench: the jobs, of one crew.
        nets: updated in place.
        learning: how agents learn and act.
        eagerness: how often each job is posed, updated in place.
        room: to work things out in.
        first: handoff at which each job was first done, or -1; updated in place.
        posed: the job to pose; -1 draws one each time.
        handoffs: options to run.
        done: options run before this call.
        agents: filled with who held control in the last workflow, at least `LONGEST` long.
        items: filled with the number in the holder's menu; the menu's size is passing.
        rng: the seed's generator.

    Returns:
        (options run, quotes that crossed from one agent to another, whether the last workflow
        ended with every output right on all vectors).
    """
    words = np.empty(bench.start.shape[1:], np.uint32)
    taken, count, crossed, ended = len(room.inputs) - 1, 0, 0, False
    while count < handoffs:
        job = posed if posed >= 0 else drawn(eagerness, rng)
        words[:] = bench.start[job]
        crew, ended, open_ = bench.crew[job], False, True
        holder, net, elapsed, n, duration = 0, 0, 0, 0, 0
        while open_:
            permitted = 0 if ended else consider(bench, nets, job, holder, words, room)
            if n > 0:
                discount, quote = _discount(bench.gamma, float(duration)), 0.0
                if not ended:
                    quote = _quote(room.values, 0, bench.mask, permitted)
                    crossed += holder != agents[n - 1]
                if learning.size > 0.0:
                    worth = _target(discount if ended else 0.0, discount, quote)
                    learn(nets, net, room, taken, worth, learning.size)
            open_ = not ended and elapsed < bench.length[job] and n < LONGEST
            if open_:
                action, _ = choose(room.values, 0, bench.mask, permitted, learning.behaviour, rng)
                n_agents = bench.n_agents[crew]
                item, receiver = action // n_agents, action % n_agents
                passes = item == bench.n_menu[crew, holder]
                duration = PASS_DURATION if passes else bench.menu[crew, holder, item, 3]
                words[:] = room.states[item]
                room.inputs[taken] = room.inputs[item]
                net = holder * n_agents + receiver
                agents[n], items[n] = holder, item
                n, elapsed, holder = n + 1, elapsed + duration, receiver
                ended = right(words, bench.outputs, bench.wanted, job)
        count += n
        if ended and first[job] < 0:
            first[job] = done + count
        aim = learning.rarest if ended else 1.0
        eagerness[job] = _step(eagerness[job], aim, learning.ease)
    return count, crossed, ended
