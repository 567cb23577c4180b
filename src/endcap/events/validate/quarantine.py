"""What failed, as rows of the quarantine: whole, with reason and place."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import msgspec
import pyarrow as pa

from endcap.events.validate.faults import Fault
from endcap.schema.tables import QUARANTINE


class Broken(NamedTuple):
    """One thing that cannot be taken.

    Attributes
    ----------
    table
        ``events``, ``items`` or ``users``.
    line
        1-based line or record number in the source; None when the place is not known.
    fault
        Why.
    payload
        What arrived: text, or any tree of plain values.
    """

    table: str
    line: int | None
    fault: Fault
    payload: Any


NOTHING: Final = QUARANTINE.empty_table()
"""What most batches have: Arrow takes a while to make even this."""


def quarantine_table(broken: Iterable[Broken], *, source: str, received: datetime) -> pa.Table:
    """Return rows of schema `QUARANTINE`.

    The hash covers table, reason, field and payload but not the place, so that the same bad row
    is kept once however often and from wherever it comes.
    """
    rows: list[dict[str, Any]] = []
    for table, line, fault, payload in broken:
        text = payload_text(payload)
        key = "\x1f".join((table, fault.reason, fault.field, text))
        rows.append(
            {
                "received": received,
                "source": printable(source),
                "line": line,
                "table": table,
                "reason": fault.reason,
                "field": fault.field or None,
                "detail": fault.detail,
                "payload": text,
                "payload_hash": blake2b(key.encode(), digest_size=16).hexdigest(),
            }
        )
    return pa.Table.from_pylist(rows, schema=QUARANTINE) if rows else NOTHING


def payload_text(payload: Any) -> str:
    """Return what arrived as text that any store can keep: half characters and NUL escaped."""
    if isinstance(payload, str):
        return printable(payload)
    if hasattr(payload, "plain"):  # cells by name, made into a dict only here
        payload = payload.plain()
    try:
        return msgspec.json.encode(payload, enc_hook=_plain).decode()
    except (ValueError, TypeError, RecursionError, OverflowError):
        return printable(_repr(payload))


def printable(text: str) -> str:
    """Return `text` with half characters and NUL written as escapes."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8").replace("\0", "\\x00")


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict(value)
    return float(value) if isinstance(value, Decimal) else str(value)


def _repr(payload: Any) -> str:
    try:
        return repr(payload)
    except (ValueError, RecursionError):
        return f"<{type(payload).__name__} that cannot be shown>"
