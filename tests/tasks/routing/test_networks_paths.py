import json

import numpy as np
import pytest

from batonq.base.errors import DataError
from batonq.tasks.routing.networks import path_report, paths
from batonq.tasks.routing.networks.graphs import find
from batonq.tasks.routing.networks.network import from_json, to_json
from batonq.tasks.routing.networks.nsfnet import nsfnet
from batonq.tasks.routing.options import RoutingOptions

GRAPHS = ("random-6", "NSFNET")


def outputs(scenario, graphs=GRAPHS, seeds=2):
    options = RoutingOptions(scenario=scenario, graphs=graphs, seeds=seeds)
    found = [paths.run_cell(cell.config) for cell in paths.cells(options)]
    config = json.loads(json.dumps({**options.to_json(), **paths.identity(options)}))
    return config, json.loads(json.dumps(found))


@pytest.fixture(scope="module")
def static():
    return outputs("static")


@pytest.fixture(scope="module")
def jitter():
    return outputs("jitter", ("random-6",), 2)


def shares(summary, learner, metric):
    return {
        row.setting["graph"]: row.value
        for row in summary.rows
        if (row.learner, row.metric) == (learner, metric)
    }


def test_every_pair_is_exact_in_a_static_network(static):
    summary = paths.summarise(*static)
    assert summary.headline == "2 of 2 lines reached."
    for learner in ("icq", "q_routing", "shortest_path"):
        assert shares(summary, learner, "pairs_exact") == {"random-6": 1.0, "NSFNET": 1.0}
    until = shares(summary, "icq", "measured")
    assert 182 < until["NSFNET"] < 20_000  # a prototype took 4.8 thousand


def test_with_noise_the_pairs_are_within_a_hundredth(jitter):
    summary = paths.summarise(*jitter)
    assert shares(summary, "icq", "pairs_1pct")["random-6"] >= 0.99
    assert shares(summary, "q_routing", "pairs_1pct")["random-6"] < 1  # its step averages nothing
    assert not any(row.metric == "measured" for row in summary.rows)


def test_the_same_cell_gives_the_same_numbers(static):
    options = RoutingOptions(scenario="static", graphs=("random-6",), seeds=2)
    config = paths.cells(options)[1].config
    one, other = paths.run_cell(config), paths.run_cell(config)
    for found in (one, other):
        for learnt in found["learnt"].values():
            learnt.pop("seconds")
    assert one == other
    assert one["learnt"]["icq"] != static[1][2]["learnt"]["icq"]  # another seed


def test_what_is_not_reached_is_said(static):
    config, found = json.loads(json.dumps(static))
    for cell in found:
        if cell["index"] == 1 and cell["number"] == 1:
            cell["learnt"]["icq"]["checks"][-1][1] = 0.99
            cell["learnt"]["icq"]["settled"] = None
    summary = paths.summarise(config, found)
    assert summary.headline.startswith("1 of 2 lines reached. Not reached: NSFNET, pairs at")
    assert shares(summary, "icq", "measured") == {
        "random-6": pytest.approx(shares(summary, "icq", "measured")["random-6"]),
        "NSFNET": None,
    }


def test_the_report_draws_curves_and_a_map_for_each_network(static):
    drawings = [one for part in paths.summarise(*static).sections for one in part.drawings]
    assert [one.name for one in drawings] == ["learning-0", "map-0", "map-1"]
    for one in drawings:
        assert one.draw().axes


def test_learnt_next_hops_lead_to_the_destination(static):
    cell = next(one for one in static[1] if one["index"] == 1 and one["number"] == 0)
    network, destination = from_json(cell["network"]), cell["destination"]
    links = cell["learnt"]["icq"]["next_link"]
    assert links[destination] == -1
    for router in range(network.n_routers):
        at = router
        for _ in range(network.n_routers):
            at = at if at == destination else int(network.head[links[at]])
        assert at == destination


def test_settled_is_the_first_check_from_which_all_are_exact():
    assert paths._settled([[1, 0.5, 1], [2, 1, 1], [3, 0.9, 1], [4, 1, 1], [5, 1, 1]]) == 4
    assert paths._settled([[1, 1, 1], [2, 1, 1]]) == 1
    assert paths._settled([[1, 1, 1], [2, 0.9, 1]]) is None


def test_shares_by_hand():
    optimal = np.array([[0.0, 1.0, 2.0], [1.0, 0.0, 3.0], [2.0, 3.0, 0.0]])
    found = optimal.copy()
    found[0, 2], found[1, 2], found[2, 0] = 2.019, 3.04, np.inf
    assert paths._shares(found, optimal) == (3 / 6, 4 / 6)


def test_curves_are_read_at_common_places():
    runs = [
        {"checks": [[10.0, 0.5, 0.6], [20.0, 1.0, 1.0]]},
        {"checks": [[5.0, 0.0, 0.0], [30.0, 1.0, 1.0]]},
    ]
    curve = path_report._curve(runs, 1)
    assert (curve.x[0], curve.x[-1]) == (10.0, pytest.approx(20.0))
    assert curve.values[:, 0] == pytest.approx([0.5, 0.2])
    assert curve.values[0, -1] == pytest.approx(1.0)
    assert curve.values[1, -1] == pytest.approx(0.6)


def test_cells_are_one_a_network_and_seed_the_largest_first():
    options = RoutingOptions(scenario="static", graphs=("random-6", "NSFNET"), seeds=3, seed=7)
    listed = paths.cells(options)
    assert [cell.key for cell in listed][:3] == [f"static-1-seed{n}" for n in range(3)]
    assert len({cell.key for cell in listed}) == 6
    assert {cell.config["seed"] for cell in listed} == {7}
    networks = paths.identity(options)["networks"]
    assert networks == [[name, find(name).digest] for name in options.graphs]


def test_a_network_named_twice_counts_once():
    options = RoutingOptions(scenario="static", graphs=("NSFNET", "NSFNET"), seeds=1)
    assert len(paths.cells(options)) == 1


def test_an_unknown_network_is_refused_before_any_work():
    with pytest.raises(DataError, match="no network is called 'Nowhere'"):
        paths.cells(RoutingOptions(scenario="jitter", graphs=("Nowhere",)))


def test_a_network_comes_back_from_json_as_it_was():
    again = from_json(json.loads(json.dumps(to_json(nsfnet()))))
    assert again.digest == nsfnet().digest
    assert again.routers == nsfnet().routers
