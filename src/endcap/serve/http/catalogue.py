"""Items: the last row of an id wins."""

import bisect
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from endcap.events.validate import Broken, Fault, RowError, quarantine_table
from endcap.serve.http.calls import Answer, Call
from endcap.serve.http.idempotency import remember
from endcap.serve.http.problems import ApiError
from endcap.serve.http.receiving import keep_bad, receipt_answer, receive, source_of
from endcap.serve.http.shapes import Deleted, Item, ItemPage
from endcap.serve.intake import ITEM_ROWS, PATCH_ROWS, Intake


async def put_items(call: Call) -> Answer:
    """Insert or replace items; they are on the shelf with the next request."""
    runtime = call.runtime
    intake = await receive(call, ITEM_ROWS)
    await keep_bad(call, intake)
    stored = await runtime.write(runtime.store.catalogue.upsert_items, intake.rows)
    await runtime.write(runtime.live.items_stored, intake.rows)
    return await remember(call, receipt_answer(200, intake, stored))


async def patch_items(call: Call) -> Answer:
    """Change the fields given of items that are there; it shows with the next request."""
    runtime = call.runtime
    intake = await receive(call, PATCH_ROWS)
    told = await runtime.write(runtime.store.catalogue.patch_items, intake.rows)
    intake = _without_missing(call, intake, told.missing)
    await keep_bad(call, intake)
    await runtime.write(runtime.live.items_patched, intake.rows["item_id"].to_pylist())
    return await remember(call, receipt_answer(200, intake, told.receipt))


def _without_missing(call: Call, intake: Intake, missing: Sequence[int]) -> Intake:
    """Return the batch in which changes of items that are not there are faults of their rows."""
    if not missing:
        return intake
    rows = intake.rows.take(missing).to_pylist()
    faults = [
        Fault("no-such-item", f"There is no item {row['item_id']!r}.", "item_id") for row in rows
    ]
    broken = [
        Broken("items", row["line"], fault, row["payload"])
        for row, fault in zip(rows, faults, strict=True)
    ]
    errors = [
        RowError(row["line"] - 1, None, fault.field, fault.reason, fault.detail)
        for row, fault in zip(rows, faults, strict=True)
    ]
    unread = quarantine_table(broken, source=source_of(call), received=call.runtime.live.now)
    return replace(
        intake,
        quarantine=pa.concat_tables([intake.quarantine, unread]),
        errors=sorted([*intake.errors, *errors], key=lambda error: error.index),
    )


async def get_items(call: Call) -> Answer:
    """Return a page of the catalogue, by id."""
    runtime = call.runtime
    ids = await runtime.run(runtime.live.item_ids)
    start = bisect.bisect_right(ids, _after(call.query.cursor)) if call.query.cursor else 0
    page = ids[start : start + call.query.limit]
    more = start + len(page) < len(ids)
    table = await runtime.run(runtime.store.catalogue.items, page)
    return Answer(200, ItemPage(_items(table), _cursor(page[-1]) if more else None))


async def get_item(call: Call) -> Answer:
    """Return one item."""
    item_id = call.path("item_id")
    runtime = call.runtime
    found = _items(await runtime.run(runtime.store.catalogue.items, [item_id]))
    if not found:
        hint = "PUT /v1/items adds items."
        raise ApiError(404, "no-such-item", f"There is no item {item_id!r}.", hint=hint)
    return Answer(200, found[0])


async def delete_item(call: Call) -> Answer:
    """Remove an item; from the next request on nobody is shown it."""
    item_id = call.path("item_id")
    runtime = call.runtime
    count = await runtime.write(runtime.store.catalogue.delete_items, [item_id])
    await runtime.write(runtime.live.items_deleted, [item_id])
    return await remember(call, Answer(200, Deleted(count)))


def _same(value: Any) -> Any:
    return value


def _money(amount: Decimal) -> str:
    whole, _, part = f"{amount:f}".rstrip("0").partition(".")
    return f"{whole}.{part:0<2}"


_AS_JSON: Final[dict[str, Callable[[Any], Any]]] = {
    **dict.fromkeys(("price", "sale_price", "cost"), _money),
    **dict.fromkeys(("attributes", "relations"), json.loads),
    **dict.fromkeys(("created", "expires"), datetime.isoformat),
}


def _items(table: pa.Table) -> list[Item]:
    return [Item(**_plain(row)) for row in table.to_pylist()]


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row as JSON says it: money as text, trees as trees, times as ISO 8601."""
    return {
        name: _AS_JSON.get(name, _same)(value) for name, value in row.items() if value is not None
    }


def _cursor(last: str) -> str:
    """Return what names the page after the id `last`; opaque to clients."""
    return last.encode().hex()


def _after(cursor: str) -> str:
    """Return the id after which a page begins."""
    return bytes.fromhex(cursor).decode(errors="replace")
