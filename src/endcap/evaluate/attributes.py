"""What the catalogue says about items, as matrices: for diversity and calibration."""

import itertools
import re
from collections import Counter
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

WORD: Final = re.compile(r"[\u4e00-\u9fff]|[^\W\u4e00-\u9fff]+")
PRICE_BUCKETS: Final = 5


class Groups(NamedTuple):
    """Kinds of items a shopper may have a taste for.

    Attributes
    ----------
    by
        ``"category"`` or ``"price"``.
    names
        The g groups.
    matrix
        float32 CSR (n_items, g): rows sum to 1, or to 0 where nothing is known of the item.
    """

    by: str
    names: list[str]
    matrix: sparse.csr_array


def item_groups(table: pa.Table) -> Groups | None:
    """Group items by the first level of their categories, else by price; None without either.

    Price buckets hold equally many items (quintiles of the prices known).
    """
    paths = table["categories"].to_pylist()
    labels = [sorted({path.split(">")[0].strip() for path in row or () if path}) for row in paths]
    if len({label for row in labels for label in row}) > 1:
        names = sorted({label for row in labels for label in row})
        return Groups("category", names, _weigh(labels, names))
    prices = pc.cast(table["price"], pa.float64()).to_numpy(zero_copy_only=False)
    known = prices[np.isfinite(prices)]
    edges = (
        np.unique(np.quantile(known, np.linspace(0, 1, PRICE_BUCKETS + 1)[1:-1]))
        if len(known)
        else known
    )
    if not len(edges):
        return None
    bounds = [f"{edge:.2f}" for edge in edges]
    names = [
        f"< {bounds[0]}",
        *map(" - ".join, itertools.pairwise(bounds)),
        f">= {bounds[-1]}",
    ]
    places = np.searchsorted(edges, prices, side="right")
    rows = [
        [names[at]] if np.isfinite(price) else [] for at, price in zip(places, prices, strict=True)
    ]
    return Groups("price", names, _weigh(rows, names))


def item_vectors(table: pa.Table) -> sparse.csr_array | None:
    """Return float32 CSR (n_items, words): TF-IDF of title, brand and categories, unit length.

    Chinese characters count one by one. None when nothing is known of any item.
    """
    bags = [
        Counter(WORD.findall(" ".join((title or "", brand or "", *(row or ()))).lower()))
        for title, brand, row in zip(
            table["title"].to_pylist(),
            table["brand"].to_pylist(),
            table["categories"].to_pylist(),
            strict=True,
        )
    ]
    spread = Counter(word for bag in bags for word in bag)
    if not spread:
        return None
    place = {word: at for at, word in enumerate(sorted(spread))}
    idf = np.array([np.log((1 + len(bags)) / (1 + spread[word])) + 1 for word in place])
    rows = np.repeat(np.arange(len(bags)), [len(bag) for bag in bags])
    columns = np.array([place[word] for bag in bags for word in bag], np.int64)
    counts = np.array([count for bag in bags for count in bag.values()], np.float64)
    values = (1 + np.log(counts)) * idf[columns]
    length = np.sqrt(np.bincount(rows, values**2, minlength=len(bags)))
    unit = (values / length[rows]).astype(np.float32)
    return sparse.coo_array((unit, (rows, columns)), shape=(len(bags), len(place))).tocsr()


def _weigh(labels: list[list[str]], names: list[str]) -> sparse.csr_array:
    place = {name: at for at, name in enumerate(names)}
    counts: npt.NDArray[np.int64] = np.array([len(row) for row in labels], np.int64)
    columns = [place[label] for row in labels for label in row]
    share = np.repeat(1.0 / np.maximum(counts, 1), counts).astype(np.float32)
    indptr = np.concatenate(([0], np.cumsum(counts)))
    return sparse.csr_array((share, columns, indptr), shape=(len(labels), len(names)))
