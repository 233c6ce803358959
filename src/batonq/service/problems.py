"""Problem: the one shape of every error over HTTP, a problem document of RFC 9457.

No document holds a traceback, a path of this machine, or what the caller sent as a value.
"""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from batonq.base.errors import (
    BatonqError,
    ConflictError,
    DataError,
    ModelError,
    RefusedError,
    StoreError,
    UnknownError,
    WireError,
)

logger = logging.getLogger(__name__)

MEDIA_TYPE: Final = "application/problem+json"
_MOST_PLACES: Final = 20  # a body can be wrong in as many places as it has

# Which status an error of ours is, the first that fits; the name is the end of the type's URN.
_ERRORS: Final[tuple[tuple[type[BatonqError], int, str], ...]] = (
    (UnknownError, 404, "unknown"),
    (ConflictError, 409, "conflict"),
    (RefusedError, 403, "refused"),
    (WireError, 422, "malformed"),
    (ModelError, 422, "malformed"),
    (DataError, 422, "malformed"),
)
_FRAMEWORK: Final = {
    404: "There is no such route; /v1/openapi.json lists them.",
    405: "The route has no such method; the header Allow names those it has.",
}
_NAMES: Final = {
    400: "request",
    401: "token",
    403: "refused",
    404: "unknown",
    405: "method",
    408: "slow",
    409: "conflict",
    413: "size",
    415: "media-type",
    421: "host",
    422: "malformed",
    429: "rate",
    500: "internal",
    503: "store",
}


class ProblemError(Exception):
    """An answer that is a problem document.

    Attributes:
        status: HTTP status, 400 to 599.
        detail: what is wrong and what would mend it.
        headers: further headers of the response.
    """

    def __init__(self, status: int, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


def document(
    status: int, detail: str, *, errors: Sequence[Mapping[str, str]] = (), name: str | None = None
) -> dict[str, Any]:
    """A problem document.

    Args:
        status: HTTP status.
        detail: one sentence or two: the thing, the value, the remedy.
        errors: places of a body that are wrong: a JSON pointer and what is wrong there.
        name: end of the type's URN; without, the one of the status.
    """
    found: dict[str, Any] = {
        "type": f"urn:batonq:problem:{name or _NAMES.get(status, 'request')}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
    }
    if errors:
        found["errors"] = list(errors)
    return found


def of_error(error: BatonqError) -> dict[str, Any]:
    """The document of an error of ours; one that says nothing about the call is a plain 500."""
    if isinstance(error, StoreError):
        logger.error("store: %s", error)  # it names files, which are not the caller's business
        return document(503, "The node's store cannot keep this now. Nothing was done; try again.")
    for kind, status, name in _ERRORS:
        if isinstance(error, kind):
            return document(status, str(error), name=name)
    return internal(error)


def of_validation(errors: Sequence[Any], body: Any = None) -> dict[str, Any]:
    """The document of what a model found wrong, with the places but not the values.

    Args:
        errors: as `pydantic.ValidationError.errors()` and FastAPI's wrapper of it give them.
        body: what was validated.
    """
    places = [
        {"pointer": _pointer(error, body), "detail": _plain(error)}
        for error in errors[:_MOST_PLACES]
    ]
    first = f"{places[0]['pointer'] or 'the body'}: {places[0]['detail']}" if places else "?"
    more = f", and {len(errors) - 1} more" if len(errors) > 1 else ""
    return document(422, f"The call is malformed: {first}{more}.", errors=places)


def internal(error: BaseException) -> dict[str, Any]:
    """Log where an unexpected error arose, and the document of it, which says nothing about it.

    What the error says is left out of the log: it may quote an artifact.
    """
    frames = traceback.extract_tb(error.__traceback__)[-8:]
    where = " <- ".join(f"{frame.name}:{frame.lineno}" for frame in reversed(frames))
    logger.error("%s in %s", type(error).__name__, where or "?")
    return document(500, "The node failed to handle this call; its log says where.")


def response(found: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Response:
    """A problem document as a response."""
    content = json.dumps(found, ensure_ascii=False).encode("utf-8", "replace")
    return Response(content, int(found["status"]), headers=headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make every error of the application and of the framework a problem document."""
    for kind in (BatonqError, ProblemError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, _answer)


def of_exception(error: Exception) -> Response:
    """The response to any exception a route can end with."""
    match error:
        case ProblemError():
            return response(document(error.status, error.detail), error.headers)
        case BatonqError():
            return response(of_error(error))
        case RequestValidationError():
            return response(of_validation(error.errors(), error.body))
        case HTTPException():
            detail = _FRAMEWORK.get(error.status_code, str(error.detail))
            return response(document(error.status_code, detail), error.headers)
    return response(internal(error))


def _pointer(error: Mapping[str, Any], body: Any) -> str:
    """A JSON pointer into the body (RFC 6901); "query.x" and "path.x" for what is not in it.

    A model also names the alternatives that it tried, which are no places of the body.
    """
    parts = error.get("loc", ())
    if parts and parts[0] in ("query", "path", "header"):
        return ".".join(map(str, parts))
    found, here = [], body
    for part in parts:
        if _holds(here, part):
            here = here[part]
        elif part is not parts[-1] or error.get("type") != "missing":
            continue
        found.append("/" + str(part).replace("~", "~0").replace("/", "~1")[:80])
    return "".join(found)


def _holds(value: Any, part: int | str) -> bool:
    if isinstance(value, dict):
        return part in value
    return isinstance(value, list) and isinstance(part, int) and part < len(value)


def _plain(error: Mapping[str, Any]) -> str:
    return str(error.get("msg", "is wrong")).removeprefix("Value error, ")


async def _answer(_request: Request, error: Exception) -> Response:
    return of_exception(error)
