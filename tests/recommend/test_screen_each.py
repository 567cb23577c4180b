"""The catalogue that stands in is read as far as it is wanted, and no further."""

from collections.abc import Sequence
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from endcap.recommend.filters.columns import Columns
from endcap.recommend.screen import AT_ONCE, Screen
from endcap.schema.tables import ITEMS

COUNT = 20 * AT_ONCE


class Watched(Sequence[str]):
    """Ids that count how many of them were looked at."""

    def __init__(self, ids: list[str]) -> None:
        self.ids, self.looked_at = ids, 0

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, place: Any) -> Any:
        found = self.ids[place]
        self.looked_at += len(found) if isinstance(place, slice) else 1
        return found


def test_no_more_are_looked_at_than_are_taken() -> None:
    ids = [f"i{n:05}" for n in range(COUNT)]
    rows = [{"item_id": i, **dict.fromkeys(set(ITEMS.names) - {"item_id"})} for i in ids]
    columns = Columns(pa.Table.from_pylist(rows, schema=ITEMS))
    mask = np.zeros(len(columns), np.bool_)
    mask[columns.rows(ids[::3])] = True
    for screen, few in ((Screen(), ids[:40]), (Screen(columns, mask), ids[::3][:40])):
        watched = Watched(ids)
        assert list(islice(screen.each(watched), 40)) == few
        assert watched.looked_at <= 2 * AT_ONCE
        assert list(screen.each(watched)) == list(screen.ids(ids))
