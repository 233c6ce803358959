from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batonq.base.errors import DataError
from batonq.tasks.routing.networks import graphml
from batonq.tasks.routing.networks.graphml import read_graphml
from batonq.tasks.routing.networks.graphs import LOADED, REGISTERED, find, usual
from batonq.tasks.routing.networks.network import Network

HEAD = """<?xml version="1.0" encoding="utf-8"?>
<graphml xmlns="http://graphml.graphdrawing.org/xmlns">
<key attr.name="label" attr.type="string" for="node" id="d0"/>
<key attr.name="Latitude" attr.type="double" for="node" id="d1"/>
<key attr.name="Longitude" attr.type="double" for="node" id="d2"/>
"""


def node(name, latitude=None, longitude=None, label=None):
    data = {"d0": label, "d1": latitude, "d2": longitude}
    inner = "".join(f'<data key="{k}">{v}</data>' for k, v in data.items() if v is not None)
    return f'<node id="{name}">{inner}</node>'


def document(nodes, edges, way="undirected", head=HEAD):
    links = "".join(f'<edge source="{one}" target="{other}"/>' for one, other in edges)
    return f'{head}<graph edgedefault="{way}">{"".join(nodes)}{links}</graph></graphml>'


def read(folder, text):
    path = folder / "net.graphml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_graphml(path)


PLAIN = [node("0", 0, 0, "Here"), node("1", 0, 1), node("2", 1, 0, "There")]
SMALL = document(PLAIN, [("0", "1"), ("1", "2")])


def test_a_small_file_by_hand(tmp_path):
    built = read(tmp_path, SMALL)
    degree = np.pi * 6371 / 180 / 200
    assert (built.name, built.routers) == ("net", ("Here", "1", "There"))
    assert built.notes == ()
    assert built.tail.tolist() == [0, 1, 1, 2]
    assert built.head.tolist() == [1, 0, 2, 1]
    assert built.delay == pytest.approx(degree * np.array([1, 1, 2**0.5, 2**0.5]), rel=1e-3)


def test_parallel_links_and_loops_are_left_out_and_said(tmp_path):
    edges = [("0", "1"), ("1", "0"), ("0", "1"), ("1", "1"), ("1", "2")]
    built = read(tmp_path, document(PLAIN, edges))
    assert built.n_links == 4
    assert built.notes == (
        "links of a router with itself left out: 1",
        "parallel links left out, equally long: 2",
    )


def test_links_of_a_directed_file_go_both_ways(tmp_path):
    edges = [("0", "1"), ("1", "0"), ("2", "1"), ("2", "1")]
    built = read(tmp_path, document(PLAIN, edges, "directed"))
    assert built.head.tolist() == [1, 0, 2, 1]
    assert built.notes == (
        "the file's links have directions: taken as links both ways",
        "parallel links left out, equally long: 1",
    )


@pytest.mark.parametrize("bad", [None, "nan", "inf", "north", "91", ""])
def test_a_router_without_coordinates_lies_between_its_neighbours(tmp_path, bad):
    nodes = [node("0", 10, 179), node("1", bad, 20), node("2", 10, -179), node("3", None, None)]
    built = read(tmp_path, document(nodes, [("0", "1"), ("1", "2"), ("2", "3"), ("3", "0")]))
    assert built.place[1] == pytest.approx([10, 180], abs=0.01)  # across the date line
    assert built.notes == (
        "routers without coordinates, put at the mean of their neighbours': 2 (1, 3)",
    )


def test_chains_without_coordinates_are_filled_in_rounds(tmp_path):
    names = "abcdefgh"
    nodes = [node(names[0], 5, 5), *(node(name) for name in names[1:])]
    built = read(tmp_path, document(nodes, list(pairwise(names))))
    assert built.place == pytest.approx(np.full((8, 2), 5.0))
    assert built.delay.tolist() == [0.01] * 14
    assert built.notes[0].endswith("7 (b, c, d, e, f and 2 more)")


def test_neighbours_at_antipodes_still_give_a_place(tmp_path):
    nodes = [node("0", 0, 0), node("1"), node("2", 0, 180)]
    assert np.isfinite(read(tmp_path, document(nodes, [("0", "1"), ("1", "2")])).place).all()


@pytest.mark.parametrize("count", [3, 600])
def test_without_any_coordinates_every_link_takes_a_millisecond(tmp_path, count):
    nodes = [node(str(number)) for number in range(count)]
    edges = [(str(number), str((number + 1) % count)) for number in range(count)]
    built = read(tmp_path, document(nodes, edges))
    assert (built.delay == 1).all()
    assert built.notes == ("no router has coordinates: every link takes 1 ms",)
    assert len(np.unique(built.place, axis=0)) == count


def test_of_a_file_in_parts_the_largest_is_kept(tmp_path):
    nodes = [node("x", 1, 1), *PLAIN, node("y", 2, 2), node("z", 3, 3)]
    built = read(tmp_path, document(nodes, [("y", "z"), ("0", "1"), ("1", "2")]))
    assert built.routers == ("Here", "1", "There")
    assert built.notes == ("3 separate parts: kept the largest, 3 of 6 routers",)


def test_labels_become_unique(tmp_path):
    labels = ["a", "a", "a (2)", "a", "b"]
    nodes = [node(str(number), 0, number, label) for number, label in enumerate(labels)]
    built = read(tmp_path, document(nodes, [(str(number), "0") for number in range(1, 5)]))
    assert built.routers == ("a", "a (3)", "a (2)", "a (4)", "b")
    assert built.notes == ("routers with the label of another, numbered: 2",)


def test_the_id_stands_in_for_a_label_that_says_nothing(tmp_path):
    nodes = [node(str(at), 0, at, text) for at, text in enumerate(["None", "???", " ", "Oslo"])]
    built = read(tmp_path, document(nodes, [("0", "1"), ("1", "2"), ("2", "3")]))
    assert built.routers == ("0", "1", "2", "Oslo")


def test_external_routers_stay_and_odd_attributes_do_no_harm(tmp_path):
    key = '<key attr.name="Internal" attr.type="int" for="node" id="d9"/>'
    odd = [one.replace("</node>", '<data key="d9">zero</data></node>') for one in PLAIN]
    built = read(tmp_path, document(odd, [("0", "1"), ("1", "2")], head=HEAD + key))
    assert built.n_routers == 3


def test_a_file_without_the_namespace_is_read(tmp_path):
    bare = SMALL.replace(' xmlns="http://graphml.graphdrawing.org/xmlns"', "")
    assert read(tmp_path, bare).digest == read(tmp_path, SMALL).digest


def test_of_several_graphs_the_first_is_read(tmp_path):
    other = '<graph edgedefault="undirected"><node id="q"/></graph></graphml>'
    built = read(tmp_path, SMALL.replace("</graphml>", other))
    assert built.notes == ("2 graphs in the file: the first was read",)


LAUGHS = "".join(f'<!ENTITY l{level} "{f"&l{level - 1};" * 10}">' for level in range(1, 10))
BODY = SMALL.partition("?>")[2]
BAD = {
    "billion laughs": (f'<!DOCTYPE g [<!ENTITY l0 "ha">{LAUGHS}]>{BODY}', "document type"),
    "external entity": (
        f'<!DOCTYPE g [<!ENTITY x SYSTEM "file:///etc/passwd">]>{BODY}'.replace("Here", "&x;"),
        "document type",
    ),
    "external dtd": (f'<!DOCTYPE g SYSTEM "http://localhost/g.dtd">{BODY}', "document type"),
    "cut short": (SMALL[:-30], "not well-formed XML"),
    "empty": ("", "not well-formed XML"),
    "zeros": (b"\0" * 100, "not well-formed XML"),
    "unknown encoding": (SMALL.replace("utf-8", "utf-99"), "not well-formed XML"),
    "other xml": ("<html><body/></html>", "not GraphML"),
    "no graph": (HEAD + "</graphml>", "not GraphML"),
    "no nodes": (document([], []), "no link joins two routers"),
    "no links": (document(PLAIN, []), "no link joins two routers"),
    "loops only": (document(PLAIN, [("0", "0")]), "no link joins two routers"),
    "unknown end": (document(PLAIN, [("0", "7")]), "target is '7', no node"),
    "no end": (SMALL.replace(' source="0"', ""), "source is 'None', no node"),
    "no id": (SMALL.replace('<node id="0">', "<node>"), "a node has no id"),
    "twice": (SMALL.replace('<node id="0">', '<node id="1">'), "2 nodes have the id '1'"),
    "unknown key": (SMALL.replace('key="d1"', 'key="d7"'), "no key d7"),
    "hyperedge": (SMALL.replace("</graph>", "<hyperedge/></graph>"), "hyperedge"),
    "nested": ("<a>" * 20000 + "</a>" * 20000, "not GraphML"),
    "nested inside": (
        SMALL.replace("</graph>", "<b>" * 20000 + "</b>" * 20000 + "</graph>"),
        "not GraphML",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_files_are_refused_by_name(tmp_path, case):
    text, said = BAD[case]
    with pytest.raises(DataError, match=r"net\.graphml: ") as caught:
        read(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file_is_refused_by_name(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"none\.graphml: no such file"):
        read_graphml(tmp_path / "none.graphml")
    with pytest.raises(DataError, match="cannot be read"):
        read_graphml(tmp_path)
    monkeypatch.setattr(graphml, "LARGEST", 100)
    with pytest.raises(DataError, match="at most"):
        read(tmp_path, SMALL)


def test_too_many_routers_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(graphml, "MOST", 2)
    with pytest.raises(DataError, match="3 routers; give a network of at most 2"):
        read(tmp_path, SMALL)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


def loads_or_says(folder, content):
    path = folder / "f.graphml"
    path.write_bytes(content)
    try:
        built = read_graphml(path)
    except DataError as error:
        assert str(path) in str(error)
    else:
        assert isinstance(built, Network)
        assert np.isfinite(built.place).all()
        assert (built.delay > 0).all()


@given(st.data())
@settings(max_examples=150)
def test_mutated_bytes_load_or_are_refused(folder, data):
    content = bytearray(SMALL.encode())
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(content)))
        end = data.draw(st.integers(at, min(at + 40, len(content))))
        content[at:end] = data.draw(st.binary(max_size=12))
    loads_or_says(folder, bytes(content))


PIECES = ["edge", "node", "source", "0", "1", "d1", "double", "data", "graph", "id", "key", "net"]


@given(st.data())
@settings(max_examples=150)
def test_mutated_words_load_or_are_refused(folder, data):
    text = SMALL
    for _ in range(data.draw(st.integers(1, 3))):
        old = data.draw(st.sampled_from(PIECES))
        new = data.draw(st.sampled_from([*PIECES, "", "-1e999", "<x/>", "&amp;", "yfiles"]))
        text = text.replace(old, new, data.draw(st.integers(-1, 3)))
    loads_or_says(folder, text.encode())


def test_names_and_paths_find_networks(tmp_path):
    (tmp_path / "mine.graphml").write_text(SMALL)
    assert find("NSFNET").n_routers == 14
    assert find("random-12").n_routers == 12
    assert find(str(tmp_path / "mine.graphml")).name == "mine"
    with pytest.raises(DataError, match="no network is called 'nsfnet'; give NSFNET, random-N"):
        find("nsfnet")
    with pytest.raises(DataError, match="no such file"):
        find(str(tmp_path / "other.graphml"))
    with pytest.raises(DataError, match="random-2"):
        find("random-2")


def test_without_a_data_folder_the_usual_networks_are_those_built_in(monkeypatch):
    monkeypatch.delenv("BATONQ_DATA", raising=False)
    assert usual(True) == usual(False) == ("NSFNET", "random-30")
    assert usual(True, Path("data")) == LOADED
    assert len(usual(False, Path("data"))) == 10
    with pytest.raises(DataError, match="Abilene: no data folder was given"):
        find("Abilene")


SIZES = {  # routers and undirected links of the largest part, without loops and parallel links
    "Abilene": (11, 14),
    "AttMpls": (25, 56),
    "Bellcanada": (48, 64),
    "Geant2012": (40, 61),
    "GtsCe": (149, 193),
    "Interoute": (110, 146),
    "Nsfnet": (13, 15),
    "Sprint": (11, 18),
    "Tinet": (53, 89),
}


@pytest.mark.parametrize("name", REGISTERED)
def test_the_registered_networks_load(data_dir, name):
    built = find(name, data_dir)
    assert (built.n_routers, built.n_links / 2) == SIZES[name]
    assert built.delay.max() < 100


def test_what_the_real_files_lack_is_said(data_dir):
    notes = " ".join(find("Interoute", data_dir).notes)
    assert "with itself left out: 2" in notes
    assert "parallel links left out, equally long: 10" in notes
    assert "put at the mean of their neighbours': 14" in notes
