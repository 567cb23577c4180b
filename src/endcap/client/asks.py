"""What the server is asked, typed: the fields that it takes and no others."""

from typing import Literal, TypedDict


class More(TypedDict, total=False):
    """What may be asked of a slate beside whom it is for, where, and how many items.

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
    lat: float | None
    lon: float | None
    timeout_ms: int
    lang: Literal["auto", "en", "zh"]
    explain: Literal["", "counterfactual"]


class Ask(More, total=False):
    """A request for a slate; whoever it is for may be unknown."""

    user_id: str | None
    visitor_id: str | None
    placement: str
    k: int
