"""What a browser says it bought is a claim."""

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from endcap.schema.tables import EVENTS
from endcap.schema.trust import PROVABLE, claim

_PROVABLE: Final = pa.array(sorted(PROVABLE))


def claimed(rows: pa.Table) -> pa.Table:
    """Mark, in rows of schema `EVENTS`, what a shop's server would know and a browser claims."""
    if not pc.any(pc.is_in(rows["kind"], _PROVABLE)).as_py():
        return rows
    pairs = zip(rows["kind"].to_pylist(), rows["properties"].to_pylist(), strict=True)
    marked = [claim(properties) if kind in PROVABLE else properties for kind, properties in pairs]
    at = EVENTS.get_field_index("properties")
    return rows.set_column(at, EVENTS.field(at), pa.array(marked, pa.string()))
