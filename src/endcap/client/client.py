"""Talk to a running Endcap: send what happened, ask what to show."""

import random
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, Self, TypeVar, Unpack
from urllib.parse import quote

import msgspec

from endcap.client.answers import (
    Fault,
    Group,
    HistoryEvent,
    Member,
    Place,
    Receipt,
    Refused,
    Replayed,
    Slate,
)
from endcap.client.asks import Ask, AskMore, Event, EventFields, GroupsMore, SimilarMore
from endcap.schema.errors import PluginError

T = TypeVar("T")
Row = Mapping[str, Any]
ROWS: Final = 1_000
"""Rows in a request; more are sent in several."""
ASKS: Final = 100
"""Slates asked for in a request; as `ROWS`."""
MANY_MS: Final = 5_000
BYTES: Final = 900_000
"""Bytes of rows in a request: the server takes 1 MiB by default."""
AGAIN: Final = frozenset({408, 409, 429, 502, 503, 504})
"""Answers after which the same request may be sent again."""
LONGEST_PAUSE_S: Final = 30.0


class Client:
    """A client of one server; safe to share between threads.

    Writes carry an idempotency key and events an id before they are first sent, so whatever had
    no answer is sent again and stored once. After `attempts` an error says what is wrong.

    Parameters
    ----------
    url
        Address of the server, such as ``"http://127.0.0.1:8787"``.
    key
        A secret key (``sk_…``), or a public one, which may send events and read slates.
    timeout_s
        For each attempt, in seconds.
    attempts
        How often a request is sent at most.
    sleep
        Waits between attempts.

    Examples
    --------
    >>> with Client("http://127.0.0.1:8787", key="sk_...") as shop:  # doctest: +SKIP
    ...     shop.track("view", user_id="12347", item_id="22423")
    ...     shop.recommend(user_id="12347", k=5).item_ids

    Stability: caller.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 10.0,
        attempts: int = 5,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        try:
            import httpx
        except ImportError as error:
            raise PluginError(
                "The client needs httpx.", hint="pip install 'endcap[client]'"
            ) from error
        headers = {"authorization": f"Bearer {key}"} if key else {}
        self._failures = httpx.TransportError
        self._http = httpx.Client(base_url=url, headers=headers, timeout=timeout_s)
        self._attempts = max(1, attempts)
        self._sleep = sleep

    def track(self, kind: str, **fields: Unpack[EventFields]) -> Receipt:
        """Send one event that happens now: ``track("cart", user_id=…, item_id=…, quantity=2)``.

        An event that fails validation is in quarantine: the receipt's `errors` say why.
        """
        return self.events([{"kind": kind, **fields}])

    def events(self, events: Iterable[Event]) -> Receipt:
        """Send events of any number; the receipt is given once all are on disk.

        An event without `event_id` gets one, an event without `time` happened now. Rows of any
        mapping will do: what the server does not know of them becomes `properties`.
        """
        now = datetime.now(UTC)
        told = (
            {"event_id": secrets.token_hex(12), "time": now, **_known(event)} for event in events
        )
        return self._rows("POST", "/v1/events/batch", "events", told)

    def recommend(
        self,
        *,
        user_id: str | None = None,
        visitor_id: str | None = None,
        placement: str = "home",
        k: int = 10,
        **more: Unpack[AskMore],
    ) -> Slate:
        """Return what to show this shopper now; `more` as in ``POST /v1/recommendations``."""
        ask = {"user_id": user_id, "visitor_id": visitor_id, "placement": placement, "k": k}
        return self._ask("POST", "/v1/recommendations", Slate, body=_known({**ask, **more}))

    def recommend_many(
        self, asks: Iterable[Ask], *, timeout_ms: int = MANY_MS
    ) -> list[Slate | Refused]:
        """Return what to show each of many, in their order: a slate, or why there is none.

        They are asked a hundred at a time, each hundred within `timeout_ms`: later, the catalogue
        answers the rest of it. Beyond what the client waits for an answer it takes a longer
        `timeout_s`, too.

        Raises
        ------
        Refused
            When a whole request of a hundred is refused.
        """
        found: list[Slate | Refused] = []
        for portion in _portions(map(_known, asks), most=ASKS):
            body = {"requests": portion, "timeout_ms": timeout_ms}
            told = self._ask("POST", "/v1/recommendations/batch", _Batch, body=body)
            found += [one.slate or _problem(one.status, one.problem) for one in told.results]
        return found

    def similar(self, item_id: str, *, k: int = 10, **more: Unpack[SimilarMore]) -> Slate:
        """Return what goes with an item."""
        path = f"/v1/items/{quote(item_id, safe='')}/similar"
        return self._ask("GET", path, Slate, query=_known({"k": k, **more}))

    def groups(
        self,
        by: str = "categories",
        *,
        user_id: str | None = None,
        k: int = 10,
        **more: Unpack[GroupsMore],
    ) -> list[Group]:
        """Return the brands, categories or other groups that are most for a shopper."""
        query = _known({"by": by, "user_id": user_id, "k": k, **more})
        return self._ask("GET", "/v1/groups", _Groups, query=query).groups

    def audience(
        self, item_ids: Sequence[str], *, k: int | None = None, placement: str = "home"
    ) -> list[Member]:
        """Return the users for whom some items are most, best first; all of them without `k`.

        It asks page after page, and takes a secret key.

        Raises
        ------
        Refused
            With `problem` ``"conflict"`` where a new model took over meanwhile: begin again.
        """
        ask: dict[str, Any] = {"items": list(item_ids), "placement": placement, "limit": ROWS}
        found: list[Member] = []
        page = self._ask("POST", "/v1/audience", _Audience, body=ask)
        while page.next:
            found += page.members
            page = self._ask("POST", "/v1/audience", _Audience, body={**ask, "cursor": page.next})
        found += page.members
        return sorted(found, key=lambda member: (-member.score, member.user_id))[:k]

    def placements(self) -> list[Place]:
        """Return what every place of the shop does."""
        return self._ask("GET", "/v1/placements", _Places).placements

    def put_placement(
        self, name: str, placement: Mapping[str, Any], *, version: int | None = None
    ) -> Place:
        """Let a place do something else from the next request on; upon `version` alone, if given.

        `placement` is the table ``[placements.NAME]`` of a recipe, rules included.
        """
        path = f"/v1/placements/{quote(name, safe='')}"
        query = {} if version is None else {"version": version}
        return self._ask("PUT", path, Place, body=dict(placement), query=query, writes=True)

    def delete_placement(self, name: str) -> None:
        """Take back what was edited: the recipe's own answers again."""
        self._ask("DELETE", f"/v1/placements/{quote(name, safe='')}", _Places, writes=True)

    def undo_placement(self, name: str) -> None:
        """Bring back the version before the last one."""
        self._ask("POST", f"/v1/placements/{quote(name, safe='')}/undo", _Places, writes=True)

    def replay(self, request_id: str) -> Replayed:
        """Make a past slate again as it was; it takes a secret key."""
        return self._ask("GET", f"/v1/slates/{quote(request_id, safe='')}", Replayed)

    def put_items(self, items: Iterable[Row]) -> Receipt:
        """Insert or replace items of the catalogue; a new one can be recommended at once."""
        return self._rows("PUT", "/v1/items", "items", map(_known, items))

    def patch_items(self, items: Iterable[Row]) -> Receipt:
        """Change only the fields given of items that are there; None empties a field."""
        return self._rows("PATCH", "/v1/items", "items", items)

    def delete_item(self, item_id: str) -> bool:
        """Remove an item, which is not shown from the next request on; say whether it was there."""
        path = f"/v1/items/{quote(item_id, safe='')}"
        return bool(self._ask("DELETE", path, dict[str, int], writes=True)["deleted"])

    def item_ids(self, *, limit: int = 1_000) -> list[str]:
        """Return the ids of the first items of the catalogue, sorted."""
        found = self._ask("GET", "/v1/items", _Items, query={"limit": limit})
        return [item.item_id for item in found.items]

    def items_after(self, item_id: str, *, limit: int = 100) -> list["_Item"]:
        """Return the items whose ids follow one, sorted."""
        query = {"limit": limit, "cursor": item_id.encode().hex()}
        return self._ask("GET", "/v1/items", _Items, query=query).items

    def put_users(self, users: Iterable[Row]) -> Receipt:
        """Insert or replace users."""
        return self._rows("PUT", "/v1/users", "users", map(_known, users))

    def alias(self, visitor_id: str, user_id: str) -> None:
        """Say that a visitor is this user: what the visitor did becomes the user's."""
        body = {"visitor_id": visitor_id, "user_id": user_id}
        self._ask("POST", "/v1/alias", dict[str, str], body=body, writes=True)

    def erase(self, *, user_id: str | None = None, visitor_id: str | None = None) -> dict[str, int]:
        """Erase a user (and the visitors that are this user), or a visitor; say how many rows."""
        kind, name = ("users", user_id) if user_id is not None else ("visitors", visitor_id or "")
        path = f"/v1/{kind}/{quote(name, safe='')}"
        return self._ask("DELETE", path, dict[str, int], writes=True)

    def history(self, user_id: str, *, limit: int = 100) -> list[HistoryEvent]:
        """Return what a user did, newest first."""
        path = f"/v1/users/{quote(user_id, safe='')}/history"
        return self._ask("GET", path, _History, query={"limit": limit}).events

    def close(self) -> None:
        """Let go of the connections."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rows(self, method: str, path: str, name: str, rows: Iterable[Row]) -> Receipt:
        told = Receipt()
        for portion in _portions(rows):
            told += self._ask(method, path, Receipt, body={name: portion}, writes=True)
        return told

    def _ask(
        self,
        method: str,
        path: str,
        shape: type[T],
        *,
        body: object = None,
        query: Mapping[str, Any] | None = None,
        writes: bool = False,
    ) -> T:
        headers = {"content-type": "application/json"} if body is not None else {}
        if writes:
            headers["idempotency-key"] = secrets.token_hex(16)
        content = None if body is None else msgspec.json.encode(body)
        for attempt in range(1, self._attempts + 1):
            pause = min(LONGEST_PAUSE_S, 0.1 * 2**attempt) * random.uniform(0.5, 1)  # noqa: S311
            try:
                answer = self._http.request(
                    method, path, content=content, params=query, headers=headers
                )
            except self._failures as error:
                failure = Refused(
                    f"{self._http.base_url} cannot be reached: {error}",
                    status=0,
                    problem="unreachable",
                    hint="Is `endcap serve` running there?",
                )
            else:
                if answer.is_success:
                    return msgspec.json.decode(answer.content, type=shape)
                failure = _refused(answer.status_code, answer.content)
                if answer.status_code not in AGAIN or failure.problem == "conflict":
                    raise failure
                pause = max(pause, _seconds(answer.headers.get("retry-after")))
            if attempt < self._attempts:
                self._sleep(min(pause, LONGEST_PAUSE_S))
        raise failure


class _History(msgspec.Struct):
    events: list[HistoryEvent]


class _Item(msgspec.Struct):
    item_id: str
    expires: datetime | None = None


class _Items(msgspec.Struct):
    items: list[_Item]


class _Groups(msgspec.Struct):
    groups: list[Group]


class _Audience(msgspec.Struct):
    members: list[Member]
    next: str | None


class _Places(msgspec.Struct):
    placements: list[Place]


class _Problem(msgspec.Struct, frozen=True):
    detail: str = ""
    code: str = "unknown"
    request_id: str = ""
    hint: str = ""
    errors: tuple[Fault, ...] = ()


class _Result(msgspec.Struct):
    status: int
    slate: Slate | None = None
    problem: _Problem = _Problem()


class _Batch(msgspec.Struct):
    results: list[_Result]


def _refused(status: int, content: bytes) -> Refused:
    try:
        told = msgspec.json.decode(content, type=_Problem)
    except msgspec.DecodeError:  # somebody between us and the server answered
        told = _Problem(detail=content[:200].decode("utf-8", "replace"))
    return _problem(status, told)


def _problem(status: int, told: _Problem) -> Refused:
    return Refused(
        f"HTTP {status}: {told.detail}",
        status=status,
        problem=told.code,
        hint=told.hint,
        request_id=told.request_id,
        errors=told.errors,
    )


def _portions(rows: Iterable[Row], *, most: int = ROWS) -> Iterator[Sequence[msgspec.Raw]]:
    portion: list[msgspec.Raw] = []
    size = 0
    for row in rows:
        text = msgspec.json.encode(row)
        if portion and (len(portion) == most or size + len(text) > BYTES):
            yield portion
            portion, size = [], 0
        portion.append(msgspec.Raw(text))
        size += len(text) + 1
    if portion:
        yield portion


def _known(row: Mapping[str, object]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None}


def _seconds(text: str | None) -> float:
    return float(text) if text is not None and text.isdecimal() else 0.0
