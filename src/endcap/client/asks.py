"""What the server is sent, typed: the fields that it knows. None is the same as nothing said."""

from datetime import datetime
from typing import Any, Literal, Required, TypedDict


class EventFields(TypedDict, total=False):
    """What is known of something that happened, beside its kind.

    `properties` takes whatever else is to be kept of it. Without `time` it happened now.
    """

    event_id: str
    time: datetime | str | None
    sent_at: datetime | str | None
    user_id: str | None
    visitor_id: str | None
    session_id: str | None
    item_id: str | None
    variant_id: str | None
    value: float | None
    quantity: int | None
    price: float | str | None
    currency: str | None
    order_id: str | None
    query: str | None
    placement: str | None
    request_id: str | None
    position: int | None
    consent: str | None
    domain: str | None
    properties: dict[str, Any] | None


class Event(EventFields, total=False):
    """Something that happened: ``{"kind": "view", "user_id": "12347", "item_id": "22423"}``."""

    kind: Required[str]


class _Place(TypedDict, total=False):
    lat: float | None
    lon: float | None


class _Wish(_Place, total=False):
    timeout_ms: int
    lang: Literal["auto", "en", "zh"]
    explain: Literal["", "counterfactual"]


class SimilarMore(_Wish, total=False):
    """What may be asked of similar items beside which and how many: for whom they are logged."""

    user_id: str | None
    visitor_id: str | None


class GroupsMore(_Place, total=False):
    """What may be asked of groups beside of what, for whom and how many."""

    level: int
    visitor_id: str | None
    placement: str
    filter: str


class AskMore(_Wish, total=False):
    """What may be asked of a slate beside for whom, where and how many items.

    `rank` holds the only items to choose from, `prices` asks what each rule costs, `lat` and `lon`
    say where the shopper is; later than `timeout_ms` the catalogue answers.
    """

    context_items: list[str]
    exclude: list[str]
    rank: list[str]
    filter: str
    boost: str
    seed: int
    prices: bool


class Ask(AskMore, total=False):
    """A request for a slate; whoever it is for may be unknown."""

    user_id: str | None
    visitor_id: str | None
    placement: str
    k: int
