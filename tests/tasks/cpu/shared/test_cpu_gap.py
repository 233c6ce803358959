"""Small workshops as finite models, and what the report makes of their gap."""

from __future__ import annotations

import copy
import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from batonq.base.errors import ModelError
from batonq.bound.gap import gap
from batonq.smdp.chain import stationary
from batonq.smdp.exact import evaluate, optimal
from batonq.smdp.policies import uniform
from batonq.tasks.cpu.learning.jobs import Job, Jobs, alone, crew
from batonq.tasks.cpu.learning.learn import GAMMA, Apprentices, Settings, bench
from batonq.tasks.cpu.learning.memory import key_of, mixed
from batonq.tasks.cpu.learning.search import cheapest
from batonq.tasks.cpu.machine.interpreter import execute_plain
from batonq.tasks.cpu.machine.program import parse
from batonq.tasks.cpu.options import CpuOptions
from batonq.tasks.cpu.shared import gap as gaps
from batonq.tasks.cpu.shared import model as small
from batonq.tasks.cpu.shared.learning import VIEWS
from batonq.tasks.cpu.shared.model import DONE, Enumerated, enumerated
from batonq.tasks.cpu.shared.workshop import workshop

MENUS = {
    "order": (
        "mov edx, eax\nmov eax, ecx\ncmp eax, ecx\ncmovl eax, ecx\ncmovg eax, ecx\nsub eax, ecx",
        ("order-max-a", "order-min-a", "order-above-a", "order-max-c"),
    ),
    "store": (
        "mov eax, [rdi]\nmov ecx, [rdi+4]\nadd eax, ecx\nsub eax, ecx\nmov [rdi], eax",
        ("store-load_add-b", "store-load_sub-b", "store-load_sub-d", "store-add_kept-a"),
    ),
}


def jobs_of(name: str) -> Jobs:
    """Some jobs of the workshop, with a shorter menu."""
    text, names = MENUS[name]
    found = {job.task.name: job for job in workshop().jobs}
    jobs = tuple(Job(found[one].task, 0, found[one].length) for one in names if one in found)
    return Jobs((crew(name, parse(text)),), jobs, workshop().vectors)


def solvable(jobs: Jobs) -> Jobs:
    """The jobs that the menu can do with three instructions at most."""
    kept = []
    for job in jobs.jobs:
        found = cheapest(jobs.crews[0], job.task, jobs.vectors[: len(job.task.inputs)], job.length)
        if found.program is not None and len(found.program) <= 3:
            kept.append(job)
    return replace(jobs, jobs=tuple(kept))


@pytest.fixture(scope="module", params=sorted(MENUS))
def shop(request: pytest.FixtureRequest) -> Enumerated:
    """A small workshop, enumerated."""
    jobs = solvable(jobs_of(request.param))
    assert len(jobs.jobs) >= 2
    return enumerated(jobs, 3)


def test_every_transition_is_what_the_interpreter_does(shop: Enumerated):
    jobs, model = shop.jobs, shop.model
    one = jobs.crews[0]
    machines = {
        (int(a), w.tobytes()): k
        for k, (a, w) in enumerate(zip(shop.asked, shop.words, strict=True))
    }
    assert len(machines) == len(shop.words)
    left = done = 0
    for k, words in enumerate(shop.words):
        job = int(shop.asked[k])
        task = jobs.jobs[job].task
        wanted = task.wanted(jobs.vectors[: len(task.inputs)])
        for agent, menu in enumerate(one.menus):
            state = k * len(one.agents) + agent
            assert model.holder[state] == agent
            permitted = np.zeros(jobs.n_actions, bool)
            for item in range(len(menu) + 1):
                after, lasts, legal = words.copy(), 1, True
                if item < len(menu):
                    step = menu[item]
                    lasts = step.duration
                    legal = execute_plain(step.op, step.dst, step.src, after)
                right = all(
                    (after[output.word] == column).all()
                    for output, column in zip(task.outputs, wanted, strict=True)
                )
                onward = machines.get((job, after.tobytes()), -1)
                for receiver in range(len(one.agents)):
                    action = item * len(one.agents) + receiver
                    permitted[action] = legal
                    row = state * model.n_actions + action
                    entries = slice(*model.indptr[row : row + 2])
                    successors = model.successor[entries].tolist()
                    reward = GAMMA**lasts if legal and right else 0.0
                    assert model.reward[state, action] == pytest.approx(reward, abs=1e-15)
                    if not legal or right or onward < 0:
                        assert successors == []
                        left += legal and not right
                        done += right
                    else:
                        assert successors == [onward * len(one.agents) + receiver]
                        assert model.probability[entries].tolist() == [1.0]
                        assert model.discounted[entries] == pytest.approx(GAMMA**lasts)
            assert (model.mask[state] == permitted).all()
    assert left > 0
    assert done > 0


def test_states_are_those_within_the_limit(shop: Enumerated):
    """All that three instructions reach, but for what never ends."""
    jobs = shop.jobs
    items = [one for menu in jobs.crews[0].menus for one in menu]

    def onward(node: tuple[int, bytes]) -> set[tuple[int, bytes]]:
        job, key = node
        found = set()
        for step in items:
            after = np.frombuffer(key, np.uint32).reshape(shop.words.shape[1:]).copy()
            execute_plain(step.op, step.dst, step.src, after)
            asked = zip(jobs.outputs[job], jobs.wanted[job], strict=True)
            if not all((after[word] == row).all() for word, row in asked if word >= 0):
                found.add((job, after.tobytes()))
        return found

    fringe = {(int(shop.asked[k]), shop.words[k].tobytes()) for k in shop.start}
    reached = set(fringe)
    for _ in range(3):
        fringe = set().union(*(onward(node) for node in fringe)) - reached
        reached |= fringe
    kept = {(int(a), w.tobytes()) for a, w in zip(shop.asked, shop.words, strict=True)}
    assert kept <= reached
    assert len(kept) > len(reached) / 2
    missing = reached - kept
    for node in missing:
        assert onward(node) <= missing


def test_the_optimum_is_that_of_search_on_the_machine(shop: Enumerated):
    value = optimal(shop.model).value
    for job, state in zip(shop.jobs.jobs, shop.starts, strict=True):
        inputs = shop.jobs.vectors[: len(job.task.inputs)]
        found = cheapest(shop.jobs.crews[0], job.task, inputs, job.length)
        assert found.duration is not None
        assert value[state] == pytest.approx(GAMMA**found.duration, abs=1e-9)


def test_views_are_nested_and_those_of_the_loop(shop: Enumerated):
    n_agents = shop.model.n_agents
    maps = {view: shop.seen(view).cell for view in VIEWS}
    for wide, narrow in pairwise(VIEWS):
        together = np.unique(np.stack([maps[wide], maps[narrow]]), axis=1).shape[1]
        assert together == maps[wide].max() + 1  # each wider cell lies in one narrower cell
    assert maps[VIEWS[-1]].max() < maps[VIEWS[0]].max()
    for view in VIEWS:
        posed = bench(shop.jobs, view, GAMMA)
        keys = [
            key_of(np.uint64(mixed(posed.asked[job] ^ np.uint64(agent + 1))), words, view)
            for job, words in zip(shop.asked, shop.words, strict=True)
            for agent in range(n_agents)
        ]
        number = np.unique(np.array(keys, np.uint64), return_inverse=True)[1]
        pairs = np.unique(np.stack([number, maps[view]]), axis=1).shape[1]
        assert pairs == number.max() + 1 == maps[view].max() + 1  # one key a cell


def test_the_full_view_hides_nothing(shop: Enumerated):
    full = shop.seen(16)
    assert full.n_cells == full.n_states
    found = gap(full, uniform(full))
    assert found.exact
    assert max(found.sup, found.rms, found.residual_sup) <= 1e-12
    assert np.abs(found.loss).max() <= 1e-9
    narrow = shop.seen(1)
    assert gap(narrow, uniform(narrow)).rms > 0.01


def test_what_the_loop_writes_is_worth_what_the_model_says(shop: Enumerated):
    """A greedy policy learnt in the loop, followed in the model, has the value of its programs."""
    agents = Apprentices(shop.jobs, 16, Settings(), seed=1)
    agents.learn(40_000)
    one, n_agents = shop.jobs.crews[0], shop.model.n_agents
    policy = shop.model.mask.argmax(axis=1)
    for number, start in enumerate(shop.start):
        wrote = agents.write(number)
        assert wrote.right
        machine, fixed, names = int(start), policy.copy(), list(one.agents)
        offsets = np.cumsum([0, *(len(menu) for menu in one.menus)])
        receivers = [*wrote.agents[1:], wrote.agents[-1]]
        for name, item, to in zip(wrote.agents, wrote.items, receivers, strict=True):
            agent = names.index(name)
            fixed[machine * n_agents + agent] = item * n_agents + names.index(to)
            if item < len(one.menus[agent]):
                machine = int(shop.onward[machine, offsets[agent] + item])
        assert machine == DONE
        worth = evaluate(shop.model, fixed).value[start * n_agents]
        assert worth == pytest.approx(GAMMA**wrote.duration, abs=1e-9)


def test_jobs_that_ask_for_the_same_share_their_states():
    jobs = jobs_of("order")
    task = jobs.jobs[0].task
    swapped = replace(
        task, inputs=(replace(task.inputs[0], word=1), replace(task.inputs[1], word=0))
    )
    both = replace(jobs, jobs=(jobs.jobs[0], Job(swapped, 0, 8)))
    shop = enumerated(both, 3)
    assert len(set(shop.asked.tolist())) == 1
    assert len(set(shop.start.tolist())) == 2
    assert shop.seen(16).n_cells == shop.model.n_states


def test_a_machine_state_that_never_ends_counts_as_left():
    """With and / mov alone the words soon stop changing; such states are no part of the chain."""
    found = {job.task.name: job for job in workshop().jobs}
    job = Job(found["mean-and_not-a"].task, 0, 8)
    jobs = Jobs(
        (crew("stuck", parse("mov ecx, eax\nand eax, ecx\nnot eax")),), (job,), workshop().vectors
    )
    shop = enumerated(jobs, 2)
    assert stationary(shop.model, uniform(shop.model)).min() > 0
    stuck = replace(jobs, crews=(crew("stuck", parse("mov ecx, eax\nand eax, ecx")),))
    with pytest.raises(ModelError, match="never ends"):
        enumerated(stuck, 3)


def test_bad_input_is_refused_by_name(shop: Enumerated, monkeypatch: pytest.MonkeyPatch):
    for view in (0, 17):
        with pytest.raises(ModelError, match=f"view: {view} of 16"):
            shop.seen(view)
    with pytest.raises(ModelError, match="depth 0"):
        enumerated(shop.jobs, 0)
    two = replace(shop.jobs, crews=(shop.jobs.crews[0], alone("all", parse("inc eax"))))
    with pytest.raises(ModelError, match="2 crews"):
        enumerated(two, 3)
    task = shop.jobs.jobs[0].task
    output = task.outputs[0]
    done = replace(shop.jobs, vectors=np.zeros_like(shop.jobs.vectors))
    assert output.word >= 0
    with pytest.raises(ModelError, match="done before it starts"):
        enumerated(done, 3)
    monkeypatch.setattr(small, "MOST", 10)
    with pytest.raises(ModelError, match="more than 10"):
        enumerated(shop.jobs, 3)


def test_small_workshops_are_drawn_alike_and_within_limits():
    for number in (0, 4):
        jobs = gaps.drawn(3, number)
        again = gaps.drawn(3, number)
        assert [job.task.name for job in jobs.jobs] == [job.task.name for job in again.jobs]
        assert jobs.crews == again.crews
        assert 2 <= len(jobs.jobs) <= gaps.JOBS
        assert sum(len(menu) for menu in jobs.crews[0].menus) <= gaps.MENU
        assert len(solvable(jobs).jobs) == len(jobs.jobs)


@pytest.fixture(scope="module")
def outputs():
    """Two small workshops with few handoffs, read back from JSON; one of another kind."""
    kept = {
        name: getattr(gaps, name) for name in ("HANDOFFS", "RECORDS", "LOOP", "CERTIFIED", "VIEWS")
    }
    patch = pytest.MonkeyPatch()
    for name, value in kept.items():
        patch.setattr(gaps, name, value // 40 if isinstance(value, int) else value)
    patch.setattr(gaps, "JOBS", 3)
    patch.setattr(gaps, "MENU", 5)
    cells = gaps.plan(CpuOptions(quick=True, seeds=2))
    found = [gaps.compute(cell.config) for cell in cells]
    patch.undo()
    return json.loads(json.dumps([{"kind": "learn"}, *found]))


def test_the_report_says_what_was_found(outputs):
    rows = gaps.rows(outputs)
    lines = {line.what: line for line in gaps.lines(outputs)}
    (section,) = gaps.sections(outputs)
    assert {row.setting["vectors"] for row in rows} == set(VIEWS)
    exact = [row.value for row in rows if row.metric == "term" and row.setting["of"] == "gap rms"]
    assert exact[0] == 0
    assert np.diff(exact).min() >= 0
    assert exact[-1] > 0.01
    assert next(line for what, line in lines.items() if "monotone over the nested" in what).reached
    assert all(len(table.lines) > 0 for table in section.tables)
    for drawing in section.drawings:
        assert drawing.draw().axes
    assert gaps.sections(outputs[:1]) == gaps.lines(outputs[:1]) == gaps.rows(outputs[:1]) == ()


def test_a_gap_that_is_not_monotone_or_not_had_misses_its_line(outputs):
    broken = copy.deepcopy(outputs)
    views = broken[1]["views"]
    views["4"]["predicted"]["rms"] = views["1"]["predicted"]["rms"] + 0.1
    views["16"]["predicted"]["sup"] = 1e-6
    missed = {line.what for line in gaps.lines(broken) if not line.reached}
    assert any("exact gap is monotone" in what for what in missed)
    assert any("|realised - exact|" in what for what in missed)
    assert any("full view" in what for what in missed)
