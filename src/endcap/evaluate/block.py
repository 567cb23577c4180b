"""What a model says of some users and some items, as a table of numbers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.csv
from pyarrow import ArrowInvalid

from endcap.models.base import Model, RatingModel
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import DataError, nearest

MOST: Final = 12
"""Users and items shown where none are named: the busiest."""
COLUMNS: Final = {"user": "user_id", "item": "item_id", "rating": "value"}
"""Other names that the columns of a ratings file go by."""


@dataclass(frozen=True)
class Block:
    """Predicted ratings (or scores, for models of no ratings).

    Attributes
    ----------
    values
        float32 (users, items); NaN where the model cannot say.
    """

    values: npt.NDArray[np.float32]
    users: list[str]
    items: list[str]


def block(
    model: Model, data: Dataset, users: Sequence[str] = (), items: Sequence[str] = ()
) -> Block:
    """Ask a model about every pair of the given ids.

    Parameters
    ----------
    model
        A `RatingModel` is asked for ratings, any other for scores.
    data
        Where the histories are; its vocabularies may differ from the model's.
    users, items
        External ids; none given: the busiest twelve, in order of id. Unknown ones are asked too.
    """
    user_ids = list(users) or _busiest(data, "user")
    item_ids = list(items) or _busiest(data, "item")
    rows, columns = model.users.rows(user_ids), model.items.rows(item_ids)
    if isinstance(model, RatingModel):
        pairs = np.repeat(rows, len(columns)), np.tile(columns, len(rows))
        values = model.predict(*pairs).reshape(len(rows), len(columns))
    else:
        scores = model.scores(_histories(model, data, user_ids))
        unknown = np.full((len(rows), 1), np.nan, np.float32)
        values = np.hstack([scores, unknown])[:, columns]
    return Block(values, user_ids, item_ids)


def read_ratings(path: Path) -> Dataset:
    """Read a CSV file with the columns user, item, rating (or user_id, item_id, value).

    Raises
    ------
    DataError
        When the file cannot be read, or a column is missing (the nearest is named).
    """
    try:
        table = pa.csv.read_csv(path)
    except (OSError, ArrowInvalid) as error:
        raise DataError(f"{path} cannot be read as CSV: {error}.") from error
    users, items = (_column(table, name, path).cast(pa.string()) for name in ("user", "item"))
    try:
        values = _column(table, "rating", path).cast(pa.float64())
    except ArrowInvalid as error:
        raise DataError(f"{path}: a rating is no number: {error}.") from error
    return Dataset.of(users.combine_chunks(), items.combine_chunks(), values=values.to_numpy())


def _column(table: pa.Table, name: str, path: Path) -> pa.ChunkedArray:
    for known in (name, COLUMNS[name]):
        if known in table.column_names:
            return table[known]
    raise DataError(f"{path} has no column {name!r}.", hint=nearest(name, table.column_names))


def _busiest(data: Dataset, side: str) -> list[str]:
    words = data.users if side == "user" else data.items
    counts = np.bincount(data.column(side), minlength=len(words))
    return words.ids(np.sort(np.argsort(-counts, kind="stable")[:MOST]))


def _histories(model: Model, data: Dataset, user_ids: list[str]) -> Queries:
    """Return the users' histories in the model's own row numbers; strangers have none."""
    known = data.users.rows(user_ids)
    queries = Queries.of_users(data, known[known >= 0])
    there = model.items.rows(data.items.array)
    lengths = np.zeros(len(known), np.int64)
    lengths[known >= 0] = np.diff(queries.indptr)
    ends = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
    return Queries(
        users=model.users.rows(user_ids),
        indptr=ends,
        items=there[queries.items],
        weights=queries.weights,
        values=queries.values,
        times=queries.times,
        now=np.full(len(known), data.end, np.int64),
        exclude_indptr=np.zeros(len(known) + 1, np.int64),
        exclude=np.empty(0, np.int32),
        kinds=queries.kinds,
        kind_names=queries.kind_names,
    )
