"""Routes: the HTTP interface of a node, under /v1."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any, Final, get_type_hints

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import ValidationError
from starlette.types import ASGIApp, Receive, Scope, Send

from batonq import __version__
from batonq.base.errors import StoreError
from batonq.node import tracing
from batonq.node.team import Team
from batonq.service import answers, models, operations
from batonq.service import headers as names
from batonq.service.gate import BODY_KEY, JSON, Gate
from batonq.service.problems import MEDIA_TYPE, ProblemError
from batonq.service.security import Guard, caller
from batonq.service.settings import Settings
from batonq.wire import messages

logger = logging.getLogger(__name__)

_PROBLEM: Final = {"schema": {"$ref": "#/components/schemas/Problem"}}
_TOLD: Final = {
    400: "The request's headers are wrong.",
    401: "No token, or one this node does not know.",
    403: "The caller may not do this, or the node refuses it.",
    404: "An agent or a handoff that this node does not know.",
    408: "The body did not come in time.",
    409: "It contradicts what is recorded of the handoff; the record stays.",
    413: "The body is too large.",
    415: "The body is not JSON in UTF-8.",
    421: "The Host header names another node.",
    422: "The body is malformed; `errors` has the places.",
    429: "Too many calls; wait as long as Retry-After says.",
    500: "The node failed.",
    503: "The node's store cannot keep it now; nothing was done.",
}
_ALWAYS: Final = (400, 401, 403, 421, 429, 500)
_POSTED: Final = (*_ALWAYS, 404, 408, 409, 413, 415, 422, 503)


@dataclass(frozen=True)
class Node:
    """What routes work on; at `app.state.node`.

    Attributes:
        team: the agents.
        settings: how they are served.
        guard: who may do what.
    """

    team: Team
    settings: Settings
    guard: Guard


def node_of(request: Request) -> Node:
    """The node that a request came to."""
    node: Node = request.app.state.node
    return node


class StrictRoute(APIRoute):
    """A route whose one parameter `body` is read as strict JSON, then checked by its model.

    FastAPI sees the parameter and documents it. Its own reading, which would let a key stand twice
    and take NaN for a number, is passed by, and with it what it does for dependencies, as no route
    here has any: the time goes to the node instead.
    """

    def __init__(self, path: str, endpoint: Callable[..., Any], **settings: Any) -> None:
        super().__init__(path, endpoint, **settings)
        model: type[models.Body] | None = get_type_hints(endpoint).get("body")
        if model is not None:
            self.app = _strict(endpoint, model)


def _strict(endpoint: Callable[..., Any], model: type[models.Body]) -> ASGIApp:
    """The application of one route: parse, check, call, answer."""
    validate = model.model_validate

    async def strict(scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        content: bytes = scope[BODY_KEY]
        document = messages.parse(content, len(content))  # the gate has the limit
        try:
            body = validate(document)
        except ValidationError as error:
            found = error.errors(include_url=False, include_context=False, include_input=False)
            raise RequestValidationError(found, body=document) from None
        with _trace_of(request, body):
            response: Response = await endpoint(body, request)
        await response(scope, receive, send)

    return strict


def _trace_of(request: Request, body: models.Body) -> AbstractContextManager[None]:
    """Go on with the caller's trace: of our own pipeline, and of a peer that was opted in."""
    given = request.scope[names.SCOPE_KEY].get(names.TRACE)
    if given is None:
        return nullcontext()
    propagate = True
    if isinstance(body, models.Receive):
        peer = node_of(request).team.peers.get(body.sender)
        propagate = peer is not None and peer.propagate
    return tracing.incoming({tracing.HEADER: given}, propagate)


def told(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """Problems a route can end with, for the OpenAPI document."""
    return {
        status: {"description": _TOLD[status], "content": {MEDIA_TYPE: _PROBLEM}}
        for status in sorted(statuses)
    }


def _follow(call: str, place: str) -> dict[str, Any]:
    """A link of the OpenAPI document: what may be called with the handoff just answered."""
    return {"operationId": call, "requestBody": {"handoff_id": f"$response.body#/{place}"}}


_LINKS: Final[dict[int | str, dict[str, Any]]] = {
    200: {"links": {name: _follow(name, "id") for name in ("settle", "finish", "outcomes")}}
}
router = APIRouter(
    prefix="/v1", route_class=StrictRoute, generate_unique_id_function=lambda route: route.name
)


def answer(document: Mapping[str, Any], status: int = 200) -> Response:
    """An answer, written as it is: what it holds has been checked where it was made."""
    return Response(operations.encode(document).encode(), status, media_type=JSON)


@router.post(
    "/decide",
    summary="Decide to whom to hand off",
    response_model=answers.Decided,
    responses=_LINKS | told(*_POSTED),
    tags=["control"],
)
async def decide(body: models.Decide, request: Request) -> Response:
    """Stored before it is answered. With a `handoff_id` of yours a repeat gets the same again."""
    node = node_of(request)
    return answer(await operations.decide(node.team, body, node.settings.threads))


@router.post(
    "/settle",
    summary="Tell what came of a handoff",
    response_model=answers.Done,
    responses=told(*_POSTED),
    tags=["control"],
)
async def settle(body: models.Settle, request: Request) -> Response:
    """Learnt from once. If the receiver's quote cannot be had now, it waits and is asked for again.

    A repeat with the same content answers `repeated`; with other content it is a conflict.
    """
    node = node_of(request)
    return answer(await operations.settle(node.team, body, node.settings.threads))


@router.post(
    "/finish",
    summary="Tell that a workflow ended with a handoff",
    response_model=answers.Done,
    responses=told(*_POSTED),
    tags=["control"],
)
async def finish(body: models.Finish, request: Request) -> Response:
    """Also after the handoff was settled; the reward then counts from the end of its duration."""
    node = node_of(request)
    return answer(await operations.finish(node.team, body, node.settings.threads))


@router.post(
    "/outcomes",
    summary="Correct an outcome, or tell what a handoff was worth",
    response_model=answers.Done,
    responses=told(*_POSTED),
    tags=["control"],
)
async def outcomes(body: models.Outcomes, request: Request) -> Response:
    """Late, corrected and human rewards. The same `key` again does nothing."""
    node = node_of(request)
    return answer(await operations.outcomes(node.team, body, node.settings.threads))


@router.post(
    "/batch",
    summary="Several calls in one",
    response_model=answers.Results,
    responses=told(*_POSTED),
    tags=["control"],
)
async def batch(body: models.Batch, request: Request) -> Response:
    """Done in order; each is kept or refused by itself, and a result may be a problem.

    A call is kept once its result is known, not before; a batch whose answer was lost can be sent
    again. If one call is malformed, none is done.
    """
    node = node_of(request)
    count, most = len(body.calls), node.settings.batch_limit
    if count > most:
        raise ProblemError(413, f"A batch of {count} calls; at most {most} in one.")
    gate: Gate = request.app.state.gate
    if count > 1:
        gate.charge(caller(request), count - 1)
    return answer({"results": await operations.batch(node.team, body.calls, node.settings.threads)})


@router.post(
    "/receive",
    summary="Hand an artifact on and get its quote",
    response_model=answers.Quoted,
    response_model_exclude_none=True,
    responses=told(*_POSTED),
    tags=["peer"],
)
async def receive(body: models.Receive, request: Request) -> Response:
    """The only way to a quote. Asked again for the same handoff, the answer is the same."""
    node = node_of(request)
    caller(request).check_sender(body.sender)
    with tracing.invocation(body.receiver, handoff_id=body.handoff_id):
        return answer(await operations.receive(node.team, body, node.settings.threads))


@router.get(
    "/declaration",
    summary="What this node's quotes mean",
    response_model=answers.Declared,
    responses=told(*_ALWAYS),
    tags=["peer"],
)
async def declaration(request: Request) -> Response:
    """Discount, units, range and rounding; a peer must agree before it learns from quotes."""
    return answer(node_of(request).team.declaration.document())


@router.get(
    "/health",
    summary="Whether the node works",
    response_model=answers.Health,
    response_model_exclude_none=True,
    responses={**told(400, 403, 421, 429, 500), 503: {"model": answers.Health}},
    tags=["open"],
)
async def health(request: Request) -> Response:
    """Needs no token; tells more with it. 503 if the store cannot be read."""
    team = node_of(request).team
    numbers = operations.numbers(team)
    found: dict[str, Any] = {"status": "ok" if numbers else "failing"}
    if caller(request).kind == "control":
        if numbers:
            found |= {"events": numbers[0], "open": numbers[1]}
        found |= {
            "name": team.core.name,
            "version": __version__,
            "mode": team.mode,
            "agents": list(team.agents),
            "peers": list(team.peers),
        }
    return answer(found, 200 if numbers else 503)


@router.get(
    "/handoffs/{handoff_id}",
    summary="What is recorded of a handoff",
    response_model=answers.Handoff,
    responses=told(*_ALWAYS, 404, 422, 503),
    tags=["control"],
)
async def handoff(handoff_id: models.HandoffId, request: Request) -> Response:
    """Decision, outcome, quote, corrections: every event, in order."""
    return answer(operations.recorded(node_of(request).team, handoff_id))


@router.post(
    "/mode",
    summary="Observe, apply or bypass",
    response_model=answers.Switched,
    responses=told(*_POSTED),
    tags=["control"],
)
async def mode(body: models.Mode, request: Request) -> Response:
    """The kill switch: "bypass" works even if the store cannot be written."""
    node = node_of(request)
    try:
        await operations.run(node.settings.threads, node.team.set_mode, body.mode, body.by)
    except StoreError as error:
        logger.warning("store: %s", error)
        detail = f"The mode is {node.team.mode} now, but could not be stored: a restart forgets it."
        raise ProblemError(503, detail) from error
    return answer({"mode": node.team.mode})


@router.get("/openapi.json", include_in_schema=False)
async def openapi(request: Request) -> Response:
    """The OpenAPI document."""
    return answer(request.app.openapi())
