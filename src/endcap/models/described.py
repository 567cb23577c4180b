"""What the catalogue says of every item that the models know, and of one posted since, alike."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from endcap.features.descriptions import Descriptions, DescriptionSpec, fit_descriptions
from endcap.models.store import publishing, read_manifest, write_manifest
from endcap.prepare.vocabulary import Vocabulary

READ: Final = ("title", "brand", "description", "categories", "price")
"""What an encoding depends on."""
MOST_NEAREST: Final = 10_000
ARRAYS: Final = ("text_idf", "label_idf", "data", "indices", "indptr")


@dataclass(frozen=True)
class Described:
    """A fitted encoder of catalogue rows, and the items of an artefact encoded with it.

    Attributes
    ----------
    encoder
        Fitted on the catalogue as it was in training.
    vectors
        CSR float32 (n_items, f), rows of length 1, 0 where nothing is known.
    """

    encoder: Descriptions
    vectors: sparse.csr_array
    _kept: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)

    @classmethod
    def of(cls, table: pa.Table) -> Self:
        """Read a catalogue: rows of schema `ITEMS` in the order of the items' row numbers."""
        encoder = fit_descriptions(table)
        return cls(encoder, encoder.transform(table))

    def encode(self, table: pa.Table) -> sparse.csr_array:
        """Return CSR float32 (n, f) of other rows; each is read once, as long as it is asked for.

        Parameters
        ----------
        table
            Rows of schema `ITEMS`; the same object is answered at once.
        """
        with self._lock:
            if self._kept.get("table") is not table:
                rows: dict[str, sparse.csr_array] = self._kept.get("rows", {})
                said = [repr(row) for row in table.select(["item_id", *READ]).to_pylist()]
                new = [at for at, key in enumerate(said) if key not in rows]
                if new:
                    fresh = self.encoder.transform(table.take(pa.array(new)))
                    rows |= {said[at]: fresh[[n]] for n, at in enumerate(new)}
                rows = {key: rows[key] for key in said}
                none = sparse.csr_array((0, self.vectors.shape[1]), dtype=np.float32)
                matrix = sparse.vstack([none, *(rows[key] for key in said)], "csr")
                self._kept.update(table=table, rows=rows, matrix=matrix)
            encoded: sparse.csr_array = self._kept["matrix"]
            return encoded

    def nearest(self, table: pa.Table, at: int) -> tuple[int, float]:
        """Return the row of the item most like one of other rows, and the cosine of the two.

        -1 and 0 where none is like it at all. An answer is kept as long as others want it.

        Parameters
        ----------
        table
            Rows of schema `ITEMS`.
        at
            The place of the row in it.
        """
        said = repr(table.select(["item_id", *READ]).slice(at, 1).to_pylist())
        with self._lock:
            known: dict[str, tuple[int, float]] = self._kept.setdefault("nearest", {})
            if said in known:
                return known[said]
        one = self.encode(table)[[at]].toarray()[0]
        likeness = self.vectors @ one
        best = int(likeness.argmax()) if len(likeness) else -1
        found = (best, float(likeness[best])) if best >= 0 and likeness[best] > 0 else (-1, 0.0)
        with self._lock:
            if len(known) >= MOST_NEAREST:
                known.clear()
            known[said] = found
        return found


def save_described(described: Described, folder: Path) -> None:
    """Write to `folder`, which must not exist: arrays, labels, a manifest with hashes."""
    encoder, vectors = described.encoder, described.vectors
    arrays = (encoder.text_idf, encoder.label_idf, vectors.data, vectors.indices, vectors.indptr)
    with publishing(folder) as draft:
        for name, array in zip(ARRAYS, arrays, strict=True):
            np.save(draft / f"{name}.npy", array, allow_pickle=False)
        (draft / "labels.json").write_text(
            json.dumps(encoder.labels.array.to_pylist(), ensure_ascii=False), encoding="utf-8"
        )
        spec = encoder.spec.model_dump(mode="json")
        write_manifest(draft, {"spec": spec, "shape": list(vectors.shape)})


def load_described(folder: Path) -> Described:
    """Read back, arrays memory-mapped.

    Raises
    ------
    ArtefactError
        When a file is missing or changed.
    """
    manifest = read_manifest(folder)
    read: Callable[[str], npt.NDArray[Any]] = lambda name: np.load(  # noqa: E731
        folder / f"{name}.npy", mmap_mode="r", allow_pickle=False
    )
    arrays = {name: read(name) for name in ARRAYS}
    labels = Vocabulary(json.loads((folder / "labels.json").read_text(encoding="utf-8")))
    spec = DescriptionSpec.parse(manifest["spec"], where=str(folder))
    parts = arrays["data"], arrays["indices"], arrays["indptr"]
    vectors = sparse.csr_array(parts, shape=tuple(manifest["shape"]), copy=False)
    encoder = Descriptions(spec, arrays["text_idf"], labels, arrays["label_idf"])
    return Described(encoder, vectors)
