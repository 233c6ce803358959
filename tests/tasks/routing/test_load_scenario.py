"""The scenario "load": cells, one run for real but short, and summaries of made-up outputs."""

from __future__ import annotations

import json
import math
from types import SimpleNamespace

import numpy as np
import pytest

from batonq.base.errors import DataError
from batonq.study.rows import LEARNERS
from batonq.study.tables import text
from batonq.tasks.routing.networks import load, traffic
from batonq.tasks.routing.networks.network import to_json
from batonq.tasks.routing.networks.nsfnet import nsfnet
from batonq.tasks.routing.networks.world import TALLY
from batonq.tasks.routing.options import RoutingOptions

DELAYS = {
    "replan": 20.0,
    "icq": 20.4,
    "shortest_path": 24.0,
    "q_routing": 30.0,
    "q_routing_queue": 25.0,
    "predictive_q_routing": 40.0,
    "dual_q_routing": 22.0,
}
METRICS = {"delay", "delay_ratio", "drops"}
USUAL = set(DELAYS)


def usual(one):
    return DELAYS[one.partition(", ")[0]]


def output(cell, delay=usual, dropped=0.0):
    """What a cell would give: `delay` of a router's key in seed 0, a tenth more in each next."""
    routed = {}
    for router in load.routers(cell["quick"], 14):
        mean = delay(router.key)
        mean = mean if mean is None else mean * 1.1 ** cell["number"]
        routed[router.key] = {
            "delay": mean,
            "dropped": 1.0
            if mean is None
            else dropped(router.key)
            if callable(dropped)
            else dropped,
            "hops": 3.0,
            "curve": [mean] * load.BINS,
            "handoffs": 1000,
            "seconds": 1.0,
        }
    first = cell["number"] == 0
    if first:
        network = nsfnet()
        way = [int(network.indptr[x]) for x in range(14)]
        way[5] = -1
        routed["icq"] |= {"load": [0.3] * network.n_links, "next_link": way}
    return {
        "index": cell["index"],
        "rho": cell["rho"],
        "number": cell["number"],
        "network": to_json(nsfnet()) if first else None,
        "destination": 5,
        "packet_ms": 0.1,
        "service_ms": 5.0,
        "packets": 1000,
        "routed": routed,
    }


def summary(delay=usual, seeds=3, quick=True, rhos=(0.5, 0.9), **changed):
    options = RoutingOptions("load", ("NSFNET",), rhos, seeds, quick=quick)
    outputs = [output(cell.config, delay, **changed) for cell in load.cells(options)]
    config = {**options.to_json(), **load.identity(options)}
    return load.summarise(*json.loads(json.dumps([config, outputs])))


def row(found, learner, metric, rho=0.5, of=None):
    (one,) = (
        one
        for one in found.rows
        if (one.learner, one.metric, one.setting["rho"], one.setting.get("of"))
        == (learner, metric, rho, of)
    )
    return one


def verdicts(found):
    (table,) = found.sections[0].tables
    return {(line[0].removeprefix("NSFNET, rho "), line[1]): line[4] for line in table.lines}


def drawn(found):
    """Draw and show everything; what a report does."""
    for section in found.sections:
        for table in section.tables:
            assert all(text(cell) for line in table.lines for cell in line)
        for drawing in section.drawings:
            assert drawing.draw().axes
    return [drawing.name for section in found.sections for drawing in section.drawings]


def test_cells_are_one_a_network_load_and_seed_the_largest_network_first():
    options = RoutingOptions("load", ("NSFNET", "random-20"), (0.9, 0.5), 2, seed=7)
    keys = [cell.key for cell in load.cells(options)]
    assert keys == [
        f"load-{index}-rho{rho}-seed{number}"
        for index in (1, 0)
        for rho in (0.9, 0.5)
        for number in (0, 1)
    ]
    assert {cell.config["seed"] for cell in load.cells(options)} == {7}


def test_loads_given_twice_count_once_and_close_ones_are_told_apart():
    options = RoutingOptions("load", ("random-5",), (0.5, 0.50000001, 0.5, 1.0, 0.001), 1)
    keys = [cell.key for cell in load.cells(options)]
    assert len(keys) == len(set(keys)) == 4
    assert load.identity(options)["rhos"] == [0.5, 0.50000001, 1.0, 0.001]


def test_usual_loads_networks_and_seeds(monkeypatch):
    monkeypatch.delenv("BATONQ_DATA", raising=False)
    cells = load.cells(RoutingOptions("load"))
    assert len(cells) == 2 * 3 * 5
    assert [cells[0].config["graph"], cells[-1].config["graph"]] == ["random-30", "NSFNET"]
    assert {cell.config["rho"] for cell in cells} == {0.5, 0.9, 1.2}


def test_a_quick_run_has_fewer_packets_and_routers():
    whole, quick = (
        load.identity(RoutingOptions("load", ("NSFNET", "random-40"), quick=quick))["packets"]
        for quick in (False, True)
    )
    assert whole == [300_000, 780_000]
    assert quick == [60_000, 156_000]
    assert {one.key for one in load.routers(True, 14)} == USUAL
    assert {one.learner for one in load.routers(False, 14)} == USUAL
    steps = {f"{peer}, step {step:g}" for peer in traffic.PEERS for step in load.STEPS}
    assert {one.key for one in load.routers(False, 14)} > USUAL | steps | {"icq, no toll"}
    assert "replan" not in {one.key for one in load.routers(False, traffic.PLANNED + 1)}


def test_networks_of_one_name_are_refused(tmp_path):
    path = tmp_path / "NSFNET.graphml"
    path.write_text(
        '<graphml><graph><node id="a"/><node id="b"/><edge source="a" target="b"/></graph>'
        "</graphml>"
    )
    with pytest.raises(DataError, match="are both called NSFNET in tables; rename one"):
        load.cells(RoutingOptions("load", ("NSFNET", str(path))))


@pytest.mark.compiled
def test_a_short_run_gives_every_learner_and_metric(monkeypatch):
    monkeypatch.setattr(traffic, "LEAST_PACKETS", 20_000)
    monkeypatch.setattr(traffic, "PER_PAIR", 0)
    options = RoutingOptions("load", ("NSFNET",), (0.5,), 2, quick=True)
    config = json.loads(json.dumps({**options.to_json(), **load.identity(options)}))
    assert config["packets"] == [4000]
    cells = load.cells(options)
    outputs = [load.run_cell(cell.config) for cell in cells]
    found = load.summarise(config, json.loads(json.dumps(outputs)))
    assert {(one.learner, one.metric) for one in found.rows} == {
        (learner, metric) for learner in USUAL for metric in METRICS
    }
    assert all(one.value is not None and one.n == 2 for one in found.rows)
    assert drawn(found) == ["delay-0", "map-0"]
    again = load.run_cell(cells[0].config)
    for one in (again, outputs[0]):
        for router in one["routed"].values():
            router.pop("seconds")
    assert again == outputs[0]
    first, second = outputs
    assert first["routed"]["icq"]["delay"] != second["routed"]["icq"]["delay"]
    # Service is the mean propagation delay; the busiest link would be used half of the time.
    assert first["service_ms"] == pytest.approx(float(nsfnet().delay.mean()))
    assert 0 < max(first["routed"]["icq"]["load"]) <= 1


def test_packets_of_the_second_half_are_judged():
    tally = np.zeros(load.BINS, TALLY)
    tally["born"], tally["delivered"], tally["dropped"] = 10, 8, 2
    tally["delay"], tally["hops"] = 8 * 50.0, 8 * 4
    tally["delay"][20:], tally["hops"][20:] = 8 * 30.0, 8 * 3
    tally["delivered"][20], tally["dropped"][20], tally["delay"][20] = 0, 10, 0.0
    found = load._told(SimpleNamespace(tally=tally, hops=77), 1.0)
    assert found["delay"] == pytest.approx(30.0)  # weighted by packets: the empty bin has none
    assert found["dropped"] == pytest.approx((19 * 2 + 10) / 200)
    assert found["curve"] == [50.0] * 20 + [None] + [30.0] * 19
    assert found["handoffs"] == 77
    tally["delivered"], tally["hops"], tally["delay"] = 0, 0, 0.0
    nothing = load._told(SimpleNamespace(tally=tally, hops=0), 1.0)
    assert (nothing["delay"], nothing["hops"], nothing["curve"][0]) == (None, None, None)


def test_ratios_are_geometric_means_over_seeds_paired():
    found = summary()
    ratio = row(found, "icq", "delay_ratio")
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx((1.02, 1.02, 1.02))
    assert (ratio.n, ratio.n_kind) == (3, "seeds")
    mean = row(found, "icq", "delay")
    assert mean.value == pytest.approx(20.4 * (1 + 1.1 + 1.21) / 3)
    assert mean.low < mean.value < mean.high
    assert row(found, "replan", "delay_ratio").value == 1.0
    assert found.headline.startswith("10 of 10 lines reached. IC-Q's delay is 1.020 to 1.020 of")


def test_the_interval_of_a_ratio_by_hand():
    options = RoutingOptions("load", ("NSFNET",), (0.5,), 2, quick=True)
    outputs = [output(cell.config) for cell in load.cells(options)]
    outputs[0]["routed"]["icq"]["delay"] = 20.0 * 1.5
    outputs[1]["routed"]["icq"]["delay"] = 22.0 * 2.0
    ratio = row(load.summarise({}, outputs), "icq", "delay_ratio")
    # Two logarithms, half their distance the standard error; 12.7062 is Student's t, one degree.
    middle, reach = math.log(1.5 * 2.0) / 2, 12.7062 * math.log(2.0 / 1.5) / 2
    assert (ratio.value, ratio.low, ratio.high) == pytest.approx(
        (math.exp(middle), math.exp(middle - reach), math.exp(middle + reach)), rel=1e-5
    )


def test_one_seed_has_no_interval():
    found = summary(seeds=1)
    for one in found.rows:
        assert (one.low, one.high, one.n) == (None, None, 1)
    assert set(verdicts(found).values()) == {"yes"}
    assert drawn(found) == ["delay-0", "map-0"]


@pytest.mark.parametrize(
    ("spoilt", "factor", "line", "where"),
    [
        ("replan", 1 / 1.06, "delay over replan's", {"0.5"}),
        ("replan", 1 / 1.12, "delay over replan's", {"0.5", "0.9"}),
        ("shortest_path", 0.8, "delay over shortest_path's", {"0.5", "0.9"}),
        ("q_routing", 0.5, "delay over q_routing's", {"0.5", "0.9"}),
        ("q_routing_queue", 0.5, "delay over q_routing_queue's", {"0.5", "0.9"}),
        ("predictive_q_routing", 0.5, "delay over predictive_q_routing's", {"0.5", "0.9"}),
    ],
)
def test_a_spoilt_output_misses_its_line_and_no_other(spoilt, factor, line, where):
    found = summary(lambda key: usual(key) * (factor if key == spoilt else 1.0))
    missed = {place for place, said in verdicts(found).items() if said == "NO"}
    assert missed == {(rho, line) for rho in where}
    assert found.headline.startswith(f"{10 - len(where)} of 10 lines reached.")
    assert f"Not reached: NSFNET, rho {min(where)}, {line}" in found.headline


def test_at_low_load_an_interval_around_1_will_do_against_shortest_path():
    options = RoutingOptions("load", ("NSFNET",), (0.5, 0.9), 3, quick=True)
    outputs = [output(cell.config) for cell in load.cells(options)]
    for one, delay in zip(outputs, (22.0, 23.0, 25.0) * 2, strict=True):
        one["routed"]["shortest_path"]["delay"] = delay
    said = verdicts(load.summarise({}, outputs))
    assert said["0.5", "delay over shortest_path's"] == "yes"
    assert said["0.9", "delay over shortest_path's"] == "NO"


def test_less_delay_is_no_merit_where_more_is_dropped():
    assert "NO" not in verdicts(summary(dropped=lambda key: 0.009 * (key == "icq"))).values()
    found = verdicts(summary(dropped=lambda key: 0.011 * (key == "icq")))
    assert set(found.values()) == {"NO"}


def test_a_peer_that_wins_is_named():
    assert "No peer has less delay than IC-Q." in summary().sections[2].text
    won = summary(lambda key: 19.0 if key == "q_routing, step 0.1" else usual(key), quick=False)
    said = "A peer has less delay at NSFNET, rho 0.5 (q_routing, step 0.1); NSFNET, rho 0.9 ("
    assert said in won.sections[2].text
    assert said in won.headline
    best = won.sections[2].tables[0].lines[0]
    assert (best[3], best[4].value) == ("q_routing, step 0.1", pytest.approx(20.4 / 19))
    assert row(won, "q_routing", "delay_ratio", of="step 0.1").value == pytest.approx(0.95)
    assert row(won, "q_routing", "delay_ratio").value == pytest.approx(1.5)


def test_dual_q_routing_sends_two_scalars_and_is_told_beside_the_lines():
    won = summary(lambda key: 20.1 if key == "dual_q_routing" else usual(key))
    assert "NO" not in verdicts(won).values()
    assert not any("dual" in line for _, line in verdicts(won))
    assert "A peer has less delay at NSFNET, rho 0.5 (dual_q_routing)" in won.headline


@pytest.mark.parametrize("lost", [("icq",), ("replan",), ("q_routing",), tuple(USUAL)])
@pytest.mark.parametrize("quick", [True, False])
def test_where_nothing_was_delivered_there_is_no_delay_and_no_crash(lost, quick):
    def delay(key):
        return None if key.partition(", ")[0] in lost else usual(key)

    found = summary(delay, quick=quick)
    for one in found.rows:
        absent = one.learner in lost or ("replan" in lost and one.metric == "delay_ratio")
        assert (one.value is None) == (absent and one.metric != "drops")
    for (_, line), said in verdicts(found).items():
        assert said == "NO" or not any(f" {learner}'s" in line for learner in lost)
    assert "NO" in verdicts(found).values()
    drawn(found)


def test_one_seed_without_delivery_leaves_a_gap_in_the_curve_only():
    options = RoutingOptions("load", ("NSFNET",), (0.5,), 3, quick=True)
    outputs = [output(cell.config) for cell in load.cells(options)]
    outputs[1]["routed"]["icq"]["curve"][:3] = [None] * 3
    found = load.summarise({}, outputs)
    (figure,) = (one.draw() for one in found.sections[3].drawings)
    lines = {line.get_label(): line.get_xdata() for line in figure.axes[0].lines}
    assert len(lines["icq"]) == load.BINS - 3
    assert len(lines["replan"]) == load.BINS


def test_a_large_network_without_the_reference_has_its_other_lines():
    options = RoutingOptions("load", ("NSFNET",), (0.5,), 2, quick=True)
    outputs = [output(cell.config) for cell in load.cells(options)]
    for one in outputs:
        del one["routed"]["replan"]
    found = load.summarise({}, outputs)
    assert found.headline == "4 of 4 lines reached."
    assert {one.learner for one in found.rows} == USUAL - {"replan"} <= LEARNERS
    assert drawn(found) == ["delay-0", "map-0"]


def test_tables_have_networks_across_and_notes_of_what_was_read():
    found = summary(rhos=(0.9, 0.5), dropped=0.25)
    delays, dropped = found.sections[1].tables
    assert delays.columns == ("rho", "router", "NSFNET")
    assert [line[:2] for line in delays.lines[:3]] == [
        (0.5, "replan, ms"),
        (0.5, "icq"),
        (0.5, "shortest_path"),
    ]
    assert {line[2] for line in dropped.lines} == {0.25}
    (networks,) = found.sections[4].tables
    assert networks.lines == (("NSFNET", 14, 21, "nothing"),)
