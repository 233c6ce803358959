"""The loop against a plain one in Python, and what each learner makes of a job done by hand."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest

from batonq.base.errors import ModelError
from batonq.base.seeds import generator
from batonq.icq.behaviour import choose, epsilon_greedy
from batonq.icq.clocks import constant, rescaled_linear
from batonq.tasks.cpu.learning.jobs import Crew, Job, Jobs, alone, crew
from batonq.tasks.cpu.learning.learn import GAMMA, Apprentices, Settings
from batonq.tasks.cpu.learning.memory import memory
from batonq.tasks.cpu.learning.play import known
from batonq.tasks.cpu.learning.search import cheapest
from batonq.tasks.cpu.machine.interpreter import execute
from batonq.tasks.cpu.machine.program import parse
from batonq.tasks.cpu.machine.words import EAX, ECX, FLAGS
from batonq.tasks.cpu.parsing import parse as expression
from batonq.tasks.cpu.task import Input, Output, Task

MENU = parse(
    "mov ecx, eax\nmov eax, ecx\ndec eax\nneg eax\nand eax, ecx\ncmp eax, ecx\ncmovl eax, ecx"
)
VECTORS = np.array([[6, 1, 2**32 - 3, 12, 40], [1, 2, 3, 4, 2**31]], np.uint32)


def task(wanted: str, name: str = "it", word: int = EAX) -> Task:
    inputs = (Input("x", EAX), Input("y", ECX))
    return Task(name, name, inputs, (Output(word, expression(wanted, ["x", "y"])),), 8, MENU)


def jobs(*wanted: str, menu=MENU, length: int = 6) -> Jobs:
    posed = tuple(Job(task(one, f"t{k}"), 0, length) for k, one in enumerate(wanted))
    return Jobs((crew("all", menu),), posed, VECTORS)


class Plain:
    """The same learning, with dictionaries and one step at a time."""

    def __init__(self, given: Jobs, view: int, settings: Settings, seed: int) -> None:
        self.given, self.view, self.settings = given, view, settings
        self.rng = generator(seed)
        self.values: dict = {}
        self.counts: dict = defaultdict(int)
        self.seen: list = []
        self.eagerness = [1.0] * len(given.jobs)
        self.handoffs = self.crossed = 0

    def row(self, job: int, agent: int, words: np.ndarray):
        wanted = self.given.wanted[job][:, : self.view].tobytes()
        outputs = self.given.outputs[job].tobytes()
        key = (self.given.crew[job], outputs, wanted, agent, words[:, : self.view].tobytes())
        if key not in self.values:
            draws = [1.0 - 1e-3 * self.rng.random() for _ in range(self.given.n_actions)]
            self.values[key] = np.array(self.settings.hope * np.array(draws), np.float32)
            self.seen.append((job, agent, words.copy(), key))
        return key

    def draw(self) -> int:
        while True:
            job = int(self.rng.random() * len(self.eagerness))
            if self.eagerness[job] >= 1.0 or self.rng.random() < self.eagerness[job]:
                return job

    def permitted(self, agent: int, words: np.ndarray) -> np.ndarray:
        one = self.given.crews[0]
        mask = np.zeros((1, self.given.n_actions), np.bool_)
        for k, item in enumerate([*one.menus[agent], None]):
            if item is None or item.row.effect != "reads" or words[FLAGS, 0]:
                mask[0, k * len(one.agents) : (k + 1) * len(one.agents)] = True
        return mask

    def move(self, key, action: int, target: float) -> None:
        self.counts[key, action] += 1
        clock, n = self.settings.clock, self.counts[key, action]
        size = clock.scale / (clock.offset + clock.rate * n)
        value = float(self.values[key][action])
        self.values[key][action] = value + size * (target - value)

    def workflow(self) -> None:
        job = self.draw()
        one, words, agent, elapsed, steps = (
            self.given.crews[0],
            self.given.start[job].copy(),
            0,
            0,
            [],
        )
        key, ended = self.row(job, 0, words), False
        while not ended and elapsed < self.given.jobs[job].length:
            mask = self.permitted(agent, words)
            action, _ = choose(
                self.values[key][None], 0, mask, 0, self.settings.behaviour, self.rng
            )
            k, receiver = divmod(action, len(one.agents))
            duration = 1
            if k < len(one.menus[agent]):
                item = one.menus[agent][k]
                execute(item.op, item.dst, item.src, words)
                duration = item.duration
            elapsed += duration
            steps.append([key, action, duration, None])
            wanted = self.given.wanted[job][0]
            ended = bool((words[self.given.jobs[job].task.outputs[0].word] == wanted).all())
            before, quote = key, 0.0
            if not ended:
                key = self.row(job, receiver, words)
                if receiver == agent or self.settings.learner != "no_scalar":
                    quote = float(self.values[key][self.permitted(receiver, words)[0]].max())
                    self.crossed += receiver != agent
                agent = receiver
                steps[-1][3] = (key, self.permitted(agent, words)[0])
            if self.settings.learner not in ("monte_carlo", "icq_late"):
                reward = GAMMA**duration if ended else 0.0
                self.move(before, action, reward + GAMMA**duration * quote)
        if self.settings.learner == "monte_carlo":
            value = float(ended)
            for one_key, action, duration, _ in reversed(steps):
                value *= GAMMA**duration
                self.move(one_key, action, value)
        if self.settings.learner == "icq_late":
            for one_key, action, duration, received in reversed(steps):
                value = 1.0
                if received is not None:
                    value = float(self.values[received[0]][received[1]].max())
                self.move(one_key, action, GAMMA**duration * value)
        aim = self.settings.rarest if ended else 1.0
        self.eagerness[job] += self.settings.ease * (aim - self.eagerness[job])
        self.handoffs += len(steps)


@pytest.mark.parametrize("learner", ["icq", "icq_late", "no_scalar", "monte_carlo"])
@pytest.mark.parametrize("view", [5, 1])
def test_the_loop_equals_a_plain_one(learner: str, view: int) -> None:
    given = jobs("x & (x - 1)", "-x", "smax(x, y)", "x & y")
    settings = Settings(learner, rescaled_linear(0.9), epsilon_greedy(0.2))
    plain = Plain(given, view, settings, seed=3)
    while plain.handoffs < 3000:
        plain.workflow()
    ours = Apprentices(given, view, settings, seed=3)
    ours.learn(3000)
    assert (ours.handoffs, ours.crossed) == (plain.handoffs, plain.crossed)
    assert ours.rows == len(plain.values)
    for job, agent, words, key in plain.seen:
        _, slot = known(ours.memory, ours.bench, job, agent, words)
        row = ours.memory.row[slot]
        np.testing.assert_array_equal(ours.memory.values[row], plain.values[key])


def test_room_for_more_changes_nothing() -> None:
    given = jobs("x & (x - 1)", "smax(x, y)")
    wide, narrow = Apprentices(given, seed=1), Apprentices(given, seed=1)
    narrow._memory = memory(given.n_actions, rows=80)
    for one in (wide, narrow):
        one.learn(20_000)
    assert narrow.rows == wide.rows > 80
    assert narrow.handoffs == wide.handoffs
    assert [narrow.write(job) for job in (0, 1)] == [wide.write(job) for job in (0, 1)]


def test_full_view_reaches_the_optimum_over_machine_and_agents() -> None:
    given = jobs("x & (x - 1)", "-(x - 1)", "smax(x, y)", "x & y", "-x")
    ours = Apprentices(given, seed=0)
    ours.learn(150_000)
    for number, job in enumerate(given.jobs):
        written = ours.write(number)
        best = cheapest(given.crews[0], job.task, VECTORS, most=6)
        assert written.right
        assert written.duration == best.duration
        assert ours.first[number] > 0


def test_one_vector_cannot_tell_two_jobs_apart() -> None:
    # On the first vector, (6, 1), x & y and x & ~6 & y are both 0, on others they differ.
    given = jobs("x & y", "0", menu=parse("mov ecx, eax\nand eax, ecx\ndec eax"))
    narrow = Apprentices(given, view=1)
    assert narrow.bench.asked[0] == narrow.bench.asked[1]
    wide = Apprentices(given)
    assert wide.bench.asked[0] != wide.bench.asked[1]


def test_without_the_scalar_nobody_learns_what_others_finish() -> None:
    """-x & y takes ARITH then LOGIC: with quotes 0, ARITH's value of handing on stays 0."""
    given = jobs("-x & y", menu=parse("neg eax\nand eax, ecx"), length=4)
    values = {}
    for learner in ("icq", "no_scalar"):
        ours = Apprentices(given, settings=Settings(learner, hope=0.0), seed=0)
        ours.learn(2000)
        _, slot = known(ours.memory, ours.bench, 0, 0, given.start[0])
        row = ours.memory.row[slot]
        values[learner] = ours.memory.values[row][1]  # write neg, hand to LOGIC
    assert values["icq"] == pytest.approx(GAMMA**2)
    assert values["no_scalar"] == 0


def test_an_agent_alone_hands_nothing_on() -> None:
    given = Jobs((alone("one", MENU),), (Job(task("x & (x - 1)"), 0, 6),), VECTORS)
    ours = Apprentices(given, seed=0)
    ours.learn(20_000)
    assert ours.crossed == 0
    assert ours.write(0).right
    assert set(ours.write(0).writers) == {"ALL"}


def test_actions_are_masked_while_flags_are_not_valid() -> None:
    given = jobs("smax(x, y)")
    one = given.crews[0]
    conditional = one.agents.index("COND")
    rows = given.mask.reshape(1, len(one.agents), 2, -1)[0, conditional]
    reads = [k for k, item in enumerate(one.menus[conditional]) if item.row.effect == "reads"]
    for k in range(len(one.menus[conditional]) + 1):
        actions = rows[:, k * len(one.agents) : (k + 1) * len(one.agents)]
        assert actions[1].all()
        assert actions[0].all() == (k not in reads)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (lambda: Crew("c", (), ()), "at least one"),
        (lambda: Crew("c", ("MOV",), ()), "as many menus"),
        (lambda: Jobs((crew("c", MENU),), (), VECTORS), "at least one"),
        (lambda: Apprentices(jobs("-x"), view=6), "from 1"),
        (lambda: Apprentices(jobs("-x"), view=0), "from 1"),
        (lambda: Settings("sarsa"), "choose one of"),
    ],
)
def test_what_cannot_be_right_is_named(make, told: str) -> None:
    with pytest.raises(ModelError, match=told):
        make()


def test_step_sizes_are_taken_from_the_clock() -> None:
    given = jobs("-x", menu=parse("neg eax"), length=1)
    settings = Settings(clock=constant(0.25), hope=0.0, behaviour=epsilon_greedy(1.0), ease=0.0)
    ours = Apprentices(given, settings=settings, seed=0)
    ours.learn(1)
    written = ours.memory.values[0][ours.memory.counts[0] > 0]
    assert float(written[0]) in (0.0, pytest.approx(0.25 * GAMMA))
