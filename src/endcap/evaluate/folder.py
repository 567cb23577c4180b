"""Read a folder of research data into a `Dataset`.

``interactions.parquet`` has `user_id`, `item_id` and what the source has of `timestamp` (unix s),
`pos` (order within a user), `event`, `split`, `weight`, `rating`, a basket; ``items.parquet`` has
`item_id` and what is known of each item. Rows keep their order where nothing else orders them.
"""

import html
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from endcap.prepare.dataset import Dataset
from endcap.schema.errors import DataError
from endcap.schema.kinds import KINDS
from endcap.schema.tables import MONEY

INTERACTIONS_FILE: Final = "interactions.parquet"
ITEMS_FILE: Final = "items.parquet"
EVENTS: Final = {"buy": "purchase", "collect": "wish", "cart": "cart"}
PARTS: Final = {"history": "train", "future": "test"}
BASKETS: Final = ("basket_id", "basket", "session_id")
LEVELS: Final = ("department", "product_category", "product_type", "category")
UNKNOWN: Final = {"", "Unknown"}
TITLES: Final = ("title", "name", "product_type")


@dataclass(frozen=True)
class Folder:
    """A folder read.

    Attributes
    ----------
    data
        The data set. Times are clock times when `clocked`, else places in an order.
    labels
        ``train``, ``valid`` or ``test`` for each row of ``data.interactions``, or None.
    clocked, ordered
        Whether the source says when things happened, or at least in which order.
    """

    name: str
    data: Dataset
    labels: npt.NDArray[np.str_] | None
    clocked: bool
    ordered: bool = True


def load(path: Path) -> Folder:
    """Read a folder.

    Raises
    ------
    DataError
        When the file, `user_id` or `item_id` is missing.
    """
    if not (path / INTERACTIONS_FILE).is_file():
        raise DataError(f"{path} holds no {INTERACTIONS_FILE}.")
    table = pq.read_table(path / INTERACTIONS_FILE)
    for name in ("user_id", "item_id"):
        if name not in table.column_names:
            raise DataError(f"{path / INTERACTIONS_FILE} has no column {name!r}.")
    kinds = _kinds(table)
    times = _times(table)
    data = Dataset.of(
        _strings(table["user_id"]),
        _strings(table["item_id"]),
        times=times,
        weights=_weights(table, kinds),
        values=table["rating"].to_numpy() if "rating" in table.column_names else None,
        kinds=kinds,
        sessions=_sessions(table, times),
        catalogue=_catalogue(path / ITEMS_FILE),
    )
    labels = None
    if "split" in table.column_names:
        # A data set is sorted by (user, time, arrival): put the labels into the same order.
        rows = data.users.rows(_strings(table["user_id"]))
        order = np.lexsort((np.arange(len(times)), times, rows))
        labels = np.array([PARTS.get(x, x) for x in table["split"].to_pylist()])[order]
    clocked = "timestamp" in table.column_names
    ordered = bool({"timestamp", "pos", "basket"} & set(table.column_names))
    return Folder(path.name, data, labels, clocked, ordered)


def _strings(column: pa.ChunkedArray) -> pa.Array:
    return pc.cast(column, pa.string()).combine_chunks()


def _times(table: pa.Table) -> npt.NDArray[np.int64]:
    for name, unit in (("timestamp", 1_000_000), ("pos", 1), ("basket", 1)):
        if name in table.column_names:
            return np.asarray(table[name].to_numpy(), np.int64) * unit
    return np.arange(table.num_rows, dtype=np.int64)


def _kinds(table: pa.Table) -> pa.Array:
    if "event" not in table.column_names:
        return pa.array(["purchase"]).take(pa.array(np.zeros(table.num_rows, np.int64)))
    names = table["event"].combine_chunks().dictionary_encode()
    known = [EVENTS.get(name, name) for name in names.dictionary.to_pylist()]
    return pa.array(known, pa.string()).take(names.indices)


def _weights(table: pa.Table, kinds: pa.Array) -> npt.NDArray[np.float64]:
    """The source's own weight; else, where there are several kinds of event, that of the kind."""
    if "weight" in table.column_names:
        return np.maximum(np.asarray(table["weight"].to_numpy(), np.float64), 1e-6)
    names = kinds.dictionary_encode()
    if len(names.dictionary) < 2:
        return np.ones(table.num_rows)
    weight = [KINDS[k].weight if k in KINDS else 1.0 for k in names.dictionary.to_pylist()]
    return np.asarray(np.maximum(weight, 1e-6)[names.indices.to_numpy()])


def _sessions(table: pa.Table, times: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """Baskets numbered by time; without baskets, one for each user and moment."""
    name = next((name for name in BASKETS if name in table.column_names), None)
    keys: Any = times if name is None else table[name].to_numpy()
    users = np.unique(table["user_id"].to_numpy(), return_inverse=True)[1]
    _, code = np.unique(
        np.stack((np.unique(keys, return_inverse=True)[1], users)), axis=1, return_inverse=True
    )
    return np.asarray(code, np.int64)


def _catalogue(path: Path) -> pa.Table | None:
    if not path.is_file():
        return None
    table = pq.read_table(path)
    if "item_id" not in table.column_names:
        return None
    out = {"item_id": _strings(table["item_id"])}
    title = next((name for name in TITLES if name in table.column_names), None)
    if title is not None:
        out["title"] = _texts(table[title])
    for name in ("brand", "description"):
        if name in table.column_names:
            out[name] = _texts(table[name])
    if "price" in table.column_names:
        prices = pc.round(pc.cast(table["price"], pa.float64()), 2).to_numpy()
        text = [f"{x:.4f}" if np.isfinite(x) else None for x in prices]
        out["price"] = pa.array(text, pa.string()).cast(MONEY)
    out["categories"] = pa.array(_paths(table), pa.list_(pa.string()))
    return pa.table(out)


def _texts(column: pa.ChunkedArray) -> pa.Array:
    """Texts without the marks of the page they were read from; ``Unknown`` says nothing."""
    texts = (None if x is None else html.unescape(x) for x in _strings(column).to_pylist())
    return pa.array((None if x in UNKNOWN else x for x in texts), pa.string())


def _paths(table: pa.Table) -> list[list[str] | None]:
    """Category paths such as ``"Beauty > Makeup"``, from a quoted list or from level columns."""
    if "categories" in table.column_names:
        rows = table["categories"].to_pylist()
        return [
            [" > ".join(x.strip(" '\"") for x in row.split(","))] if row else None for row in rows
        ]
    levels = [table[name].to_pylist() for name in LEVELS if name in table.column_names]
    rows = zip(*levels, strict=True) if levels else ((),) * table.num_rows
    joined = [" > ".join(str(x) for x in row if x) for row in rows]
    return [[path] if path else None for path in joined]
