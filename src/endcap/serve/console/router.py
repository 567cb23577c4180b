"""The console's routes: three pages, their JSON twins, and one form that records an event."""

import asyncio
import secrets
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from time import perf_counter
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from endcap.events.store import Receipt
from endcap.schema.errors import StoreError
from endcap.serve.console import assets
from endcap.serve.console.backend import SOURCE, Backend
from endcap.serve.console.changes import Happening, Memory, compare
from endcap.serve.console.directory import Directory
from endcap.serve.console.forms import FormError, read_form
from endcap.serve.console.guard import HEADERS, own_post
from endcap.serve.console.i18n import Words, choose
from endcap.serve.console.links import link
from endcap.serve.console.lists import PER_PAGE, Shelves, newest, reasons
from endcap.serve.console.places import PlacesPage
from endcap.serve.console.render import page
from endcap.serve.console.seat import Seat, Who, as_json, ask, finite, seat

MAX_ID: Final = 512
VISITS: Final = 12
KINDS: Final = ("purchase", "view")
FATES: Final = ("stored", "duplicate", "quarantined", "rejected")


class Console:
    """The pages of one running shop.

    Parameters
    ----------
    backend
        Store, live state and recommender.

    Stability: caller.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._memory = Memory()

    @cached_property
    def _directory(self) -> Directory:
        return Directory(self._backend.store.log)

    @cached_property
    def _shelves(self) -> Shelves:
        return Shelves(self._backend.store.catalogue)

    def routes(self) -> list[Route]:
        """Return the routes to add to the application."""
        return [
            Route("/", self.index, name="console"),
            Route("/index.json", self.index_json),
            Route("/catalogue", self.catalogue),
            Route("/catalogue.json", self.catalogue_json),
            Route("/events", self.events),
            Route("/events.json", self.events_json),
            Route("/console/shoppers", self.shoppers),
            Route("/console/visitor", self.visitor),
            Route("/console/events", self.record, methods=["POST"]),
            *PlacesPage(self._backend, self._directory).routes(),
            Route(f"{assets.URL}/{{name:path}}", assets.serve),
        ]

    def index(self, request: Request) -> Response:
        """Show a shopper's seat; without one named, that of a lively shopper."""
        q = request.query_params.get("q", "")[:MAX_ID]
        found = self._directory.search(q) if q.strip() else []
        exact = any(shopper.actor == q.strip() for shopper in found)
        if exact:
            return RedirectResponse(link(user=q.strip()), 303)
        sitting = self._seat(request)
        every = request.query_params.get("all") == "1"
        return page(
            request,
            "seat.html",
            page="seat",
            seat=sitting,
            facts=sitting.facts,
            lively=self._directory.lively(),
            shown_visits=len(sitting.visits) if every else VISITS,
            q=q,
            found=found,
            exact=exact,
        )

    def index_json(self, request: Request) -> Response:
        """Give the seat as JSON."""
        return JSONResponse(as_json(self._seat(request)), headers=HEADERS)

    def shoppers(self, request: Request) -> Response:
        """Suggest shoppers while somebody types."""
        q = request.query_params.get("q", "")[:MAX_ID]
        found = self._directory.search(q) if q.strip() else []
        exact = any(shopper.actor == q.strip() for shopper in found)
        if not q.strip():
            return Response("", media_type="text/html", headers=HEADERS)
        return page(request, "suggestions.html", q=q, found=found, exact=exact)

    def visitor(self, request: Request) -> Response:
        """Seat a visitor whom nobody has met; nothing is stored before their first click."""
        return RedirectResponse(link(visitor=_stranger()), 303, headers=HEADERS)

    def catalogue(self, request: Request) -> Response:
        """List the catalogue."""
        q, offset = request.query_params.get("q", "")[:MAX_ID], _offset(request)
        rows, total = self._shelves.find(q, offset, self._directory.census().sold)
        back, on = max(0, offset - PER_PAGE), offset + PER_PAGE
        return page(
            request,
            "catalogue.html",
            page="catalogue",
            q=q,
            rows=rows,
            categories=any(row.product.category for row in rows),
            first=offset + 1,
            last=offset + len(rows),
            total=total,
            previous=link("/catalogue", q=q, offset=back or None) if offset else None,
            next=link("/catalogue", q=q, offset=on) if on < total else None,
        )

    def catalogue_json(self, request: Request) -> Response:
        """Give the catalogue's page as JSON."""
        q, offset = request.query_params.get("q", "")[:MAX_ID], _offset(request)
        rows, total = self._shelves.find(q, offset, self._directory.census().sold)
        body = {"total": total, "offset": offset, "items": [_plain_item(row) for row in rows]}
        return JSONResponse(body, headers=HEADERS)

    def events(self, request: Request) -> Response:
        """Show the newest events and what quarantine holds."""
        return page(request, "events.html", page="events", **self._events())

    def events_json(self, request: Request) -> Response:
        """Give the events' page as JSON."""
        read = self._events()
        rows = {name: [asdict(row) for row in read[name]] for name in ("newest", "reasons")}
        return JSONResponse(finite({**read, **rows}), headers=HEADERS)

    async def record(self, request: Request) -> Response:
        """Record what a shopper did on the page, and show the page again."""
        if not own_post(request):
            return self._trouble(request, 403, "error.foreign")
        try:
            form = await read_form(request)
            who, event = _event(form)
        except FormError as error:
            status = 413 if str(error) == "error.too_big" else 422
            return self._trouble(request, status, str(error))
        try:
            happening = await self._follow(who, event)
        except StoreError as error:
            return self._trouble(request, error.http_status, "error.store", detail=error.message)
        self._memory.keep(happening)
        back = link(**who.query, like=form.get("like", "")[:MAX_ID], did=happening.event_id)
        return RedirectResponse(back, 303, headers=HEADERS)

    async def _follow(self, who: Who, event: dict[str, Any]) -> Happening:
        """Take an event in and see what it changes for this shopper."""
        before, _ = await asyncio.to_thread(ask, self._backend, who)
        began = perf_counter()
        receipt = await self._backend.collect(event)
        stored_ms = 1000 * (perf_counter() - began)
        after, answered_ms = await asyncio.to_thread(ask, self._backend, who)
        return Happening(
            event["event_id"],
            who.actor or "",
            event["kind"],
            event["item_id"],
            _fate(receipt),
            stored_ms,
            answered_ms,
            *compare(before, after),
        )

    def _seat(self, request: Request) -> Seat:
        asked = request.query_params
        who = Who(asked.get("user", "")[:MAX_ID] or None, asked.get("visitor", "")[:MAX_ID] or None)
        if who.user_id:
            who = Who(who.user_id)
        if who.actor is None:
            lively = self._directory.lively(1)
            who = Who(lively[0].actor) if lively else Who(visitor_id=_stranger())
        happening = self._memory.recall(asked.get("did", ""), who.actor or "")
        like = asked.get("like", "")[:MAX_ID]
        words = Words(choose(request))
        return seat(self._backend, self._directory, who, words, like=like, happening=happening)

    def _events(self) -> dict[str, Any]:
        store = self._backend.store
        last = self._directory.census().last
        why = reasons(store.quarantine)
        return {
            "stored": store.log.count(),
            "quarantined": sum(reason.rows for reason in why),
            "newest": newest(store.log, self._backend.state, last),
            "reasons": why,
        }

    def _trouble(self, request: Request, status: int, key: str, **values: str) -> Response:
        message = Words(choose(request))(key, **values)
        return page(request, "trouble.html", status=status, message=message)


def _plain_item(row: Any) -> dict[str, Any]:
    shown = row.product
    return {
        "item_id": shown.item_id,
        "title": shown.full_title,
        "price": shown.price or None,
        "category": shown.category or None,
        "image": shown.image,
        "url": shown.url,
        "sold": row.sold,
        "availability": row.availability,
    }


def _event(form: dict[str, str]) -> tuple[Who, dict[str, Any]]:
    """Return who acts and the event, as the API takes it."""
    who = Who(form.get("user"), None if form.get("user") else form.get("visitor"))
    event_id, kind, item_id = form.get("event_id"), form.get("kind"), form.get("item_id")
    if not (who.actor and event_id and item_id) or kind not in KINDS:
        raise FormError("error.request")
    if max(len(who.actor), len(event_id), len(item_id)) > MAX_ID:
        raise FormError("error.request")
    event: dict[str, Any] = {
        "event_id": event_id,
        "kind": kind,
        "time": datetime.now(UTC).isoformat(),
        "item_id": item_id,
        "placement": SOURCE,
    }
    event |= {"user_id": who.user_id} if who.user_id else {"visitor_id": who.visitor_id}
    if form.get("position", "").isdecimal():
        event["position"] = int(form["position"][:6])
    return who, event


def _fate(receipt: Receipt) -> str:
    return next((fate for fate in FATES if getattr(receipt, fate)), "rejected")


def _stranger() -> str:
    return f"new-{secrets.token_hex(3)}"


def _offset(request: Request) -> int:
    text = request.query_params.get("offset", "0")
    return int(text) if text.isdecimal() and len(text) < 10 else 0
