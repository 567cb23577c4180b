"""What the catalogue says of items, as numbers: price buckets, categories, brands."""

from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

PATH_SEPARATOR = ">"
STEP: Final = f" {PATH_SEPARATOR} "


class Encoded(NamedTuple):
    """A column of names as numbers.

    Attributes
    ----------
    codes
        int32 (n,): the place in `names`, -1 where nothing is known.
    names
        Sorted, so that numbers do not depend on the order of the rows.
    """

    codes: npt.NDArray[np.int32]
    names: list[str]


def encode(column: pa.ChunkedArray) -> Encoded:
    """Number the names of a string column."""
    text = column.cast(pa.string())
    names = sorted(pc.unique(text).drop_null().to_pylist())
    codes = pc.fill_null(pc.index_in(text, value_set=pa.array(names, pa.string())), -1)
    return Encoded(np.asarray(codes.to_numpy(), np.int32), names)


def departments(items: pa.Table) -> Encoded:
    """Number the top of each item's first category path: ``"Home > Lights"`` is in ``"Home"``."""
    top = pc.list_element(pc.split_pattern(_path(items), PATH_SEPARATOR, max_splits=1), 0)
    return encode(pa.chunked_array([pc.utf8_trim_whitespace(top)]))


def shelves(items: pa.Table) -> Encoded:
    """Number each item's first category path, as a whole."""
    return encode(pa.chunked_array([_path(items)]))


def _path(items: pa.Table) -> pa.Array:
    lists = items["categories"].combine_chunks()
    return pc.list_element(pc.if_else(pc.greater(pc.list_value_length(lists), 0), lists, None), 0)


def paths(text: str) -> list[str]:
    """Return a category path and all above it, with single spaces around the separators.

    Examples
    --------
    >>> paths("Home>Lights")
    ['Home', 'Home > Lights']
    """
    parts = whole(text).split(STEP)
    return [STEP.join(parts[: n + 1]) for n in range(len(parts))]


def whole(text: str) -> str:
    """Return a category path with single spaces around the separators."""
    return STEP.join(part.strip() for part in text.split(PATH_SEPARATOR))


def prices(items: pa.Table) -> npt.NDArray[np.float64]:
    """Return float64 (n,): what a shopper pays, the sale price where there is one; NaN unknown."""
    paid = pc.coalesce(items["sale_price"], items["price"]).cast(pa.float64())
    known = np.asarray(pc.fill_null(paid, float("nan")).to_numpy(), np.float64)
    return np.round(known, 4)  # money has four decimals at most


def price_buckets(
    price: npt.NDArray[np.float64], group: npt.NDArray[np.int32], buckets: int, enough: int
) -> npt.NDArray[np.int8]:
    """Return int8 (n,): 0 (cheap) to ``buckets - 1`` by quantile, -1 where the price is unknown.

    Quantiles are those of the item's group where it has at least `enough` prices, else of all
    items: what is dear for a card is cheap for a lamp.
    """
    out = np.full(len(price), -1, np.int8)
    known = np.isfinite(price)
    sizes = np.bincount(group[known & (group >= 0)], minlength=int(group.max(initial=-1)) + 1)
    large = np.flatnonzero(sizes >= enough)
    out[known] = _bucket(price[known], price[known], buckets)
    for code in large:
        rows = known & (group == code)
        out[rows] = _bucket(price[rows], price[rows], buckets)
    return out


def _bucket(
    values: npt.NDArray[Any], among: npt.NDArray[Any], buckets: int
) -> npt.NDArray[np.int8]:
    edges = np.quantile(among, np.arange(1, buckets) / buckets) if len(among) else []
    return np.searchsorted(edges, values, side="right").astype(np.int8)
