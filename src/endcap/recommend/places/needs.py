"""Needs that are met: who bought a sofa is shown what goes with it, not another sofa."""

from typing import Final

import numpy as np

from endcap.models.refill import RefillModel
from endcap.recommend.artefacts import Artefact
from endcap.recommend.filters.columns import Columns, Rows, TextColumn
from endcap.recommend.recipe import Closed
from endcap.recommend.state import History

DAY_US: Final = 86_400_000_000


def is_met(
    closed: Closed,
    context: tuple[str, ...],
    history: History,
    now: int,
    columns: Columns,
    *,
    artefact: Artefact | None,
) -> bool:
    """Return whether what the page is about has been taken already, and is not due again."""
    since = now - closed.days * DAY_US
    met: dict[str, int] = {}
    for item_id, kind, time in zip(
        history.item_ids, history.kinds, history.times.tolist(), strict=True
    ):
        if kind in closed.kinds and since <= time <= now:
            met[item_id] = time
    alike = [i for i in met if _same_need(closed.by, i, context, columns)] if met else []
    return any(not _is_due(closed, item_id, met[item_id], now, artefact) for item_id in alike)


def _same_need(by: str, item_id: str, context: tuple[str, ...], columns: Columns) -> bool:
    if item_id in context:
        return True
    if not by:
        return False
    with columns.lock:
        column = columns.columns.get(by)
        if not isinstance(column, TextColumn):
            return False
        rows: Rows = columns.rows([item_id, *context])
        codes = column.codes[rows]
    return bool(codes[0]) and bool(np.isin(codes[0], codes[1:]))


def _is_due(closed: Closed, item_id: str, bought: int, now: int, artefact: Artefact | None) -> bool:
    """Return whether an item is one that people buy again, and its time has come."""
    model = artefact.models.get(closed.refills) if artefact and closed.refills else None
    if artefact is None or not isinstance(model, RefillModel):
        return False
    row = artefact.items.row(item_id)
    return row >= 0 and model.is_due(row, bought, now)
