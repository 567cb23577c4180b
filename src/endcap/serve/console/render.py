"""Templates to pages: autoescaped, with the console's headers on every one."""

import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any

import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse

from endcap.serve.console import assets
from endcap.serve.console.cards import Card, Facts, name_of
from endcap.serve.console.guard import HEADERS
from endcap.serve.console.i18n import COOKIE, LANGUAGES, Words, choose
from endcap.serve.console.links import here, link, plain_name, who_query
from endcap.serve.console.seat import Seat

WIDTH, HEIGHT = 320.0, 104.0
_YEAR = 31_536_000


@cache
def _templates() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("endcap.serve.console"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        asset=assets.url,
        link=link,
        who_query=who_query,
        plain_name=plain_name,
        languages=LANGUAGES,
        fresh=lambda: uuid.uuid4().hex,
        iso=iso,
        line=line,
        area=area,
    )
    return environment


def page(
    request: Request, template: str, *, status: int = 200, page: str = "", **values: Any
) -> HTMLResponse:
    """Return a page in the language of the request.

    Parameters
    ----------
    page
        Which entry of the navigation is current.
    values
        What the template shows; ``facts`` gives items their names.
    """
    words = Words(choose(request))
    facts: Mapping[str, Facts] = values.get("facts", {})
    content = (
        _templates()
        .get_template(template)
        .render(
            t=words,
            page=page,
            here=partial(here, request),
            twin=link(twin_of(request.url.path), **request.query_params),
            name=lambda item_id: name_of(item_id, facts),
            evidence_label=partial(evidence_label, words),
            heat_data=heat_data,
            **values,
        )
    )
    response = HTMLResponse(content, status, headers=HEADERS)
    if request.query_params.get("lang") in LANGUAGES:
        response.set_cookie(
            COOKIE, words.language, max_age=_YEAR, httponly=True, samesite="lax",
            secure=request.url.scheme == "https",
        )  # fmt: skip
    return response


def twin_of(path: str) -> str:
    """Return the path of a page's JSON twin."""
    return "/index.json" if path == "/" else f"{path}.json"


def iso(micros: int) -> str:
    """Return a time as HTML writes it."""
    return datetime.fromtimestamp(micros / 1e6, UTC).isoformat(timespec="seconds")


def evidence_label(words: Words, card: Card) -> str:
    """Return the evidence bar in words, for those who do not see it."""
    parts = [
        words("card.evidence_part", title=part.title, share=f"{part.share:.0f} %")
        for part in card.parts
    ]
    rest = 100 - card.told
    if rest >= 1:
        parts.append(words("card.evidence_rest", share=f"{rest:.0f} %"))
    return words("card.evidence", parts=", ".join(parts))


def heat_data(seat: Seat) -> dict[str, Any]:
    """Return what the heat map draws: names of rows and columns, and [column, row, percent]."""
    shown, past = seat.evidence.shown, seat.evidence.past
    return {
        "columns": [name_of(item, seat.facts) for item in shown],
        "rows": [name_of(item, seat.facts) for item in past],
        "cells": [
            [column, row, round(100 * share, 1)]
            for row, shares in enumerate(seat.evidence.shares)
            for column, share in enumerate(shares)
            if share is not None
        ],
    }


def line(points: Sequence[tuple[float, float]]) -> str:
    """Return an SVG path through points of the unit square."""
    return "M" + " L".join(f"{WIDTH * x:.1f} {110 - HEIGHT * y:.1f}" for x, y in points)


def area(points: Sequence[tuple[float, float]]) -> str:
    """Return an SVG path around what lies below `line`."""
    return f"{line(points)} L{WIDTH:.0f} 110 L0 110 Z"
