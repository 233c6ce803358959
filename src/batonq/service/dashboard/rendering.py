"""Rendering: templates, the words that figures become, and the headers every page has."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from itertools import accumulate
from typing import Any, Final
from urllib.parse import quote

from fastapi import Response
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined

from batonq.base.files import Json
from batonq.node.overview.fold import RECENT
from batonq.node.overview.view import Overview
from batonq.service.dashboard import charts

STATIC: Final = {
    "dashboard.css": "text/css; charset=utf-8",
    "dashboard.js": "text/javascript; charset=utf-8",
}
HEADERS: Final = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    # With "no-referrer" a browser says that a form comes from nowhere, and the gate refuses it.
    "Referrer-Policy": "same-origin",
}
HASHED: Final = "#text"  # the field of a key that stands for free text (`node.seeing`)
FULL: Final = 8  # windows from which only full ones are drawn
PARTS: Final = {  # what of a page is kept up to date, by template
    "overview": ("status", "graph", "curve", "decisions", "peers", "terms"),
    "peers": ("peers",),
    "agent": ("agent",),
}


@cache
def static(name: str) -> bytes:
    """The script or the style."""
    return resources.files(__package__).joinpath("static", name).read_bytes()


@cache
def release() -> str:
    """Changes whenever a static file does, so that browsers may keep them."""
    return hashlib.sha256(b"".join(static(name) for name in STATIC)).hexdigest()[:12]


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("batonq.service.dashboard"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        figure=figure,
        iso=lambda at: datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds"),
        clock=lambda at: datetime.fromtimestamp(at, UTC).strftime("%d %b %H:%M:%S"),
        short=lambda text, length: text if len(text) <= length else text[: length - 1] + "…",
        path=lambda text: quote(text, safe=""),
        capital=lambda text: text[:1].upper() + text[1:],
        evidence=evidence,
        seen=seen,
        as_json=lambda value: json.dumps(value, ensure_ascii=False),
    )
    return environment


def figure(number: float) -> str:
    """A number with four digits, whole ones in full; a true minus."""
    if float(number).is_integer() and abs(number) < 1e15:
        text = f"{number:,.0f}"
    else:
        text = f"{number:,.4g}"
    return text.replace("-", "−")


def evidence(found: Json) -> str:
    """Why a peer stands as it does, in a line (`node.trust.evidence`)."""
    if not isinstance(found, Mapping) or not found.get("tested"):
        return "nothing tested yet"
    told = [f"p {figure(found['p'])} over {figure(found['tested'])} handoffs"]
    if found.get("excess") is not None:
        told.append(f"quotes exceed what came of them by {figure(found['excess'])}")
    if found.get("excess_se") is not None:
        told[-1] += f" ± {figure(found['excess_se'])}"
    return ", ".join(told)


def seen(y: str) -> str:
    """An information state in words: fields with their values; hashed text only by its length.

    Args:
        y: its key (`node.seeing`), perhaps cut short.
    """
    try:
        fields = json.loads(y)
    except ValueError:
        return y
    if not isinstance(fields, dict):
        return y
    told = [
        f"text of {len(value)} hashed words and pairs"
        if name == HASHED
        else f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in fields.items()
    ]
    return ", ".join(told) or "nothing"


def page(template: str, context: Mapping[str, Any], status: int = 200) -> Response:
    """A whole page."""
    text = _environment().get_template(f"{template}.html.j2").render(context, release=release())
    return HTMLResponse(text.encode("utf-8", "replace"), status, headers=HEADERS)


def parts(template: str, context: Mapping[str, Any]) -> dict[str, str]:
    """The parts of a page that change, by name, as HTML."""
    environment = _environment()
    return {
        name: environment.get_template(f"_{name}.html.j2").render(context)
        for name in PARTS[template]
    }


def drawn(view: Overview) -> dict[str, Json]:
    """What the overview's charts need beside the overview itself."""
    points = [one for one in view.curve if one.outcomes or one.decisions]
    if len(points) > FULL:  # the window that is not full yet would end the line in noise
        points = points[:-1]
    xs = list(accumulate(float(one.outcomes) for one in points))
    series = {
        name: [getattr(one, name) for one in points]
        for name in ("reward", "per_workflow", "error", "explored")
    }
    return {
        "graph": charts.graph(view.edges),
        "lines": {name: charts.line(xs, ys, "outcomes") for name, ys in series.items()},
        "recent": RECENT,
    }
