"""GA4 e-commerce: the BigQuery export as JSON, and Measurement Protocol bodies."""

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Final

from endcap.events.dialects.base import Record, Skip, failed, without_empty
from endcap.events.reading import Piece, Source, read_json
from endcap.events.validate.faults import Fault

_KINDS: Final = {
    "view_item": "view",
    "select_item": "click",
    "add_to_cart": "cart",
    "remove_from_cart": "uncart",
    "add_to_wishlist": "wish",
    "purchase": "purchase",
    "refund": "refund",
    "view_item_list": "impression",
    "search": "search",
    "view_search_results": "search",
}
_VALUES: Final = ("string_value", "int_value", "double_value", "float_value")
_ITEM_FIELDS: Final = {
    "item_id": "item_id",
    "item_variant": "variant_id",
    "price": "price",
    "quantity": "quantity",
    "currency": "currency",
    "index": "position",
    "item_list_index": "position",
    "request_id": "request_id",
}


class GA4:
    """Events of Google Analytics 4; one event for each item that it lists."""

    name: ClassVar[str] = "ga4"
    title: ClassVar[str] = "GA4 e-commerce JSON"

    def recognise(self, source: Source) -> float:
        """Return 0.95 where the first record is an exported event or a protocol body."""
        if source.first_line[:1] not in {"{", "["}:
            return 0.0
        for piece in read_json(source, accept=_is_event):
            if isinstance(piece.content, dict):
                return 0.95 if _is_event(piece.content) else 0.0
        return 0.0

    def read(self, source: Source) -> Iterator[Record]:
        """Yield events; names that are not of e-commerce are skipped and counted."""
        for piece in read_json(source, accept=_is_event):
            if type(piece.content) is Fault:
                yield failed("events", piece)
            elif "events" in piece.content:
                yield from _body(piece)
            elif "event_name" in piece.content:
                yield from _exported(piece)
            else:
                fault = Fault("bad-record", "Neither event_name nor events is given.")
                yield Record("events", piece.line, fault, piece.raw)


def _is_event(tree: Mapping[str, Any]) -> bool:
    exported = "event_name" in tree and ("event_timestamp" in tree or "event_params" in tree)
    return exported or (
        "events" in tree and bool({"client_id", "user_id", "app_instance_id"} & set(tree))
    )


def _exported(piece: Piece) -> Iterator[Record]:
    """One row of the BigQuery table ``events_YYYYMMDD``."""
    tree = piece.content
    params = _params(tree.get("event_params"))
    shop = tree.get("ecommerce")
    order = shop.get("transaction_id") if isinstance(shop, dict) else None
    base = {
        "time": tree.get("event_timestamp"),
        "user_id": tree.get("user_id"),
        "visitor_id": tree.get("user_pseudo_id"),
        "order_id": _set(params.pop("transaction_id", None) or order),
    }
    yield from _events(piece, tree["event_name"], base, params, tree.get("items"))


def _body(piece: Piece) -> Iterator[Record]:
    """One body of the Measurement Protocol, with up to 25 events."""
    tree = piece.content
    events = tree["events"] if isinstance(tree["events"], list) else [tree["events"]]
    for event in events:
        params = event.get("params") if isinstance(event, dict) else None
        if not isinstance(event, dict) or not isinstance(params, dict | None):
            yield Record("events", piece.line, Fault("bad-record", "No event of GA4."), event)
            continue
        rest = dict(params or {})
        base = {
            "time": event.get("timestamp_micros") or tree.get("timestamp_micros"),
            "user_id": tree.get("user_id"),
            "visitor_id": tree.get("client_id") or tree.get("app_instance_id"),
            "order_id": rest.pop("transaction_id", None),
        }
        yield from _events(piece, event.get("name"), base, rest, rest.pop("items", None))


def _events(
    piece: Piece, name: Any, base: Mapping[str, Any], params: dict[str, Any], items: Any
) -> Iterator[Record]:
    kind = _KINDS.get(name) if isinstance(name, str) else None
    if kind is None:
        what = Skip(str(name)) if isinstance(name, str) else Fault("missing-kind", "No event_name.")
        yield Record("events", piece.line, what, piece.raw)
        return
    session = params.pop("ga_session_id", None)
    visitor = base.get("visitor_id")
    event = {
        **base,
        "kind": kind,
        "session_id": f"{visitor}.{session}" if session is not None else None,
        "currency": params.pop("currency", None),
        "query": params.pop("search_term", None),
        "placement": params.pop("item_list_id", None) or params.pop("item_list_name", None),
        "request_id": params.pop("request_id", None),
        "properties": without_empty(params) or None,
    }
    listed = items if isinstance(items, list) and items else [{}]
    for item in [{}] if kind == "search" else listed:
        yield Record("events", piece.line, _with_item(event, item), piece.raw)


def _with_item(event: Mapping[str, Any], item: Any) -> dict[str, Any] | Fault:
    if not isinstance(item, dict):
        return Fault("bad-record", "An entry of items is no object.", "items")
    known = {_ITEM_FIELDS[key]: _set(value) for key, value in item.items() if key in _ITEM_FIELDS}
    more = {key: _set(value) for key, value in item.items() if key not in _ITEM_FIELDS}
    place = more.pop("item_list_id", None) or more.pop("item_list_name", None)
    params = event["properties"] or {}
    return without_empty(
        {
            **event,
            **without_empty(known),
            "placement": place or event["placement"],
            "properties": (params | without_empty(more)) or None,
        }
    )


def _params(listed: Any) -> dict[str, Any]:
    """Turn ``[{"key": k, "value": {"int_value": 1}}]`` into a dict."""
    out: dict[str, Any] = {}
    for entry in listed if isinstance(listed, list) else []:
        value = entry.get("value") if isinstance(entry, dict) else None
        if isinstance(value, dict):
            filled = (value[key] for key in _VALUES if value.get(key) is not None)
            out[str(entry.get("key"))] = next(filled, None)
    return out


def _set(value: Any) -> Any:
    """GA4 writes ``(not set)`` for what is missing."""
    return None if value == "(not set)" else value
