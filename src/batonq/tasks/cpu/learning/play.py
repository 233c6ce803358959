"""The loop: a job is posed, agents write and hand on, and exactly one scalar crosses per handoff.

The holder sees the words of the machine and the wanted outputs on the first `view` vectors, which
of its instructions it may write, and no more. It writes one of them or passes, and names the
receiver; the receiver's value of what it received is the quote. The test bench, which sees all
vectors, ends the workflow with reward 1 at the end of the option that made every output right.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, UInt32, UInt64

from batonq.base.compiled import compiled
from batonq.icq import clocks, update
from batonq.icq.behaviour import Behaviour, choose
from batonq.icq.clocks import Clock
from batonq.tasks.cpu.learning.jobs import PASS_DURATION
from batonq.tasks.cpu.learning.memory import FULL, MOST_COUNTED, Memory, key_of, mixed, slot_of
from batonq.tasks.cpu.machine.interpreter import execute
from batonq.tasks.cpu.machine.words import FLAGS

LONGEST = 64  # most options of a workflow
# One option of a workflow under way: row of values, row of permitted actions, and what was done.
STEP = np.dtype(
    [("row", np.int64), ("permitted", np.int64), ("action", np.int64), ("duration", np.int64)]
)

_target = compiled(update.target)
_step = compiled(update.step)
_quote = compiled(update.quote)
_discount = compiled(update.discount)
_size = compiled(clocks.size)


class Bench(NamedTuple):
    """Jobs as arrays (see `Jobs`), and what is seen of them."""

    start: UInt32[np.ndarray, "job word vector"]
    outputs: Int[np.ndarray, "job output"]
    wanted: UInt32[np.ndarray, "job output vector"]
    asked: UInt64[np.ndarray, " job"]  # key of the crew and of what is seen of the wanted outputs
    crew: Int[np.ndarray, " job"]
    length: Int[np.ndarray, " job"]
    n_agents: Int[np.ndarray, " crew"]
    n_menu: Int[np.ndarray, "crew agent"]
    menu: Int[np.ndarray, "crew agent item 4"]
    mask: Bool[np.ndarray, "mask_row action"]
    seen: int
    gamma: float


class Rule(NamedTuple):
    """How agents learn and act.

    Attributes:
        clock: step sizes.
        behaviour: how actions are drawn.
        hope: value of what was never tried, up to one part in a thousand that is drawn, so that
            equals are not taken in the order of their numbers.
        silent: nothing crosses: quotes between different agents are 0.
        returns: learn from what came of the whole workflow instead of quotes (Monte Carlo).
        ease: how fast jobs that end well become rarer, in [0, 1); 0 poses all equally often.
        rarest: the share of its turns that a job always done keeps, in (0, 1].
        late: receivers answer when they have been answered themselves, after the workflow.
    """

    clock: Clock
    behaviour: Behaviour
    hope: float
    silent: bool
    returns: bool
    ease: float
    rarest: float
    late: bool


@compiled
def right(
    words: UInt32[np.ndarray, "word vector"],
    outputs: Int[np.ndarray, "job output"],
    wanted: UInt32[np.ndarray, "job output vector"],
    job: int,
) -> bool:
    """Whether every output word holds what is wanted on all vectors."""
    for k in range(outputs.shape[1]):
        word = outputs[job, k]
        if word >= 0:
            for v in range(words.shape[1]):
                if words[word, v] != wanted[job, k, v]:
                    return False
    return True


@compiled
def known(
    memory: Memory,
    bench: Bench,
    job: int,
    agent: int,
    words: UInt32[np.ndarray, "word vector"],
) -> tuple[np.uint64, int]:
    """Key and slot of what `agent` sees."""
    key = key_of(mixed(bench.asked[job] ^ np.uint64(agent + 1)), words, bench.seen)
    return key, slot_of(memory.keys, key)


@compiled
def met(
    memory: Memory,
    bench: Bench,
    job: int,
    agent: int,
    words: UInt32[np.ndarray, "word vector"],
    hope: float,
    rng: np.random.Generator,
) -> int:
    """The row of what `agent` sees; a new one is made at the first meeting."""
    key, slot = known(memory, bench, job, agent, words)
    if memory.keys[slot] == 0:
        row = memory.used[0]
        memory.used[0] = row + 1
        memory.keys[slot], memory.row[slot] = key, row
        for action in range(memory.values.shape[1]):
            memory.values[row, action] = hope * (1.0 - 1e-3 * rng.random())
    return int(memory.row[slot])


@compiled
def mask_row(bench: Bench, crew: int, agent: int, words: UInt32[np.ndarray, "word vector"]) -> int:
    """The row of permitted actions: conditions cannot be used while flags are not valid."""
    return int(2 * (crew * bench.n_menu.shape[1] + agent) + (words[FLAGS, 0] != 0))


@compiled
def perform(
    bench: Bench, crew: int, agent: int, action: int, words: UInt32[np.ndarray, "word vector"]
) -> tuple[int, int, int]:
    """Do an action in place; returns (number in the menu, receiver, duration)."""
    n_agents = bench.n_agents[crew]
    item, receiver = action // n_agents, action % n_agents
    if item == bench.n_menu[crew, agent]:
        return item, receiver, PASS_DURATION
    op, dst, src = (
        bench.menu[crew, agent, item, 0],
        bench.menu[crew, agent, item, 1],
        bench.menu[crew, agent, item, 2],
    )
    execute(op, dst, src, words)
    return item, receiver, bench.menu[crew, agent, item, 3]


@compiled
def drawn(eagerness: Float[np.ndarray, " job"], rng: np.random.Generator) -> int:
    """A job, with chances in proportion to `eagerness`, which is at most 1."""
    while True:
        job = int(rng.random() * len(eagerness))
        if eagerness[job] >= 1.0 or rng.random() < eagerness[job]:
            return job


@compiled
def play(
    bench: Bench,
    rule: Rule,
    memory: Memory,
    eagerness: Float[np.ndarray, " job"],
    first: Int[np.ndarray, " job"],
    handoffs: int,
    done: int,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Pose jobs until `handoffs` options have run, or the memory is nearly full.

    Args:
        bench: the jobs.
        rule: how agents learn and act.
        memory: updated in place.
        eagerness: how often each job is posed, updated in place.
        first: handoff at which each job was first done, or -1; updated in place.
        handoffs: options to run; the last workflow is finished.
        done: options run before this call.
        rng: the seed's generator.

    Returns:
        (options run, quotes that crossed from one agent to another).
    """
    words = np.empty(bench.start.shape[1:], np.uint32)
    way = np.empty(LONGEST + 1, STEP)
    count, crossed = 0, 0
    room = min(len(memory.values), int(FULL * len(memory.keys))) - LONGEST - 1
    while count < handoffs and memory.used[0] < room:
        job = drawn(eagerness, rng)
        words[:] = bench.start[job]
        crew, agent, elapsed, n, ended = bench.crew[job], 0, 0, 0, False
        row = met(memory, bench, job, agent, words, rule.hope, rng)
        permitted = mask_row(bench, crew, agent, words)
        while not ended and elapsed < bench.length[job] and n < LONGEST:
            action, _ = choose(memory.values, row, bench.mask, permitted, rule.behaviour, rng)
            _, receiver, duration = perform(bench, crew, agent, action, words)
            way[n]["row"], way[n]["permitted"], way[n]["action"] = row, permitted, action
            way[n]["duration"] = duration
            n, elapsed, before = n + 1, elapsed + duration, row
            ended = right(words, bench.outputs, bench.wanted, job)
            reward, quote, discount = 0.0, 0.0, _discount(bench.gamma, float(duration))
            if ended:
                reward = discount
                if first[job] < 0:
                    first[job] = done + count + n
            else:
                row = met(memory, bench, job, receiver, words, rule.hope, rng)
                permitted = mask_row(bench, crew, receiver, words)
                way[n]["row"], way[n]["permitted"] = row, permitted
                if receiver == agent or not rule.silent:
                    quote = _quote(memory.values, row, bench.mask, permitted)
                    crossed += receiver != agent
                agent = receiver
            if not rule.returns and not rule.late:
                move(memory, rule.clock, before, action, _target(reward, discount, quote))
        if rule.returns or rule.late:
            look_back(memory, bench, rule, way, n, ended)
        if rule.ease > 0.0:
            aim = rule.rarest if ended else 1.0
            eagerness[job] = _step(eagerness[job], aim, rule.ease)
        count += n
    return count, crossed


@compiled
def look_back(
    memory: Memory, bench: Bench, rule: Rule, way: np.ndarray, n: int, ended: bool
) -> None:
    """Learn from the last option of a workflow to its first, once it is over.

    Args:
        memory: updated in place.
        bench: the jobs.
        rule: of Monte Carlo, or with late answers (and quotes that cross).
        way: steps, an array of `STEP`; entry `n` has what the last receiver saw.
        n: options run.
        ended: whether the outputs came out right.
    """
    value = 1.0 if ended else 0.0
    for back in range(n - 1, -1, -1):
        one, after = way[back], way[back + 1]
        discount = _discount(bench.gamma, float(one["duration"]))
        if rule.late and not (ended and back == n - 1):
            value = _quote(memory.values, after["row"], bench.mask, after["permitted"])
        value = _target(0.0, discount, value)
        move(memory, rule.clock, one["row"], one["action"], value)


@compiled
def move(memory: Memory, clock: Clock, row: int, action: int, target: float) -> None:
    """Move one value toward its target, by the step of its own clock."""
    n = min(int(memory.counts[row, action]) + 1, MOST_COUNTED)
    memory.counts[row, action] = n
    memory.values[row, action] = _step(float(memory.values[row, action]), target, _size(clock, n))


@compiled
def write(
    bench: Bench,
    memory: Memory,
    job: int,
    agents: Int[np.ndarray, " step"],
    items: Int[np.ndarray, " step"],
) -> tuple[int, int, bool]:
    """Do a job greedily: every holder takes its best action among those it has ever tried.

    Of equals it takes the last, so that passing is preferred to an instruction of no use.

    Args:
        bench: the jobs.
        memory: of the agents; not changed.
        job: which one.
        agents: filled with who held control at each step, at least `LONGEST` long.
        items: filled with the number in the holder's menu; the menu's size is passing.

    Returns:
        (steps, primitive steps, whether all outputs are right on all vectors).
    """
    words = bench.start[job].copy()
    crew, agent, elapsed, n = bench.crew[job], 0, 0, 0
    while elapsed < bench.length[job] and n < LONGEST:
        _, slot = known(memory, bench, job, agent, words)
        if memory.keys[slot] == 0:
            return n, elapsed, False
        row, permitted = memory.row[slot], mask_row(bench, crew, agent, words)
        best = -1
        for action in range(memory.values.shape[1]):
            tried = bench.mask[permitted, action] and memory.counts[row, action] > 0
            if tried and (best < 0 or memory.values[row, action] >= memory.values[row, best]):
                best = action
        if best < 0:
            return n, elapsed, False
        item, receiver, duration = perform(bench, crew, agent, best, words)
        agents[n], items[n] = agent, item
        n, elapsed, agent = n + 1, elapsed + duration, receiver
        if right(words, bench.outputs, bench.wanted, job):
            return n, elapsed, True
    return n, elapsed, False
