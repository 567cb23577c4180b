"""What is known of each item at a moment: nothing that happened at or after it leaks in.

The same function makes training rows (for each moment in the past) and answers requests (now).
Prices, categories and brands are those of the catalogue as it stands: it keeps no history.
"""

from datetime import datetime

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pydantic

from endcap.features.catalogue import departments, encode, price_buckets, prices
from endcap.prepare.dataset import Dataset
from endcap.prepare.weights import DAY_US, microseconds
from endcap.schema.strict import Strict


class ItemFeatureSpec(Strict):
    """How items are described.

    Stability: caller.
    """

    windows_days: tuple[float, ...] = (1.0, 7.0, 28.0)
    """Half-lives of the decayed popularities, short to long."""
    price_buckets: int = pydantic.Field(default=5, ge=2, le=100)
    enough_prices: int = pydantic.Field(default=20, ge=2)
    """A category with fewer prices is measured with all items."""


def item_features(
    data: Dataset, at: int | datetime, spec: ItemFeatureSpec | None = None
) -> pa.Table:
    """Describe every item as of `at` (UTC microseconds, or an aware datetime).

    Returns
    -------
    One row for each row of ``data.items``:

    item_id : string
    price : float64, null where the catalogue has none
    price_bucket : int8, 0 is cheap within its department, null without a price
    age_days : float32 since `created`, else since the first event; null if neither is before `at`
    events, users : int32, events before `at` and different users behind them
    popularity_{w}d : float32, ``sum 2 ** (-age / w)`` over the events before `at`
    trend : float32, log ratio of the daily rates over the shortest and the longest half-life;
        above 0 the item is on the rise
    department, brand : int32 codes by sorted name, -1 where unknown
    """
    spec = spec or ItemFeatureSpec()
    moment = microseconds(at)
    times = data.column("time")
    past = times < moment
    users, items, times = data.column("user")[past], data.column("item")[past], times[past]
    n = len(data.items)
    age = (moment - times) / DAY_US
    popularity = {w: _decayed(items, age, w, n) for w in spec.windows_days}
    price, department = prices(data.item_table), departments(data.item_table).codes
    bucket = price_buckets(price, department, spec.price_buckets, spec.enough_prices)
    born = _born(data, items, times, moment)
    columns: dict[str, pa.Array] = {
        "item_id": data.items.array,
        "price": pa.array(price, from_pandas=True),
        "price_bucket": pa.array(bucket, mask=bucket < 0),
        "age_days": pa.array(((moment - born) / DAY_US).astype(np.float32), mask=born >= moment),
        "events": pa.array(np.bincount(items, minlength=n).astype(np.int32)),
        "users": pa.array(_distinct_users(users, items, n)),
    }
    for window, decayed in popularity.items():
        columns[f"popularity_{window:g}d"] = pa.array(decayed.astype(np.float32))
    columns["trend"] = pa.array(_trend(popularity, spec.windows_days))
    columns["department"] = pa.array(department)
    columns["brand"] = pa.array(encode(data.item_table["brand"]).codes)
    return pa.table(columns)


def _decayed(
    items: npt.NDArray[np.int32], age_days: npt.NDArray[np.float64], window: float, n: int
) -> npt.NDArray[np.float64]:
    decayed = np.bincount(items, weights=np.exp2(-age_days / window), minlength=n)
    return decayed.astype(np.float64)  # no events at all would give integers


def _trend(
    popularity: dict[float, npt.NDArray[np.float64]], windows: tuple[float, ...]
) -> npt.NDArray[np.float32]:
    """Compare daily rates: a steady rate r gives a decayed sum of r * window / ln 2.

    One event is added to both sums, scaled to the window, so that a single sale is no trend.
    """
    short, long = min(windows), max(windows)
    quick = (popularity[short] + 1) / (popularity[long] * short / long + 1)
    return np.log(quick).astype(np.float32)


def _distinct_users(
    users: npt.NDArray[np.int32], items: npt.NDArray[np.int32], n: int
) -> npt.NDArray[np.int32]:
    pairs = np.unique(items.astype(np.int64) << 32 | users)
    return np.bincount(pairs >> 32, minlength=n).astype(np.int32)


def _born(
    data: Dataset, items: npt.NDArray[np.int32], times: npt.NDArray[np.int64], moment: int
) -> npt.NDArray[np.int64]:
    """Return when each item came, `moment` where it was not there yet."""
    first = np.full(len(data.items), moment, np.int64)
    np.minimum.at(first, items, times)
    created = data.item_table["created"].cast(pa.int64()).fill_null(moment).to_numpy()
    return np.minimum(np.where(created < moment, created, first), moment)
