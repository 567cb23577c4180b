"""Segment e-commerce v2: track calls such as Product Viewed, and identify calls."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from endcap.events.dialects.base import Record, Skip, failed, without_empty
from endcap.events.reading import Piece, Source, read_json
from endcap.events.validate.faults import Fault

_KINDS: Final = {
    "products searched": "search",
    "product list viewed": "impression",
    "product clicked": "click",
    "product viewed": "view",
    "product added": "cart",
    "product removed": "uncart",
    "product added to wishlist": "wish",
    "order completed": "purchase",
    "order refunded": "refund",
    "product reviewed": "rating",
}
_TYPES: Final = {"track", "identify", "page", "screen", "group", "alias"}
_PRODUCT: Final = {
    "price": "price",
    "quantity": "quantity",
    "currency": "currency",
    "position": "position",
    "variant": "variant_id",
}


class Segment:
    """Calls of Segment's libraries, as they are sent or as they lie in a warehouse."""

    name: ClassVar[str] = "segment"
    title: ClassVar[str] = "Segment e-commerce v2 JSON"

    def recognise(self, source: Source) -> float:
        """Return 0.95 where the first record is a call with a Segment type."""
        if source.first_line[:1] not in {"{", "["}:
            return 0.0
        for piece in read_json(source, lists=("batch",), accept=_is_call):
            if isinstance(piece.content, dict):
                return 0.95 if _is_call(piece.content) else 0.0
        return 0.0

    def read(self, source: Source) -> Iterator[Record]:
        """Yield one event for each product of a call, and a user for each identify call."""
        for piece in read_json(source, lists=("batch",), accept=_is_call):
            if type(piece.content) is Fault:
                yield failed("events", piece)
            elif piece.content.get("type") == "identify":
                yield _user(piece)
            elif piece.content.get("type", "track") == "track":
                yield from _track(piece)
            else:
                yield Record("events", piece.line, Skip(f"{piece.content['type']} call"), piece.raw)


def _is_call(tree: Mapping[str, Any]) -> bool:
    return tree.get("type") in _TYPES and bool({"anonymousId", "userId", "messageId"} & set(tree))


def _user(piece: Piece) -> Record:
    tree = piece.content
    if not tree.get("userId"):
        return Record("users", piece.line, Skip("identify call without userId"), piece.raw)
    row = {"user_id": tree["userId"], "attributes": tree.get("traits") or None}
    return Record("users", piece.line, row, piece.raw)


def _track(piece: Piece) -> Iterator[Record]:
    tree = piece.content
    name, given = tree.get("event"), tree.get("properties")
    if not isinstance(name, str):
        fault = Fault("missing-kind", "The track call names no event.", "event")
        yield Record("events", piece.line, fault, piece.raw)
        return
    kind = _KINDS.get(name.strip().lower())
    if kind is None:
        yield Record("events", piece.line, Skip(name), piece.raw)
        return
    properties = dict(given) if isinstance(given, dict) else {}
    products = properties.pop("products", None)
    event = _call(tree, kind, properties)
    listed = (
        products if isinstance(products, list) and products and kind != "search" else [properties]
    )
    for number, product in enumerate(listed):
        row = _with_product(event, product, number if len(listed) > 1 else None)
        yield Record("events", piece.line, row, piece.raw)


def _call(tree: Mapping[str, Any], kind: str, properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return what all products of the call share."""
    return {
        "event_id": tree.get("messageId"),
        "kind": kind,
        "user_id": tree.get("userId"),
        "visitor_id": tree.get("anonymousId"),
        **_clocks(tree),
        "order_id": properties.get("order_id"),
        "query": properties.get("query"),
        "placement": properties.get("list_id"),
        "currency": properties.get("currency"),
        "value": properties.get("rating") if kind == "rating" else None,
        "properties": properties,
    }


def _clocks(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the times; Segment's `timestamp` has the client's clock error taken out already."""
    said = tree.get("originalTimestamp")
    received = tree.get("receivedAt")
    if said and received and tree.get("sentAt"):
        return {"time": said, "sent_at": tree["sentAt"], "received": received}
    return {"time": tree.get("timestamp") or said or received, "received": received}


def _with_product(
    event: Mapping[str, Any], product: Any, number: int | None
) -> dict[str, Any] | Fault:
    if not isinstance(product, dict):
        return Fault("bad-record", "An entry of products is no object.", "products")
    used = {"product_id", "sku", "order_id", "query", "list_id", "rating", *_PRODUCT}
    out = dict(event)
    out["item_id"] = product.get("product_id") or product.get("sku")
    out |= without_empty({field: product.get(key) for key, field in _PRODUCT.items()})
    out["properties"] = {
        key: value
        for key, value in {**event["properties"], **product}.items()
        if key not in used or (key == "sku" and product.get("product_id"))
    } or None
    if number is not None and event["event_id"]:
        out["event_id"] = f"{event['event_id']}#{number}"
    return without_empty(out)
