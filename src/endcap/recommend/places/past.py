"""Recently viewed, to be continued: what a shopper knows, the newest first."""

from typing import Final

import numpy as np

from endcap.recommend.filters.columns import Columns, NumberColumn
from endcap.recommend.recipe import Past
from endcap.recommend.shelf import Pick
from endcap.recommend.slate import Reason
from endcap.recommend.state import History

DAY_US: Final = 86_400_000_000
SOURCE: Final = "past"


def past_picks(past: Past, history: History, now: int, columns: Columns, level: str) -> list[Pick]:
    """Return the items that `past` asks for, newest first.

    Parameters
    ----------
    history
        Of the shopper, oldest first.
    now
        UTC microseconds.
    columns
        The catalogue, asked only where a length says when an item is finished.
    """
    since = -np.inf if past.days is None else now - past.days * DAY_US
    open_: dict[str, str] = {}
    reached: dict[str, float] = {}
    for item_id, kind, time, value in zip(
        history.item_ids, history.kinds, history.times.tolist(), history.values, strict=True
    ):
        if kind in past.kinds and time >= since:
            open_.pop(item_id, None)  # so that it goes to the end
            open_[item_id] = kind
            reached[item_id] = max(reached.get(item_id, 0.0), float(np.nan_to_num(value)))
        elif kind in past.until:
            open_.pop(item_id, None)
            reached.pop(item_id, None)
    newest = list(reversed(open_))
    if past.length:
        newest = _unfinished(past, newest, reached, columns)
    return [
        Pick(i, 1.0 / rank, SOURCE, (Reason("history", i, 1.0, open_[i]),), level=level)
        for rank, i in enumerate(newest, start=1)
    ]


def _unfinished(
    past: Past, item_ids: list[str], reached: dict[str, float], columns: Columns
) -> list[str]:
    with columns.lock:
        column = columns.columns.get(past.length)
        if not isinstance(column, NumberColumn):
            return item_ids
        lengths = column.values[columns.rows(item_ids)]
    told = zip(item_ids, lengths.tolist(), strict=True)
    return [i for i, length in told if not reached[i] >= past.done * length]
