import json
import logging

import pytest
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from batonq.base import errors
from batonq.service import models, problems


@pytest.mark.parametrize(
    ("kind", "status", "name"),
    [
        (errors.UnknownError, 404, "unknown"),
        (errors.ConflictError, 409, "conflict"),
        (errors.RefusedError, 403, "refused"),
        (errors.WireError, 422, "malformed"),
        (errors.DataError, 422, "malformed"),
        (errors.ModelError, 422, "malformed"),
    ],
)
def test_an_error_of_ours_says_what_it_says(kind, status, name):
    found = problems.of_error(kind("handoff 'h': what is wrong"))
    assert found["status"] == status
    assert found["type"] == f"urn:batonq:problem:{name}"
    assert found["detail"] == "handoff 'h': what is wrong"
    assert found["title"]


def test_a_failing_store_is_not_described(caplog):
    with caplog.at_level(logging.ERROR):
        found = problems.of_error(errors.StoreError("/home/me/desk.db: the disk is full"))
    assert found["status"] == 503
    assert "/home" not in json.dumps(found)
    assert "the disk is full" in caplog.text


def test_what_nobody_expected_is_told_to_the_log_without_its_words(caplog):
    def deep():
        raise KeyError("the artifact's secret")

    try:
        deep()
    except KeyError as error:
        response = problems.of_exception(error)
    assert response.status_code == 500
    assert response.media_type == "application/problem+json"
    assert b"secret" not in response.body
    assert "deep:" in caplog.text
    assert "KeyError" in caplog.text
    assert "secret" not in caplog.text


def test_an_error_without_a_status_of_its_own_is_internal(caplog):
    assert problems.of_error(errors.BatonqError("odd"))["status"] == 500


@pytest.mark.parametrize("status", [404, 405, 400, 413, 418])
def test_errors_of_the_framework_are_documents(status):
    response = problems.of_exception(HTTPException(status, headers={"Allow": "GET"}))
    assert json.loads(response.body)["status"] == response.status_code == status
    assert response.headers["allow"] == "GET"


def places(model, body):
    with pytest.raises(ValidationError) as caught:
        model.model_validate(body)
    response = problems.of_exception(RequestValidationError(caught.value.errors(), body=body))
    assert response.status_code == 422
    found = json.loads(response.body)
    return found, {one["pointer"]: one["detail"] for one in found["errors"]}


def test_a_malformed_body_names_the_places_but_no_values():
    body = {"handoff_id": "h", "reward": "the secret", "costs": {"a/b~c": True}, "rewrd": 1}
    found, wrong = places(models.Settle, body)
    assert set(wrong) == {"/reward", "/costs/a~1b~0c", "/rewrd"}
    assert "the secret" not in json.dumps(found)
    assert found["detail"].startswith("The call is malformed: /")


def test_places_are_bounded():
    found, _ = places(models.Settle, {"handoff_id": "h", **{f"x{k}": 1 for k in range(500)}})
    assert len(found["errors"]) == 20
    assert "and 499 more" in found["detail"]


def test_a_body_that_tells_nothing():
    _, wrong = places(models.Outcomes, {"handoff_id": "h", "key": "k"})
    assert wrong == {"": "give reward, duration or realised"}


def test_places_are_of_the_body_and_name_no_alternatives():
    body = {"agent": "a", "state": 1, "to": ["a", 2], "costs": {"a": 1}, "hops": "2"}
    _, wrong = places(models.Decide, body)
    assert set(wrong) == {"/to", "/to/1", "/costs/a", "/hops"}
    calls = [{"do": "finish", "handoff_id": "h"}, {"do": "settle", "reward": "1"}, {"do": "x"}, 7]
    _, wrong = places(models.Batch, {"calls": calls})
    assert set(wrong) == {"/calls/1/handoff_id", "/calls/1/reward", "/calls/2", "/calls/3"}
    _, wrong = places(models.Decide, [])
    assert set(wrong) == {""}
