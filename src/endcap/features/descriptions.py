"""What the catalogue says of an item as one sparse vector, the same for an item posted later.

TF-IDF over words and character n-grams beside a block for categories with their parents, brand and
half-octave of the price. Fitted once on a catalogue; what is new is encoded alike, alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pydantic
from scipy import sparse

from endcap.features.text import TextSpec, TextVectors, fit_text
from endcap.prepare.vocabulary import Vocabulary
from endcap.schema.strict import Strict

Field = Literal["title", "brand", "categories", "description"]
FIELDS: tuple[Field, ...] = ("title", "brand", "description", "categories")


class DescriptionSpec(Strict):
    """How items are described.

    Stability: caller.
    """

    text_share: float = pydantic.Field(default=0.7, ge=0, le=1)
    """Share of a similarity that comes from text; the rest from category, brand and price."""
    fields: tuple[Field, ...] = pydantic.Field(default=FIELDS, min_length=1)
    """What is read as text."""
    text: TextSpec = TextSpec(bits=17)


@dataclass(frozen=True)
class Descriptions:
    """A fitted encoder of catalogue rows.

    Attributes
    ----------
    spec
        The settings it was fitted with.
    text_idf
        float32 (2 ** bits,): of the hashed words and n-grams.
    labels
        Categories (each parent too), brands and classes of price.
    label_idf
        float32 (len(labels),).

    Stability: caller.
    """

    spec: DescriptionSpec
    text_idf: npt.NDArray[np.float32]
    labels: Vocabulary
    label_idf: npt.NDArray[np.float32]

    def transform(self, table: pa.Table) -> sparse.csr_array:
        """Return float32 (n, 2 ** bits + len(labels)), rows of length 1.

        A row is zero where nothing is known; a block without words or labels leaves its share
        to the other.

        Parameters
        ----------
        table
            Rows of schema `ITEMS`.
        """
        words = TextVectors(self.spec.text, self.text_idf).transform(texts(table, self.spec.fields))
        named = _rows(table, self.labels)
        named = _times(named, self.label_idf[named.indices])
        squares = np.bincount(_row_of(named), named.data**2.0, named.shape[0])
        unit = 1 / np.sqrt(np.where(squares > 0, squares, 1))
        named = _times(named, unit[_row_of(named)])
        return _shared([words, named], [self.spec.text_share, 1 - self.spec.text_share])


def fit_descriptions(table: pa.Table, spec: DescriptionSpec | None = None) -> Descriptions:
    """Learn how telling each word and each label is from a catalogue (schema `ITEMS`)."""
    spec = spec or DescriptionSpec()
    text = fit_text(texts(table, spec.fields), spec.text)
    labels = Vocabulary([label for row in _labels(table) for label in row])
    seen = np.bincount(_rows(table, labels).indices, minlength=len(labels))
    idf = np.log1p((table.num_rows - seen + 0.5) / (seen + 0.5))
    return Descriptions(spec, text.idf, labels, idf.astype(np.float32))


def texts(table: pa.Table, fields: Sequence[Field] = FIELDS) -> list[str]:
    """Return one text for each item: what is known of it in `fields`, in their order."""
    columns = [
        [" ".join(c for c in found or () if c) for found in table[name].to_pylist()]
        if name == "categories"
        else table[name].to_pylist()
        for name in fields
    ]
    return [" ".join(filter(None, row)) for row in zip(*columns, strict=True)]


def _rows(table: pa.Table, labels: Vocabulary) -> sparse.csr_array:
    """Return float32 (n, len(labels)): 1 for each label that is known."""
    said = [[at for label in row if (at := labels.row(label)) >= 0] for row in _labels(table)]
    indptr = np.concatenate(([0], np.cumsum([len(row) for row in said]))).astype(np.int64)
    indices = np.array([at for row in said for at in sorted(row)], np.int32)
    ones = np.ones(len(indices), np.float32)
    return sparse.csr_array((ones, indices, indptr), shape=(len(said), len(labels)))


def _labels(table: pa.Table) -> Iterator[set[str]]:
    columns = [table[name].to_pylist() for name in ("categories", "brand", "price")]
    for paths, brand, price in zip(*columns, strict=True):
        found = {f"brand {brand}"} if brand else set()
        for path in filter(None, paths or ()):
            steps = [step.strip() for step in path.split(">")]
            found |= {f"category {' > '.join(steps[:n])}" for n in range(1, len(steps) + 1)}
        if price is not None and price > 0:
            found.add(f"price {round(2 * np.log2(float(price)))}")
        yield found


def _shared(blocks: list[sparse.csr_array], shares: list[float]) -> sparse.csr_array:
    """Join blocks side by side; a row's empty block leaves its share to the other."""
    filled = np.stack([np.diff(block.indptr) > 0 for block in blocks], axis=1)
    weight = filled * np.array(shares)
    total = weight.sum(axis=1, keepdims=True)
    weight = np.where(total > 0, weight / np.where(total > 0, total, 1), filled)
    scaled = [_times(b, np.sqrt(weight[:, i])[_row_of(b)]) for i, b in enumerate(blocks)]
    joined = sparse.hstack(scaled, "csr")
    joined.eliminate_zeros()
    return sparse.csr_array(joined)


def _row_of(matrix: sparse.csr_array) -> npt.NDArray[np.int64]:
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def _times(matrix: sparse.csr_array, factors: npt.NDArray[np.floating]) -> sparse.csr_array:
    """Return `matrix` with each stored entry times its own factor, float32."""
    data = (matrix.data * factors).astype(np.float32)
    return sparse.csr_array((data, matrix.indices, matrix.indptr), shape=matrix.shape)
