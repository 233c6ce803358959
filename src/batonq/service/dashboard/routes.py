"""Routes of the dashboard: pages, the stream of their news, and what is done by hand."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Final
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from fastapi.routing import APIRoute

from batonq.base.errors import BatonqError, RefusedError, StoreError, UnknownError, WireError
from batonq.node.team import Team
from batonq.service import problems
from batonq.service.dashboard import acts, rendering
from batonq.service.dashboard.pages import Pages
from batonq.service.dashboard.stream import Streams

Asked = Callable[[Request], Any]
Frame = Callable[..., dict[str, Any]]  # of a request, a page and its stream (`Pages.frame`)
MOST_BODY: Final = 16_384  # bytes of a form


def never() -> bool:
    """Whether the server is shutting down, when nobody tells."""
    return False


def dashboard(
    team: Team, viewer: Asked, csrf: Asked, closing: Callable[[], bool] = never
) -> APIRouter:
    """Routes of the dashboard of one node.

    Args:
        team: the node.
        viewer: who looks: raises if they may not, else returns something with a `name`, and the
            `kind` "viewer" if they can log out.
        csrf: the token that a form of this caller must carry in a field `csrf`.
        closing: whether the server is shutting down; streams end then.
    """
    pages = Pages(team)

    def frame(request: Request, here: str, stream: str = "") -> dict[str, Any]:
        session = getattr(viewer(request), "kind", "") == "viewer"
        return pages.frame(csrf(request), session, here, stream)

    router = APIRouter(dependencies=[Depends(viewer)], route_class=_page_route(frame))
    _add_pages(router, pages, frame)
    _add_acts(router, team, pages, viewer, csrf)
    _add_stream(router, pages, frame, closing)
    whole = APIRouter(include_in_schema=False)
    whole.include_router(router)

    @whole.get("/static/{name}")
    def static(name: str) -> Response:  # nothing of the node is in it, so all may have it
        if name not in rendering.STATIC:
            raise UnknownError(f"{name!r}: there is no such file")
        headers = {"Cache-Control": "public, max-age=86400", "X-Content-Type-Options": "nosniff"}
        return Response(rendering.static(name), 200, headers, rendering.STATIC[name])

    return whole


def _add_stream(router: APIRouter, pages: Pages, frame: Frame, closing: Callable[[], bool]) -> None:
    streams = Streams(closing)

    @router.get("/events")
    async def events(
        request: Request,
        page: Annotated[str, Query(max_length=16)] = "overview",
        name: Annotated[str, Query(max_length=128)] = "",
    ) -> Response:
        context = {
            "overview": pages.overview,
            "peers": pages.peers,
            "agent": lambda: pages.agent(name),
        }.get(page)
        if context is None:
            raise UnknownError(f"page {page!r}: has no stream")
        await run_in_threadpool(context)
        return streams.open(page, name, context, frame(request, ""))


def _add_pages(router: APIRouter, pages: Pages, frame: Frame) -> None:
    @router.get("/")
    def overview(request: Request) -> Response:
        return rendering.page("overview", frame(request, "/", "/events") | pages.overview())

    @router.get("/peers")
    def peers(request: Request) -> Response:
        base = frame(request, "/peers", "/events?page=peers")
        return rendering.page("peers", base | pages.peers())

    @router.get("/agents/{name}")
    def agent(
        request: Request,
        name: str,
        q: Annotated[str, Query(max_length=200)] = "",
        sort: Annotated[str, Query(max_length=16)] = "count",
        page: Annotated[int, Query(ge=1, le=1_000_000_000)] = 1,
    ) -> Response:
        stream = f"/events?page=agent&name={name}"
        base = frame(request, f"agent {name}", stream)
        told = pages.agent(name) | pages.table(name, q, sort, page)
        return rendering.page("agent", base | told)

    @router.get("/handoffs/{handoff_id:path}")
    def handoff(request: Request, handoff_id: str) -> Response:
        base = frame(request, "handoff")
        return rendering.page("handoff", base | pages.handoff(handoff_id))


def _add_acts(router: APIRouter, team: Team, pages: Pages, viewer: Asked, csrf: Asked) -> None:
    async def form(request: Request) -> dict[str, str]:
        """The fields of a form, once its token is right."""
        body = await request.body()
        if len(body) > MOST_BODY:
            raise WireError(f"the form is larger than {MOST_BODY} bytes")
        try:
            fields = parse_qs(body.decode("utf-8"), keep_blank_values=True, max_num_fields=16)
        except ValueError as error:
            raise WireError("the form is malformed") from error
        given = {name: values[-1] for name, values in fields.items()}
        token = request.headers.get("x-csrf-token") or given.get("csrf", "")
        if not hmac.compare_digest(token.encode(), str(csrf(request)).encode()):
            raise RefusedError("the page is out of date: load it again, then repeat")
        return given

    async def done(request: Request, act: Callable[[str], str]) -> Response:
        """Do something in the name of the caller, then show where it leads."""
        by = str(getattr(viewer(request), "name", ""))
        try:
            where = await run_in_threadpool(act, by)
        finally:
            pages.changed()
        return RedirectResponse(where, 303, headers=rendering.HEADERS)

    @router.post("/mode")
    async def mode(request: Request) -> Response:
        fields = await form(request)
        return await done(request, lambda by: acts.set_mode(team, fields, by))

    @router.post("/promote")
    async def promote(request: Request) -> Response:
        fields = await form(request)
        return await done(request, lambda _: acts.promote(team, fields))

    @router.post("/rollback")
    async def rollback(request: Request) -> Response:
        fields = await form(request)
        return await done(request, lambda _: acts.rollback(team, fields))

    @router.post("/peers/{name}/quarantine")
    async def quarantine(request: Request, name: str) -> Response:
        await form(request)
        return await done(request, lambda _: acts.judge(team, name, "quarantine"))

    @router.post("/peers/{name}/release")
    async def release(request: Request, name: str) -> Response:
        await form(request)
        return await done(request, lambda _: acts.judge(team, name, "release"))


def _page_route(frame: Frame) -> type[APIRoute]:
    """Routes whose errors are pages."""

    class PageRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def told(request: Request) -> Response:
                try:
                    return await handler(request)
                except BatonqError as error:
                    found = problems.of_error(error)
                    if isinstance(error, StoreError):
                        found["detail"] = acts.STORE_FAILED
                    base = frame(request, "error")
                    more = {"title": found["title"], "detail": found["detail"], "back": "/"}
                    return rendering.page("error", base | more, found["status"])

            return told

    return PageRoute
