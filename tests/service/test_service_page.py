"""docs/service.md says what the service does."""

import json
import re
from pathlib import Path

import pytest
from pydantic import TypeAdapter
from served import client, desk

from batonq.service import answers
from batonq.service.app import application
from batonq.service.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "service.md").read_text(encoding="utf-8")


def code(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture(scope="module")
def document():
    with desk() as team:
        return application(team).openapi()


def test_its_example_runs():
    (program,) = code("python")
    names = {}
    exec(program, names)  # noqa: S102 - the page's own
    counts = names["team"].counts
    assert (counts.decisions, counts.settled, counts.learnt) == (1, 1, 1)


def test_it_has_every_route_and_field(document):
    rows = dict(re.findall(r"^\| `(?:GET|POST) (\S+)` \|(.*?)\|", PAGE, re.MULTILINE))
    described = set(document["paths"]) | {"/v1/openapi.json", "/metrics", "/"}
    assert set(rows) == described
    for name in ("Decide", "Settle", "Finish", "Outcomes", "Batch", "Receive", "Mode"):
        fields = set(document["components"]["schemas"][name]["properties"])
        told = set(re.findall(r"`(\w+)`", rows[f"/v1/{name.lower()}"])) - {"do"}
        assert told == fields, name


def test_it_has_every_status(document):
    told = {int(one) for row in re.findall(r"^\| ([0-9, ]+) \|", PAGE, re.MULTILINE)
            for one in row.split(",")}  # fmt: skip
    used = {
        int(status)
        for path in document["paths"].values()
        for operation in path.values()
        for status in operation["responses"]
    }
    assert told == used - {200} | {405}


def test_its_problem_is_the_one_that_comes():
    (text,) = code("json")
    with desk() as team, client(team) as node:
        answer = node.post("/v1/settle", json={"handoff_id": "h", "reward": "1"})
    assert answer.json() == json.loads(text)
    TypeAdapter(answers.Problem).validate_python(answer.json())


def test_its_metrics_are_those_there_are():
    with desk() as team, client(team) as node:
        node.get("/v1/health")
        text = node.get("/metrics").text
    there = {
        name
        for name in re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE)
        if not name.endswith("_created")
    }
    told = set()
    for row in re.findall(r"^\| (`batonq_.*?) \|", PAGE, re.MULTILINE):
        first, *more = re.findall(r"`(\w+)`", row)
        stem = "batonq_peer" if first.startswith("batonq_peer") else "batonq"
        told |= {first, *(f"{stem}{one}" if one.startswith("_") else one for one in more)}
    assert told == there


def test_its_limits_are_the_defaults():
    settings = Settings()
    for said in (
        f"control {settings.control_rate.per_second:,} calls",
        f"each peer {settings.peer_rate.per_second:,}",
        f"token {settings.nobody_rate.per_second:,}",
        f"`body_limit` ({settings.body_limit // 1024} KiB)",
        f"above {settings.batch_limit:,} calls",
        f"within {settings.body_seconds:g} seconds",
    ):
        assert said in " ".join(PAGE.split()), said
