"""Who speaks for an item that the models do not know: the known one most like it.

Somebody looks at an item that was posted an hour ago. No model has a row for it, but its
description is like that of another, or others took it together with another; that one is asked
about instead, as far as it is like it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from endcap.models.described import Described
from endcap.models.live import LiveCounts
from endcap.prepare.vocabulary import UNKNOWN, Vocabulary

ALIKE: Final = 0.1
"""Who is less like it does not speak for it."""
TAKEN_TOGETHER: Final = 0.5
"""What goes with an item is no item like it, but better than nothing."""
LESS: Final = np.nextafter(np.float32(1), np.float32(0))
"""Even the very same description is not the item itself."""


@dataclass(frozen=True, slots=True)
class StandIns:
    """Finds them for one request.

    Attributes
    ----------
    words
        The items that the models know.
    items
        Rows of schema `ITEMS` that they do not.
    described
        What the catalogue says of both; None where unknown.
    live
        What everybody does now; None where nobody counts along.
    """

    words: Vocabulary
    items: pa.Table
    described: Described | None
    live: LiveCounts | None

    def __call__(
        self, item_ids: Sequence[str]
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """See `evidence.StandIn`."""
        known = self.items["item_id"].combine_chunks()
        places = pc.index_in(pa.array(item_ids, known.type), known).to_pylist()
        found = {
            item_id: self._one(item_id, at)
            for item_id, at in dict(zip(item_ids, places, strict=True)).items()
        }
        rows = np.array([found[item_id][0] for item_id in item_ids], np.int32)
        alike = np.array([found[item_id][1] for item_id in item_ids], np.float32)
        return rows, np.minimum(alike, LESS)

    def _one(self, item_id: str, at: int | None) -> tuple[int, float]:
        if at is None:
            return UNKNOWN, 0.0  # not in the catalogue, or not any more
        row, alike = UNKNOWN, 0.0
        if self.described is not None:
            row, alike = self.described.nearest(self.items, at)
        if alike >= ALIKE:
            return row, alike
        told = {} if self.live is None else self.live.followers(item_id)
        known = [(score, other) for other, score in told.items() if other in self.words]
        return (self.words.row(max(known)[1]), TAKEN_TOGETHER) if known else (UNKNOWN, 0.0)
