"""The contract of a dialect, and the words that several of them share."""

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple, Protocol, runtime_checkable

from endcap.events.reading import Piece, Source
from endcap.events.validate.faults import Fault

TableName = Literal["events", "items", "users"]


class Skip(NamedTuple):
    """A record that is fine but says nothing about taste (a page view of the help pages).

    It is counted under `what` in the summary; it goes neither into the log nor to quarantine.
    """

    what: str


class Record(NamedTuple):
    """One row for one table.

    Attributes
    ----------
    table
        Where it belongs.
    line
        1-based line or record number in the file.
    row
        Fields of that table by name, loose (validation makes them exact), a `Fault` or a `Skip`.
    raw
        What stood in the file.
    """

    table: TableName
    line: int
    row: Mapping[str, Any] | Fault | Skip
    raw: Any


@runtime_checkable
class Dialect(Protocol):
    """Maps one foreign format; pure: no state, no store, no clock.

    Stability: implementer (register a class under ``endcap.dialects``).
    """

    name: str
    title: str

    def recognise(self, source: Source) -> float:
        """Return how surely this is a file of this dialect, from 0 (no) to 1 (certain)."""

    def read(self, source: Source) -> Iterator[Record]:
        """Yield every record, bad ones as faults; bounded memory."""


KIND_ALIASES: Final[dict[str, str]] = {
    **dict.fromkeys(
        (
            *("buy", "bought", "order", "ordered", "transaction", "purchased", "sale", "checkout"),
            *("购买", "下单", "成交"),
        ),
        "purchase",
    ),
    **dict.fromkeys(
        (
            *("addtocart", "add_to_cart", "add-to-cart", "add to cart", "basket", "cart_add"),
            *("加购", "加入购物车", "购物车"),
        ),
        "cart",
    ),
    **dict.fromkeys(
        ("remove_from_cart", "removefromcart", "remove-from-cart", "cart_remove"), "uncart"
    ),
    **dict.fromkeys(
        (
            *("pageview", "page_view", "page-view", "pv", "detail", "view_item", "viewed", "visit"),
            *("浏览", "查看", "访问"),
        ),
        "view",
    ),
    **dict.fromkeys(("clk", "clicked", "select_item", "点击"), "click"),
    **dict.fromkeys(
        (
            *(
                "fav",
                "favorite",
                "favourite",
                "collect",
                "like",
                "liked",
                "wishlist",
                "save",
                "star",
            ),
            *("add_to_wishlist", "addtowishlist", "收藏", "喜欢"),
        ),
        "wish",
    ),
    **dict.fromkeys(("return", "returned", "refunded", "退款", "退货"), "refund"),
    **dict.fromkeys(("rate", "rated", "review", "stars", "评分", "评价"), "rating"),
    **dict.fromkeys(
        ("show", "shown", "exposure", "impressions", "view_item_list", "曝光"), "impression"
    ),
    **dict.fromkeys(("listen", "watch", "watched", "listened", "play_start", "播放"), "play"),
    **dict.fromkeys(("hide", "dislike", "disliked", "not_interested", "不感兴趣"), "dismiss"),
    **dict.fromkeys(("query", "searched", "搜索"), "search"),
}
"""What shops call the kinds of events; anything else is left to validation as it is."""


def kind_of(value: Any) -> Any:
    """Return the kind that a shop's word means, or the word itself where it is not known."""
    if isinstance(value, str):
        return KIND_ALIASES.get(value.strip().lower(), value)
    return value


def failed(table: TableName, piece: Piece) -> Record:
    """Pass on what could not be read."""
    return Record(table, piece.line, piece.content, piece.raw)


def without_empty(row: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what is not there."""
    return {key: value for key, value in row.items() if value is not None and value != ""}
