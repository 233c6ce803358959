import numpy as np

from batonq.base.seeds import generator
from batonq.icq import clocks
from batonq.icq.train import train
from batonq.smdp.design import Dials, design
from batonq.tasks.synthetic.learn import trajectory

MODEL = design(Dials(n_agents=3, kappa=0.3, persistence=0.9)).model
CLOCK = clocks.constant(0.05)
START = np.zeros(MODEL.cell_mask.shape)


def test_it_is_what_training_does():
    run = train(MODEL, handoffs=5_000, clock=CLOCK, seed=4, points=3)
    found = trajectory(MODEL, CLOCK, np.array([5_000]), generator(4, 0), START)
    for agent, name in enumerate(MODEL.agents):
        assert np.array_equal(found[0, MODEL.cell_agent == agent], run.tables[0][name].q)


def test_stops_on_the_way_change_nothing():
    stops = np.array([10, 700, 701, 5_000])
    found = trajectory(MODEL, CLOCK, stops, generator(4, 0), START)
    for number, stop in enumerate(stops):
        whole = trajectory(MODEL, CLOCK, np.array([stop]), generator(4, 0), START)
        assert np.array_equal(found[number], whole[0])


def test_it_starts_where_it_is_told_and_leaves_that_alone():
    start = np.full(START.shape, 7.0)
    found = trajectory(MODEL, CLOCK, np.array([1]), generator(0), start)
    assert (found[0] != start).sum() == 1
    assert (start == 7).all()
