"""What users or items are, as labels: ``job=artist``, ``age in class 3``, ``brand Acme``."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
from scipy import sparse

from endcap.features.catalogue import paths
from endcap.prepare.vocabulary import Vocabulary

BINS: Final = 8
"""Classes of a number, alike in size."""
FEW: Final = 12
"""A number with at most so many values is a name (a size, a grade), not a quantity."""
SHARED: Final = 2
"""A label that fewer rows bear says no more than the row's own name."""
COMMON: Final = 0.5
"""A label that this share of the items bears tells nothing, such as the root of all categories."""
_WORD: Final = re.compile(r"[^\W\d_]{2,}")

Rows = list[dict[str, set[str]]]


def attribute_labels(column: pa.ChunkedArray, bins: int = BINS) -> sparse.csr_array:
    """Return float32 (n, labels): 1 for each label of a row, labels in the order of their names.

    Parameters
    ----------
    column
        JSON objects as strings, null where nothing is known; a list gives a label for each entry,
        an object within is left out.
    bins
        Classes of a key whose values are numbers, of more than `FEW` kinds.
    """
    rows = [_values(text) for text in column.to_pylist()]
    keys = sorted({key for row in rows for key in row})
    edges = {key: found for key in keys if (found := _edges(rows, key, bins)) is not None}
    named = [[_label(key, value, edges) for key in row for value in row[key]] for row in rows]
    return one_hot(named)


def one_hot(rows: Sequence[Sequence[str]]) -> sparse.csr_array:
    """Return float32 (n, labels): 1 for each label of a row that at least `SHARED` rows bear."""
    words = Vocabulary([label for row in rows for label in row])
    places = [sorted({words.row(label) for label in row}) for row in rows]
    indptr = np.concatenate(([0], np.cumsum([len(row) for row in places]))).astype(np.int64)
    indices = np.array([place for row in places for place in row], np.int32)
    ones = np.ones(len(indices), np.float32)
    whole = sparse.csr_array((ones, indices, indptr), shape=(len(rows), len(words)))
    shared = np.flatnonzero(np.bincount(indices, minlength=len(words)) >= SHARED)
    return sparse.csr_array(whole[:, shared])


def labels(told: Mapping[str, Any]) -> list[str]:
    """Return what an item is, each once: its brand and each part of its categories.

    Where the catalogue has neither, the words of its title.

    Parameters
    ----------
    told
        ``brand``, ``categories`` and ``title``, as in `recommend.facts`; any may be missing.
    """
    brand, categories = told.get("brand"), told.get("categories") or ()
    found = [f"brand {brand}"] if brand else []
    found += [part for path in categories for part in paths(path)]
    return list(dict.fromkeys(found or _WORD.findall((told.get("title") or "").lower())))


def item_labels(table: pa.Table) -> list[list[str]]:
    """Return the `labels` of each item of a catalogue."""
    return [labels(row) for row in table.select(["title", "brand", "categories"]).to_pylist()]


def telling(rows: Sequence[Sequence[str]]) -> sparse.csr_array:
    """Return `one_hot` of the labels that fewer than `COMMON` of the rows bear, indices sorted."""
    borne = one_hot(rows)
    few = np.flatnonzero(np.asarray(borne.sum(axis=0)) < COMMON * len(rows))
    kept = sparse.csr_array(borne[:, few])
    kept.sort_indices()
    return kept


def _values(text: str | None) -> dict[str, set[str]]:
    found = json.loads(text) if text else {}
    out = {key: set(_words(value)) for key, value in found.items()}
    return {key: words for key, words in out.items() if words}


def _words(value: Any) -> Iterator[str]:
    if isinstance(value, list):
        for entry in value:
            yield from _words(entry)
    elif value is not None and not isinstance(value, dict):
        yield str(value)


def _edges(rows: Rows, key: str, bins: int) -> np.ndarray | None:
    """Return the inner borders of the classes of a key, None where its values are names."""
    said = [value for row in rows for value in row.get(key, ())]
    if len(set(said)) <= FEW:
        return None
    try:
        numbers = np.array(said, float)
    except ValueError:
        return None
    return np.unique(np.nanquantile(numbers, np.arange(1, bins) / bins))


def _label(key: str, value: str, edges: dict[str, np.ndarray]) -> str:
    if key not in edges:
        return f"{key}={value}"
    return f"{key} in class {int(np.searchsorted(edges[key], float(value), side='right'))}"
