"""What an interaction counts: the one rule, used in training and for each request."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from endcap.schema.kinds import KINDS

DAY_US: Final = 86_400_000_000
OLDEST_HALF_LIVES: Final = 40.0
"""Older events count as this old, so that a weight never vanishes to 0."""
FEW: Final = 1000
"""A list shorter than this is looked up name by name."""

Kinds = Sequence[str] | npt.NDArray[Any]
"""… or an Arrow array, which has no static type."""


def kind_weights(overrides: Mapping[str, float] | None = None) -> dict[str, float]:
    """Return the weight of each kind: the built-in ones under those of the settings."""
    return {name: kind.weight for name, kind in KINDS.items()} | dict(overrides or {})


def weigh(
    kinds: Kinds,
    times: npt.ArrayLike,
    now: int | datetime | npt.NDArray[np.int64],
    half_life_days: float,
    table: Mapping[str, float],
) -> npt.NDArray[np.float32]:
    """Return ``table[kind] * 2 ** (-age / half_life)``.

    Parameters
    ----------
    kinds
        (n,) names of kinds: a list, a NumPy array, or an Arrow array (dictionary or plain).
    times
        int64 (n,), UTC microseconds.
    now
        The moment at which the age is taken, UTC microseconds or an aware datetime; one for all
        or one each. What lies after it has age 0.
    half_life_days
        Age, in days, at which an interaction counts half; more than 40 half-lives count as 40.
    table
        Weight of each kind, such as `kind_weights()`; kinds that it does not hold count 0.

    Returns
    -------
    float32 (n,). Falls with age, rises with the weight of the kind.
    """
    moment = microseconds(now) if isinstance(now, datetime) else now
    age = (np.asarray(moment, np.int64) - np.asarray(times, np.int64)) / DAY_US
    halvings = np.clip(age / half_life_days, 0.0, OLDEST_HALF_LIVES)
    return (_base(kinds, table) * np.exp2(-halvings)).astype(np.float32)


def _base(kinds: Kinds, table: Mapping[str, float]) -> npt.NDArray[np.float64]:
    """Look each kind up once, whatever the number of rows."""
    if isinstance(kinds, list) and len(kinds) < FEW:  # a shopper's: quicker than by columns
        return np.array([table.get(kind, 0.0) for kind in kinds])
    column: Any = kinds if isinstance(kinds, pa.Array | pa.ChunkedArray) else pa.array(kinds)
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if not isinstance(column, pa.DictionaryArray):
        column = pc.dictionary_encode(column.cast(pa.string()))
    weights = np.array([table.get(k, 0.0) for k in column.dictionary.to_pylist()] + [0.0])
    code = pc.fill_null(column.indices.cast(pa.int32()), len(weights) - 1)
    return np.asarray(weights[code.to_numpy(zero_copy_only=False)])


def microseconds(moment: int | datetime) -> int:
    """Return a moment as UTC microseconds; a datetime must know its zone."""
    if not isinstance(moment, datetime):
        return moment
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
