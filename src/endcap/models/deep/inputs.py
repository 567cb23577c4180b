"""What is known beside the item's name: of items from the catalogue, of events from their clock."""

from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from endcap.features.descriptions import DescriptionSpec, fit_descriptions
from endcap.features.svd import svd
from endcap.features.text import TextSpec
from endcap.models.deep.packing import Ints
from endcap.models.deep.settings import DeepSpec
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.prepare.vocabulary import Vocabulary

GAPS = 28
"""Classes of time since the event before: 0 unknown, else powers of two of seconds to two years."""
SECOND_US = 1_000_000
SHARED = 2
"""A label that fewer items bear says no more than the item's own vector."""


class Facts(NamedTuple):
    """What the catalogue says of each item.

    Attributes
    ----------
    text
        float32 (n_items, t): directions of the words, rows of length 1 (0 where nothing is said).
    labels
        int64 (n_items, w): categories with their parents, brand and class of price; 0 fills up.
    n_labels
        One more than the largest label.
    """

    text: npt.NDArray[np.float32]
    labels: Ints
    n_labels: int

    @property
    def known(self) -> npt.NDArray[np.bool_]:
        """Bool (n_items,): whether anything is said of an item."""
        return np.asarray(self.text.any(axis=1) | self.labels.any(axis=1))


class Events(NamedTuple):
    """Known events end to end, oldest first within a history.

    Attributes
    ----------
    indptr
        int64 (n + 1,): history q owns ``indptr[q]:indptr[q + 1]``.
    items
        int32 (h,): item rows.
    gaps, kinds
        int64 (h,): class of time since the event before (see `GAPS`), and the row of the kind
        plus 1, 0 where unknown.
    """

    indptr: Ints
    items: npt.NDArray[np.int32]
    gaps: Ints
    kinds: Ints


def facts(
    table: pa.Table, text_dimensions: int, label_kinds: tuple[str, ...], rng: np.random.Generator
) -> Facts:
    """Read a catalogue (schema `ITEMS`).

    Parameters
    ----------
    text_dimensions
        Directions kept of the words; 0 reads no text.
    label_kinds
        Which of ``"category"``, ``"brand"`` and ``"price"`` count.
    """
    words = TextSpec(bits=17)
    read = fit_descriptions(table, DescriptionSpec(text=words))
    rows = read.transform(table)
    text = np.zeros((table.num_rows, 0), np.float32)
    if text_dimensions and rows.nnz:
        block = rows[:, : words.columns]
        text = svd(block, text_dimensions, rng).transform(block)
        text /= np.maximum(np.linalg.norm(text, axis=1, keepdims=True), np.float32(1e-9))
    named = rows[:, words.columns :]
    asked = np.array([label.split(" ", 1)[0] in label_kinds for label in read.labels.ids(
        np.arange(len(read.labels)))], bool)  # fmt: skip
    used = asked & (np.bincount(named.indices, minlength=len(asked)) >= SHARED)
    number = np.where(used, np.cumsum(used), 0)
    kept = number[named.indices] > 0
    owner = np.repeat(np.arange(table.num_rows), np.diff(named.indptr))[kept]
    counts = np.bincount(owner, minlength=table.num_rows)
    labels = np.zeros((table.num_rows, max(1, int(counts.max(initial=0)))), np.int64)
    labels[owner, np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)] = number[
        named.indices[kept]
    ]
    return Facts(text, labels, int(used.sum()) + 1)


def events(queries: Queries, kinds: Vocabulary) -> Events:
    """Return what histories hold of known items, each compared with the event before it."""
    known = queries.items >= 0
    counts = np.bincount(queries.query_of[known], minlength=len(queries))
    indptr = np.concatenate(([0], np.cumsum(counts))).astype(np.int64)
    times = queries.times[known]
    first = np.zeros(len(times), bool)
    first[indptr[:-1][counts > 0]] = True
    seconds = np.maximum(np.diff(times, prepend=0), 0) / SECOND_US
    gaps = 1 + np.log2(1 + seconds).astype(np.int64)
    timed = ~first & (times > 0) & (np.roll(times, 1) > 0)
    code = np.zeros(len(times), np.int64)
    if queries.kinds is not None and len(times):
        code = 1 + kinds.rows(queries.kind_names)[queries.kinds[known]].astype(np.int64)
    return Events(
        indptr, queries.items[known], np.where(timed, np.minimum(gaps, GAPS - 1), 0), code
    )


class Curriculum(NamedTuple):
    """A data set as a network learns it: the items that occur, numbered anew.

    Attributes
    ----------
    history
        Of items ``0 .. n - 1``, every one of which occurs.
    rows, counts
        int64 (n,): their rows in the data set, and how many events each has.
    facts, said
        Of these items, and of all.
    kinds
        Of event.
    """

    history: Events
    rows: Ints
    counts: Ints
    facts: Facts
    said: Facts
    kinds: Vocabulary

    @property
    def answerable(self) -> npt.NDArray[np.bool_]:
        """Bool (all items,): whether an item has events or the catalogue says something of it."""
        out = self.said.known
        out[self.rows] = True
        return out


def curriculum(spec: DeepSpec, data: Dataset, rng: np.random.Generator) -> Curriculum:
    """Read a data set for a network."""
    said = facts(data.item_table, spec.text_dimensions, spec.label_kinds, rng)
    counts = np.bincount(data.column("item"), minlength=len(data.items))
    rows = np.flatnonzero(counts)
    kinds = Vocabulary(data.kind_names)
    history = events(Queries.of_users(data, np.arange(len(data.users))), kinds)
    number = np.cumsum(counts > 0) - 1
    return Curriculum(
        history._replace(items=number[history.items].astype(np.int32)),
        rows,
        counts[rows],
        Facts(said.text[rows], said.labels[rows], said.n_labels),
        said,
        kinds,
    )
