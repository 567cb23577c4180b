"""Needs that are met: who bought a sofa is shown what goes with it, not another sofa."""

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from endcap.models.refill import RefillModel
from endcap.recommend.artefacts import Artefact
from endcap.recommend.filters.columns import Columns, TextColumn
from endcap.recommend.recipe import Closed
from endcap.recommend.state import History

DAY_US: Final = 86_400_000_000


def met(closed: Closed, history: History, now: int, artefact: Artefact | None) -> list[str]:
    """Return the items that meet a need at `now` (UTC microseconds): taken, and not due again."""
    since = now - closed.days * DAY_US
    taken: dict[str, int] = {}
    for item_id, kind, time in zip(
        history.item_ids, history.kinds, history.times.tolist(), strict=True
    ):
        if kind in closed.kinds and since <= time <= now:
            taken[item_id] = time
    return [i for i, time in taken.items() if not _is_due(closed, i, time, now, artefact)]


def is_about(
    closed: Closed, item_ids: Sequence[str], page: Sequence[str], columns: Columns
) -> bool:
    """Return whether a page is about one of some items, or about their like."""
    if not item_ids or not set(item_ids).isdisjoint(page):
        return bool(item_ids)
    like = alike(closed, item_ids, columns)
    if like is None:
        return False
    with columns.lock:
        rows = columns.rows(page)
    return bool(like[rows[rows < len(like)]].any())


def alike(
    closed: Closed, item_ids: Sequence[str], columns: Columns
) -> npt.NDArray[np.bool_] | None:
    """Return bool (rows of the catalogue,): which share `closed.by` with some items.

    None where nothing can be said: no field is named, or the items have none of it.
    """
    with columns.lock:
        column = columns.columns.get(closed.by)
        if not isinstance(column, TextColumn):
            return None
        codes = np.unique(column.codes[columns.rows(item_ids)])
        codes = codes[codes > 0]
        return np.isin(column.codes, codes) if len(codes) else None


def _is_due(closed: Closed, item_id: str, taken: int, now: int, artefact: Artefact | None) -> bool:
    """Return whether an item is one that people buy again, and its time has come."""
    model = artefact.models.get(closed.refills) if artefact and closed.refills else None
    if artefact is None or not isinstance(model, RefillModel):
        return False
    row = artefact.items.row(item_id)
    return row >= 0 and model.is_due(row, taken, now)
