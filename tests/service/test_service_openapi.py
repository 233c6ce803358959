"""The OpenAPI document, and calls made up from it; at length: `benchmarks.schemathesis_run`."""

import random
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest
from served import TOKEN, client, desk

from batonq.service.app import application
from batonq.service.limits import Rate
from batonq.service.settings import Settings
from batonq.wire import chain

FAST = Rate(1e9, 1e9)


@pytest.fixture(scope="module", autouse=True)
def _benchmarks() -> Iterator[None]:
    """Benchmarks lie beside the package, not in it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(Path(__file__).parents[2])
        yield


@pytest.fixture(scope="module")
def document():
    with desk() as team:
        return application(team).openapi()


def test_every_operation_is_described(document):
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            where = f"{method} {path}"
            assert operation["summary"], where
            assert operation["description"], where
            assert operation["tags"][0] in {"control", "peer", "open"}, where
            assert ("security" in operation) == (path != "/v1/health"), where
            codes = set(operation["responses"])
            assert {"200", "400", "403", "421", "429", "500"} <= codes, where
            if method == "post":
                assert {"401", "404", "409", "413", "415", "422", "503"} <= codes, where
            for code, response in operation["responses"].items():
                if int(code) >= 400 and path != "/v1/health":
                    assert list(response["content"]) == ["application/problem+json"], where


def test_every_field_of_a_body_has_a_description_or_an_example(document):
    schemas = document["components"]["schemas"]
    for name in ("Decide", "Settle", "Finish", "Outcomes", "Batch", "Receive", "Mode"):
        schema = schemas[name]
        assert schema["additionalProperties"] is False
        for field, about in schema["properties"].items():
            text = str(about)
            assert "'description'" in text or "'examples'" in text, f"{name}.{field}"


def test_the_handoff_of_a_decision_leads_on(document):
    links = document["paths"]["/v1/decide"]["post"]["responses"]["200"]["links"]
    known = {one["operationId"] for path in document["paths"].values() for one in path.values()}
    assert {one["operationId"] for one in links.values()} == {"settle", "finish", "outcomes"}
    assert {one["operationId"] for one in links.values()} <= known


def test_calls_made_up_from_the_document(tmp_path):
    cases = import_module("benchmarks._schemathesis_cases")
    settings = Settings(token=TOKEN, control_rate=FAST, peer_rate=FAST, nobody_rate=FAST)
    with desk(tmp_path / "desk.db") as team, client(team, settings) as node:
        run = cases.Run(
            str(node.base_url).rstrip("/"), TOKEN, team.declaration.digest(), random.Random(1)
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the tool, about its own parts
            cases.a_round(run, cases.document(run), examples=8, number=1)
            cases.flows(run, cases.document(run), examples=3, number=1)
        assert "\n".join(run.wrong) == ""
        assert run.refused == []
        assert run.share() >= 0.99
        assert min(count for (route, _), count in run.counts.items() if route != "free") > 0
        assert chain.verify(team.store.rows()).bad is None
        tables = {name: one.table() for name, one in team.agents.items()}
        opened = team.store.count_open()
    with desk(tmp_path / "desk.db") as team:
        assert {name: one.table() for name, one in team.agents.items()} == tables
        assert team.store.count_open() == opened
