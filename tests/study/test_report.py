import os
import re
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import coin_experiment

from batonq.study import tables
from batonq.study.rows import Interval
from batonq.study.run import rebuild

REBUILD = """
import sys
from pathlib import Path
import coin_experiment
from batonq.study import tables
from batonq.study.rows import Interval
from batonq.study.run import rebuild
rebuild(Path(sys.argv[1]), lambda name: coin_experiment.summarise)
"""


class Page(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.tags = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))

    def named(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def page(result):
    text = result.path.read_text()
    return text, Page(text)


def test_the_page_loads_nothing(coin_result):
    text, parsed = page(coin_result)
    assert not {tag for tag, _ in parsed.tags} & {
        "script", "link", "img", "iframe", "object", "embed", "base", "image"
    }  # fmt: skip
    for _, attributes in parsed.tags:
        for name in ("src", "srcset", "href", "xlink:href", "data", "action"):
            assert attributes.get(name, "#").startswith("#")
    assert "@import" not in text
    assert not re.search(r"url\((?!#)", text)
    (policy,) = [m for m in parsed.named("meta") if "http-equiv" in m]
    assert policy["content"].startswith("default-src 'none'")


def test_the_page_can_be_read_on_a_phone_in_the_dark_and_aloud(coin_result):
    text, parsed = page(coin_result)
    assert any(m.get("name") == "viewport" for m in parsed.named("meta"))
    assert "prefers-color-scheme: dark" in text
    assert parsed.named("html")[0]["lang"]
    assert len(parsed.named("h1")) == 1
    tables = len(parsed.named("table"))
    boxes = [a for a in parsed.named("div") if a.get("class") == "scroll"]
    assert tables == len(boxes) == len(parsed.named("caption"))
    assert all(box["aria-label"] and box["tabindex"] == "0" for box in boxes)
    figures = parsed.named("svg")
    assert len(figures) == len(parsed.named("figcaption")) == 3
    assert all(figure["role"] == "img" and figure["aria-label"] for figure in figures)
    assert figures[0]["aria-label"] == 'The "first" coin lies above.'
    names = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(names) == len(set(names))
    links = [attributes["href"] for attributes in parsed.named("a")]
    assert {link[1:] for link in links} <= set(names)


def test_the_page_says_what_came_out_with_markup_escaped(coin_result):
    text, _ = page(coin_result)
    assert "of &lt;tosses&gt;." in text
    assert "Coins are no agents &amp; have no interface." in text
    for row in coin_result.rows:
        assert tables.text(Interval(row.value, row.low, row.high)) in text
    assert "[0.8,0.7,0.75,0.5]" in text


def test_figures_lie_beside_the_page_as_svg_and_pdf(coin_result):
    folder = coin_result.path.parent / "figures"
    assert {path.name for path in folder.iterdir()} == {
        f"{name}.{kind}" for name in ("frontier", "curves", "handoffs") for kind in ("svg", "pdf")
    }
    assert all(path.read_bytes().startswith(b"%PDF") for path in folder.glob("*.pdf"))


def written(folder):
    return {
        path.relative_to(folder): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".jsonl"
    }


def test_the_same_cells_give_the_same_bytes_in_another_process_too(coin_result, tmp_path):
    folder = tmp_path / "coin"
    shutil.copytree(coin_result.path.parent, folder)
    before = written(folder)
    (folder / "report.html").unlink()
    shutil.rmtree(folder / "figures")
    rebuild(folder, lambda name: coin_experiment.summarise)
    assert written(folder) == before
    paths = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    subprocess.run(
        [sys.executable, "-c", REBUILD, folder],
        check=True,
        env={**os.environ, "PYTHONPATH": paths, "PYTHONHASHSEED": "7"},
    )
    assert written(folder) == before
