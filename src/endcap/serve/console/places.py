"""The page of placements: what each place does, what a change would do, and its history."""

import asyncio
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec
import numpy as np
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from endcap.events.store import Written
from endcap.recommend.filters.kinds import ITEM_FIELDS
from endcap.recommend.placing import Place
from endcap.recommend.recipe import HOME, Placement
from endcap.recommend.slates.objective import WEIGHTS
from endcap.recommend.slates.preview import Before, Price, outcome, prices
from endcap.schema.errors import DataError, EndcapError
from endcap.schema.toml_text import to_toml
from endcap.serve.console.backend import Backend
from endcap.serve.console.changes import compare_ids
from endcap.serve.console.directory import Directory
from endcap.serve.console.forms import FormError, read_form
from endcap.serve.console.guard import own_post
from endcap.serve.console.i18n import Words, choose
from endcap.serve.console.links import link
from endcap.serve.console.render import page

PATH: Final = "/placements"
SHOPPERS: Final = 12
"""Lively shoppers for whom a change is tried out."""
LISTED: Final = 4
"""Those whose slates are shown."""
K: Final = 10
KEPT: Final = 20
"""Versions that the page lists."""
MAX_NAME: Final = 64


@dataclass(frozen=True, slots=True)
class Row:
    """One position of a slate after a change: who stands there, and where they come from."""

    item_id: str
    mark: str
    places: int


@dataclass(frozen=True, slots=True)
class Pair:
    """One shopper's slate before and after a change."""

    actor: str
    before: tuple[str, ...]
    after: tuple[Row, ...]
    relaxed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """What a change would do for all shoppers that were asked.

    `expected` holds (outcome, of a slate now, of a slate then) where chances were learnt.
    """

    shoppers: int
    changed: float
    cost: float
    rules: tuple[Price, ...]
    pairs: tuple[Pair, ...]
    expected: tuple[tuple[str, float, float], ...] = ()


class PlacesPage:
    """The page and its one form.

    Parameters
    ----------
    backend
        The running shop.
    directory
        Its shoppers.
    """

    def __init__(self, backend: Backend, directory: Directory) -> None:
        self._backend = backend
        self._directory = directory

    def routes(self) -> list[Route]:
        """Return the routes to add to the console's."""
        return [
            Route(PATH, self.show, name="placements"),
            Route("/console/placements", self.act, methods=["POST"]),
        ]

    def show(self, request: Request) -> Response:
        """Show one place; ``name`` of none yet begins a new one from the home page's."""
        name = request.query_params.get("name", HOME)[:MAX_NAME] or HOME
        places = self._backend.places()
        body = _text(places.get(name, places[HOME]).placement)
        return self._page(request, name, body, places, done=request.query_params.get("done", ""))

    async def act(self, request: Request) -> Response:
        """Try out, publish or undo, as the button says."""
        words = Words(choose(request))
        if not own_post(request):
            return page(request, "trouble.html", status=403, message=words("error.foreign"))
        try:
            form = await read_form(request)
        except FormError as error:
            return page(request, "trouble.html", status=422, message=words(str(error)))
        return await asyncio.to_thread(self._act, request, form)

    def _act(self, request: Request, form: Mapping[str, str]) -> Response:
        name, body, what = form.get("name", "")[:MAX_NAME], form.get("body", ""), form.get("act")
        trial: Trial | None = None
        trouble: EndcapError | None = None
        try:
            if what == "try":
                trial = self._tried(name, _values(body))
            elif what == "publish":
                self._backend.write_place(name, _values(body), _whole(form.get("version", "")))
                return RedirectResponse(link(PATH, name=name, done="published"), 303)
            elif what == "undo":
                self._backend.undo_place(name)
                return RedirectResponse(link(PATH, name=name, done="undone"), 303)
        except EndcapError as error:
            trouble = error  # told on the page, beside what was typed
        places = self._backend.places()
        return self._page(request, name, body, places, trial=trial, trouble=trouble)

    def _tried(self, name: str, values: Mapping[str, Any]) -> Trial:
        users = [shopper.actor for shopper in self._directory.lively(SHOPPERS)]
        found = self._backend.try_place(name, values, users, K)
        changed = [len(set(one.after) - set(one.before)) for one in found]
        return Trial(
            len(found),
            float(np.mean(changed)) if found else 0.0,
            float(np.mean([one.cost for one in found])) if found else 0.0,
            tuple(prices(found)),
            tuple(map(_pair, found[:LISTED])),
            _expected(found),
        )

    def _page(
        self,
        request: Request,
        name: str,
        body: str,
        places: Mapping[str, Place],
        *,
        trial: Trial | None = None,
        trouble: EndcapError | None = None,
        done: str = "",
    ) -> Response:
        place = places.get(name)
        versions = self._backend.history(name) if place and place.version else []
        shown = [i for pair in trial.pairs for i in _ids(pair)] if trial else []
        return page(
            request,
            "placements.html",
            page="placements",
            name_of_place=name,
            place=place,
            places=places,
            body=body,
            versions=[_version(one) for one in versions[:KEPT]],
            trial=trial,
            trouble=trouble,
            done=done if done in {"published", "undone"} else "",
            facts=self._backend.state.facts(shown),
            fields=sorted(ITEM_FIELDS),
        )


def _pair(one: Before) -> Pair:
    entered, _, moved = compare_ids(one.before, one.after)
    rows = tuple(
        Row(
            item_id,
            "new" if item_id in entered else _direction(moved.get(item_id, 0)),
            abs(moved.get(item_id, 0)),
        )
        for item_id in one.after
    )
    relaxed = tuple(f"{e.name}: {e.relaxed}" for e in one.effects if e.relaxed)
    return Pair(one.user_id, tuple(one.before), rows, relaxed)


def _direction(places: int) -> str:
    return "up" if places > 0 else "down" if places < 0 else ""


def _ids(pair: Pair) -> list[str]:
    return [*pair.before, *(row.item_id for row in pair.after)]


def _version(one: Written) -> dict[str, Any]:
    body = None if one.body is None else to_toml(msgspec.json.decode(one.body))
    return {"version": one.version, "written": one.written, "body": body}


def _text(placement: Placement) -> str:
    return to_toml(placement.model_dump(mode="json", exclude_defaults=True))


def _expected(found: Sequence[Before]) -> tuple[tuple[str, float, float], ...]:
    sides = outcome(found)
    if sides is None:
        return ()
    rows = ((name, *(getattr(side, name) for side in sides)) for name in WEIGHTS)
    return tuple(row for row in rows if np.isfinite(row[1:]).all())


def _values(body: str) -> dict[str, Any]:
    try:
        return tomllib.loads(body.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        raise DataError(f"This is no TOML: {error}.", hint="key = value, [table].") from error


def _whole(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 10 else 0
