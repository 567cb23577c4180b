"""What is known of each user at a moment: recency, frequency, spend, and what they like.

The same function makes training rows (for each moment in the past) and answers requests (now, on
a small data set of the shopper's own events). Nothing at or after the moment leaks in.
"""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from endcap.features.catalogue import departments, price_buckets, prices
from endcap.features.items import ItemFeatureSpec
from endcap.prepare.dataset import Dataset
from endcap.prepare.weights import DAY_US, microseconds

TOP = 3


def user_features(
    data: Dataset, at: int | datetime, spec: ItemFeatureSpec | None = None
) -> pa.Table:
    """Describe every user as of `at` (UTC microseconds, or an aware datetime).

    Returns
    -------
    One row for each row of ``data.users``; null where there is no event before `at`:

    user_id : string
    recency_days : float32 since the last event
    tenure_days : float32 since the first
    frequency : int32, different sessions
    events, items : int32, events and different items
    spend : float64, purchases at the catalogue's prices (what was paid stands in the event log)
    price_band : float32, mean price bucket of what they touched, 0 is cheap
    top_departments : list of string, at most three, the most visited first, ties by name
    diversity : float32, entropy of the departments over its maximum: 0 for one, 1 for all alike
    """
    spec = spec or ItemFeatureSpec()
    moment, n = microseconds(at), len(data.users)
    times = data.column("time")
    past = times < moment
    users, items, times = data.column("user")[past], data.column("item")[past], times[past]
    bought = np.asarray(pc.equal(data.interactions["kind"].cast(pa.string()), "purchase"))[past]
    events = np.bincount(users, minlength=n)
    none = events == 0
    price, department = prices(data.item_table), departments(data.item_table)
    bucket = price_buckets(price, department.codes, spec.price_buckets, spec.enough_prices)
    first, last = np.full(n, moment, np.int64), np.zeros(n, np.int64)
    np.minimum.at(first, users, times)
    np.maximum.at(last, users, times)
    paid = np.nan_to_num(price)[items] * bought
    favourites, diversity = _tastes(users, department.codes[items], department.names, n)
    return pa.table(
        {
            "user_id": data.users.array,
            "recency_days": _days(moment - last, none),
            "tenure_days": _days(moment - first, none),
            "frequency": pa.array(_distinct(users, data.column("session")[past], n), mask=none),
            "events": pa.array(events.astype(np.int32), mask=none),
            "items": pa.array(_distinct(users, items, n), mask=none),
            "spend": pa.array(np.bincount(users, weights=paid, minlength=n), mask=none),
            "price_band": _mean(users, bucket[items], n),
            "top_departments": favourites,
            "diversity": diversity,
        }
    )


def _days(microseconds_: npt.NDArray[np.int64], none: npt.NDArray[np.bool_]) -> pa.Array:
    return pa.array((microseconds_ / DAY_US).astype(np.float32), mask=none)


def _distinct(
    users: npt.NDArray[np.int32], values: npt.NDArray[np.int64] | npt.NDArray[np.int32], n: int
) -> npt.NDArray[np.int32]:
    _, place = np.unique(values, return_inverse=True)
    pairs = np.unique(users.astype(np.int64) << 32 | place)
    return np.bincount(pairs >> 32, minlength=n).astype(np.int32)


def _mean(users: npt.NDArray[np.int32], values: npt.NDArray[np.int8], n: int) -> pa.Array:
    """Return each user's mean of the values that are known (not negative)."""
    known = values >= 0
    count = np.bincount(users[known], minlength=n)
    total = np.bincount(users[known], weights=values[known], minlength=n)
    return pa.array((total / np.maximum(count, 1)).astype(np.float32), mask=count == 0)


def _tastes(
    users: npt.NDArray[np.int32], codes: npt.NDArray[np.int32], names: list[str], n: int
) -> tuple[pa.Array, pa.Array]:
    """Return the favourite departments of each user, and how evenly they are visited."""
    known = codes >= 0
    pairs, count = np.unique(users[known].astype(np.int64) << 32 | codes[known], return_counts=True)
    owner, code = pairs >> 32, pairs & 0xFFFFFFFF
    total = np.bincount(owner, weights=count, minlength=n)
    share = count / total[owner]
    entropy = np.bincount(owner, weights=-share * np.log(share), minlength=n)
    evenness = entropy / np.log(max(len(names), 2))
    order = np.lexsort((code, -count, owner))
    starts = np.concatenate(([0], np.cumsum(np.bincount(owner, minlength=n))))
    place = np.arange(len(order)) - starts[owner[order]]
    kept = order[place < TOP]
    lengths = np.bincount(owner[kept], minlength=n)
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))).astype(np.int32))
    flat = pa.array(names, pa.string()).take(pa.array(code[kept]))
    return (
        pa.ListArray.from_arrays(offsets, flat, mask=pa.array(lengths == 0)),
        pa.array(np.maximum(evenness, 0).astype(np.float32), mask=total == 0),
    )
