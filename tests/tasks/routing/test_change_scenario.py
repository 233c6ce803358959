"""The scenarios "failure" and "shift": which link fails, time to recover by hand, a short run."""

from __future__ import annotations

import json

import numpy as np
import pytest

from batonq.base.errors import ModelError
from batonq.study.tables import text
from batonq.tasks.routing.networks import change, load, traffic
from batonq.tasks.routing.networks.change_report import READ, Changed
from batonq.tasks.routing.networks.demand import Demand
from batonq.tasks.routing.networks.network import network, to_json
from batonq.tasks.routing.networks.nsfnet import nsfnet
from batonq.tasks.routing.networks.traffic import Scene
from batonq.tasks.routing.options import RoutingOptions

USUAL = {"replan", "icq", "shortest_path", *traffic.PEERS}
BORN = 100  # packets per bin
SERVICES = 2.0  # of a bin


def scene(ends, share, delay=None):
    """A network whose routers lie anywhere, with a demand given pair by pair."""
    ends = np.array(ends)
    count = int(ends.max()) + 1
    delay = np.ones(len(ends)) if delay is None else np.array(delay)
    given = network("N", [f"r{x}" for x in range(count)], ends, delay, np.zeros((count, 2)))
    demand = np.zeros((count, count))
    for pair, part in share.items():
        demand[pair] = part
    return Scene(given, Demand("given", demand), 0.5, 1.0, 1.0, 100, np.zeros((0, 0), int), 0, 0)


# Routers 0, 1, 2 in a triangle; router 3 hangs on 0 by a bridge.
BRIDGED = ((0, 1), (0, 2), (1, 2), (0, 3))


def named(found, link):
    return {int(found.network.tail[link]), int(found.network.head[link])}


def test_the_busiest_link_fails_unless_it_is_a_bridge():
    share = {(3, 0): 0.5, (0, 1): 0.2, (1, 2): 0.05, (2, 0): 0.25}
    found = scene(BRIDGED, share)  # the bridge has most traffic, then 0 - 2
    assert named(found, change.spare_link(found)) == {0, 2}


def test_traffic_is_that_of_both_directions():
    share = {(0, 1): 0.4, (1, 2): 0.3, (2, 1): 0.3}
    found = scene(BRIDGED, share)  # 0 - 1 is the busiest directed link, 1 - 2 the busiest of all
    assert named(found, change.spare_link(found)) == {1, 2}


def test_traffic_is_what_passes_under_shortest_path_and_not_who_sends():
    share = {(3, 2): 0.6, (0, 1): 0.4}
    found = scene(BRIDGED, share, [1.0, 10.0, 1.0, 1.0])  # from 0 to 2 by way of 1
    assert named(found, change.spare_link(found)) == {0, 1}


def test_a_tree_has_no_link_to_spare():
    found = scene(((0, 1), (1, 2), (1, 3)), {(0, 2): 1.0})
    with pytest.raises(ModelError, match="network 'N': the failure of any link cuts routers off"):
        change.spare_link(found)


def test_a_tree_is_refused_before_anything_runs_and_takes_a_shift(tmp_path):
    path = tmp_path / "tree.graphml"
    path.write_text(
        "<graphml><graph>"
        + "".join(f'<node id="{name}"/>' for name in "abc")
        + '<edge source="a" target="b"/><edge source="b" target="c"/></graph></graphml>'
    )
    with pytest.raises(ModelError, match=r"'tree': the failure of any link .* scenario 'shift'"):
        change.cells(RoutingOptions("failure", (str(path),)))
    assert len(change.cells(RoutingOptions("shift", (str(path),), seeds=1))) == 1


def test_networks_too_large_for_the_reference_are_refused():
    with pytest.raises(ModelError, match="'random-201': 201 routers; the all-seeing reference"):
        change.cells(RoutingOptions("shift", ("random-201",)))


@pytest.mark.parametrize(("scenario", "rho"), [("failure", 0.5), ("shift", 0.9)])
def test_cells_have_the_usual_load_of_their_scenario(scenario, rho):
    options = RoutingOptions(scenario, ("NSFNET", "random-20"), seeds=2)
    cells = change.cells(options)
    assert [cell.key for cell in cells] == [
        f"{scenario}-{index}-rho{rho}-seed{number}" for index in (1, 0) for number in (0, 1)
    ]
    assert change.identity(options)["rhos"] == [rho]


# Made-up outputs: 300 bins of 100 packets, in which each was delivered after 10 ms.


def series(delay=10.0, bad=(), lost=(), silent=()):
    """Tallies of 300 bins; in the bins of `bad` packets take twice as long, in `lost` a twentieth
    is dropped, in `silent` all are.
    """
    dropped, mean = np.zeros(change.BINS, int), np.full(change.BINS, delay)
    mean[list(bad)] *= 2
    dropped[list(lost)] = BORN // 20
    dropped[list(silent)] = BORN
    delivered = BORN - dropped
    return {
        "born": [BORN] * change.BINS,
        "delivered": delivered.tolist(),
        "dropped": dropped.tolist(),
        "delay": (mean * delivered).tolist(),
        "seconds": 1.0,
    }


def outputs(scenario="failure", seeds=2, **given):
    """Cells of made-up series; a router is given one for all seeds, or a list of one a seed."""
    options = RoutingOptions(scenario, ("NSFNET",), seeds=seeds)
    found = []
    for cell in change.cells(options):
        number = cell.config["number"]
        routed = {one.key: series() for one in change.routers()} | given
        routed = {key: one[number] if isinstance(one, list) else one for key, one in routed.items()}
        found.append(
            {
                "index": 0,
                "network": to_json(nsfnet()) if number == 0 else None,
                "rho": cell.config["rho"],
                "number": number,
                "link": ["Seattle", "Champaign"] if scenario == "failure" else [],
                "bin_services": SERVICES,
                "routed": routed,
            }
        )
    return json.loads(json.dumps(found))


def changed(scenario="failure", **given):
    return Changed(scenario, nsfnet(), outputs(scenario, **given))


def summary(scenario="failure", **given):
    config = {"scenario": scenario}
    return change.summarise(config, outputs(scenario, **given))


def rows(found, learner, metric):
    return [one for one in found.rows if (one.learner, one.metric) == (learner, metric)]


def drawn(found):
    for section in found.sections:
        for table in section.tables:
            assert all(text(cell) for line in table.lines for cell in line)
        for drawing in section.drawings:
            assert drawing.draw().axes
    return [drawing.name for section in found.sections for drawing in section.drawings]


def test_periods_are_thirds_or_halves():
    failure, shift = changed(), changed("shift")
    assert [failure.period(n) for n in range(3)] == [
        slice(0, 100),
        slice(100, 200),
        slice(200, 300),
    ]
    assert [shift.period(n) for n in range(2)] == [slice(0, 150), slice(150, 300)]


def test_who_never_leaves_the_level_recovers_at_once():
    found, whole = changed(icq=series(10.4)).recovery("icq", 1)
    assert (found.value, found.low, found.high, whole) == (0.0, 0.0, 0.0, 2)


def test_time_to_recover_by_hand():
    # Slow in the bins 100 to 109 after the cut. A window of five bins with one slow bin in it has
    # 1.2 times the level, so the first of which all are good begins at bin 110: ten bins.
    slow = series(bad=range(100, 110))
    found, whole = changed(icq=[slow, series()]).recovery("icq", 1)
    assert (found.value, whole) == (10 * SERVICES / 2, 2)
    # A relapse counts: the last window that is slow ends the time.
    relapse = series(bad=[*range(100, 110), 150])
    found, whole = changed(icq=relapse).recovery("icq", 1)
    assert (found.value, whole) == (51 * SERVICES, 2)
    # What is slow before the cut, or after the repair, is none of its business.
    other = series(bad=[*range(100), *range(230, 300)])
    assert changed(icq=other).recovery("icq", 1)[0].value == 0


def test_never_recovered_counts_the_period_and_is_told():
    slow = series(bad=range(100, 200))
    found, whole = changed(icq=[slow, series()]).recovery("icq", 1)
    assert (found.value, whole) == (100 * SERVICES / 2, 1)
    report = summary(icq=slow)
    line = next(line for line in report.sections[0].tables[0].lines if line[1] == "icq")
    assert (line[2].value, line[3]) == (100 * SERVICES, "0 of 2")
    assert (line[4].value, line[5]) == (0, "2 of 2")
    assert report.headline.startswith(
        "Recovered from the cut: icq in 0, q_routing_queue in 2, dual_q_routing in 2 of 2 runs; "
        "from the repair: icq in 2,"
    )
    shares = [one for one in rows(report, "icq", "measured") if "probes" not in one.setting["of"]]
    assert [(one.setting["event"], one.value) for one in shares] == [("cut", 0), ("repaired", 1)]
    assert {one.setting["of"] for one in shares} == {"share of seeds that recovered"}


def test_a_slow_last_bin_is_not_recovered():
    slow = series(bad=[199])
    found, whole = changed(icq=slow).recovery("icq", 1)
    assert (found.value, whole) == (100 * SERVICES, 0)


def test_drops_delay_the_recovery():
    # Five in a hundred dropped in one bin of five is exactly one in a hundred: not more than that.
    few, more = series(lost=[120]), series(lost=[120, 121])
    assert changed(icq=few).recovery("icq", 1) == changed().recovery("icq", 1)
    found, whole = changed(icq=more).recovery("icq", 1)
    assert (found.value, whole) == (21 * SERVICES, 2)
    # Where all is dropped nothing is delivered, so no delay is high; it is no recovery.
    none = series(silent=range(100, 200))
    assert changed(icq=none).recovery("icq", 1)[1] == 0


def test_the_reference_is_not_asked_to_be_steadier_than_it_is():
    # The reference is slow in one bin of the second half: a mean of 1.2 times its level is usual.
    reference = series(bad=[180])
    found, whole = changed(icq=[series(11.5), series(12.5)], replan=reference).recovery("icq", 1)
    assert (found.value, whole) == (100 * SERVICES / 2, 1)
    assert changed(replan=reference).recovery("replan", 1)[0].value == 0


def test_one_seed_has_no_interval():
    found = summary(seeds=1, icq=[series(bad=range(100, 110))])
    for one in found.rows:
        assert (one.low, one.high, one.n) == (None, None, 1)
    (cut, repaired) = rows(found, "icq", "recovery")[:2]
    assert (cut.value, repaired.value) == (10 * SERVICES, 0)
    assert drawn(found) == ["change-0"]


def test_ratios_and_drops_by_hand():
    found = changed(
        seeds=2,
        icq=[series(12.0), series(27.0, lost=range(100, 200))],
        replan=series(10.0),
    )
    ratio = found.ratio("icq", 1)
    assert ratio.value == pytest.approx((1.2 * 2.7) ** 0.5)  # a geometric mean, as under load
    assert 0 < ratio.low < ratio.value < ratio.high
    assert found.dropped("icq", 1).value == pytest.approx(0.025)
    assert found.dropped("icq", 0).value == 0


def test_a_peer_that_is_quicker_is_named():
    slow, quick = series(bad=range(100, 130)), series(bad=range(100, 110))
    found = summary(icq=slow, q_routing=quick, q_routing_queue=slow)
    assert "A peer is quicker at NSFNET, rho 0.5, after the cut (q_routing, predict" in (
        found.headline
    )
    assert "q_routing_queue" not in found.headline.partition("A peer")[2]
    every = dict.fromkeys(traffic.PEERS, slow)
    assert "No peer is quicker than IC-Q." in summary(icq=quick, **every).headline


def test_who_recovers_in_fewer_seeds_is_not_quicker():
    slow, never = series(bad=range(100, 190)), series(bad=range(100, 200))
    every = {peer: [series(), never] for peer in traffic.PEERS}  # half of the period on average
    assert "No peer is quicker than IC-Q." in summary(icq=slow, **every).headline


@pytest.mark.parametrize("scenario", ["failure", "shift"])
@pytest.mark.parametrize("lost", ["icq", "replan", "shortest_path"])
def test_where_nothing_is_delivered_there_is_no_figure_and_no_crash(scenario, lost):
    found = summary(scenario, **{lost: series(silent=range(100, 300))})
    ratios = [one for one in found.rows if one.metric == "delay_ratio"]
    for one in ratios:
        usual = "of" not in one.setting and one.learner == lost
        gone = one.setting["event"] != "before" and (usual or lost == "replan")
        assert (one.value is None) == gone
    times = {one.value is None for one in found.rows if one.metric == "recovery"}
    assert times == {lost == "replan"}
    drawn(found)


def test_the_report_says_which_link_failed_and_what_was_read():
    found = summary()
    (drawing,) = found.sections[2].drawings
    assert "In seed 0 the link Seattle - Champaign fails." in drawing.caption
    assert found.sections[3].tables[0].lines == (("NSFNET", 14, 21, "nothing"),)
    (shifted,) = summary("shift").sections[2].drawings
    assert "link" not in shifted.caption
    assert READ in found.sections[0].text
    axes = drawing.draw().axes[0]
    assert {one.get_text() for one in axes.texts} == {"cut", "repaired"}


@pytest.mark.compiled
@pytest.mark.parametrize("scenario", ["failure", "shift"])
def test_a_short_run_gives_every_learner_and_metric(monkeypatch, scenario):
    monkeypatch.setattr(traffic, "LEAST_PACKETS", 20_000)
    monkeypatch.setattr(traffic, "PER_PAIR", 0)
    options = RoutingOptions(scenario, ("NSFNET",), seeds=2, quick=True)
    cells = change.cells(options)
    made = [change.run_cell(cell.config) for cell in cells]
    found = change.summarise(options.to_json(), json.loads(json.dumps(made)))
    events = {"failure": ("cut", "repaired"), "shift": ("shifted",)}[scenario]
    everywhere = {(metric, event) for event in events for metric in ("recovery", "measured")} | {
        (metric, event) for event in ("before", *events) for metric in ("delay_ratio", "drops")
    }
    assert {(one.learner, one.metric, one.setting["event"]) for one in found.rows} == {
        (learner, *place) for learner in USUAL for place in everywhere
    }
    variants = [one for one in found.rows if one.setting.get("of", "").startswith("no probes")]
    assert len(variants) == len(everywhere)
    assert drawn(found) == ["change-0"]
    probing = {one.key for one in change.routers() if one.rule.explore > 0}
    for one in made:
        for key, tally in one["routed"].items():
            tally.pop("seconds")
            ended = np.add(tally["delivered"], tally["dropped"])
            assert ended.tolist() == tally["born"]  # every packet ends
            same = tally["born"] == one["routed"]["replan"]["born"]
            assert same == (key not in probing)
            periods = change.PERIODS[scenario]
            before, mean = sum(tally["born"][: change.BINS // periods]), 4000 / periods
            assert abs(before - mean) < 5 * mean**0.5  # Poisson
    assert made[0]["routed"]["replan"]["born"] != made[1]["routed"]["replan"]["born"]
    again = change.run_cell(cells[1].config)
    for tally in again["routed"].values():
        tally.pop("seconds")
    assert again == made[1]


@pytest.mark.compiled
@pytest.mark.parametrize("module", [load, change])
def test_a_file_in_parts_without_coordinates_runs_and_the_report_says_so(
    monkeypatch, tmp_path, module
):
    monkeypatch.setattr(traffic, "LEAST_PACKETS", 5_000)
    monkeypatch.setattr(traffic, "PER_PAIR", 0)
    path = tmp_path / "parts.graphml"
    edges = ("ab", "bc", "ca", "de")
    path.write_text(
        "<graphml><graph>"
        + "".join(f'<node id="{name}"/>' for name in "abcde")
        + "".join(f'<edge source="{one}" target="{other}"/>' for one, other in edges)
        + "</graph></graphml>"
    )
    options = RoutingOptions(
        "load" if module is load else "failure", (str(path),), (0.5,), 1, quick=True
    )
    (cell,) = module.cells(options)
    found = module.summarise(options.to_json(), [module.run_cell(cell.config)])
    (table,) = (one for part in found.sections for one in part.tables if one.caption == "Networks")
    assert table.lines == (
        (
            "parts",
            3,
            3,
            "2 separate parts: kept the largest, 3 of 5 routers; "
            "no router has coordinates: every link takes 1 ms",
        ),
    )
    assert drawn(found)


@pytest.mark.compiled
def test_a_link_that_fails_is_not_used_and_comes_back(monkeypatch):
    monkeypatch.setattr(traffic, "LEAST_PACKETS", 20_000)
    monkeypatch.setattr(traffic, "PER_PAIR", 0)
    (cell,) = change.cells(RoutingOptions("failure", ("NSFNET",), seeds=1, quick=True))
    found = change.run_cell(cell.config)
    # Shortest path keeps its table: it drops while the link is down, and then no more.
    lost = np.add.reduceat(found["routed"]["shortest_path"]["dropped"], range(0, 300, 10))
    assert (lost[:9] == 0).all()
    assert (lost[10:20] > 0).all()
    assert (lost[20:] == 0).all()
    rerouted = np.add.reduceat(found["routed"]["replan"]["dropped"], [0, 100, 200])
    assert rerouted[1:].tolist() == [0, 0]
