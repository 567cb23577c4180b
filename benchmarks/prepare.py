"""How fast events become a data set: wall and CPU seconds and peak memory of `endcap prepare`."""

import argparse
import json
import platform
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

USERS, ITEMS, DAYS = 200_000, 50_000, 365
KINDS = ("view", "click", "cart", "purchase", "refund", "impression")
SHARES = (0.62, 0.17, 0.08, 0.07, 0.01, 0.05)
START_US = 1_700_000_000 * 1_000_000
DAY_US = 86_400_000_000
BLOCK = 1_000_000


def synthetic(rows: int, seed: int) -> list[pa.Table]:
    """Draw power-law events of a shop that never sleeps, a million rows at a time.

    Shoppers come in visits; 1 % of the events arrive twice, 0.5 % have no actor, 0.1 % a broken
    clock, and 0.2 % come from ten machines that look at something each second.
    """
    rng = np.random.default_rng(seed)
    users, items = max(rows // 50, 10), max(min(ITEMS, rows // 200), 10)
    weight = rng.permutation(np.arange(1, users + 1, dtype=np.float64) ** -0.6)
    user_cdf = np.cumsum(weight) / weight.sum()
    popular = rng.permutation(np.arange(1, items + 1, dtype=np.float64) ** -0.9)
    item_cdf = np.cumsum(popular) / popular.sum()
    names_u = pa.array([f"u{n:07d}" for n in range(users)])
    names_i = pa.array([f"sku-{n:06d}" for n in range(items)])
    return [
        _block(rng, min(BLOCK, rows - start), user_cdf, item_cdf, names_u, names_i)
        for start in range(0, rows, BLOCK)
    ]


def _block(rng, n, user_cdf, item_cdf, names_u, names_i) -> pa.Table:
    visits = np.repeat(np.arange(n // 5 + 1), 5)[:n]
    user = np.searchsorted(user_cdf, rng.random(n // 5 + 1))[visits]
    begin = (rng.random(n // 5 + 1) * DAYS * DAY_US).astype(np.int64)[visits]
    when = START_US + begin + (rng.exponential(120e6, n)).astype(np.int64)
    item = np.searchsorted(item_cdf, rng.random(n))
    kind = rng.choice(len(KINDS), n, p=SHARES)
    machine = rng.random(n) < 0.002
    user = np.where(machine, np.arange(n) % 10, user)
    when = np.where(machine, begin[0] + START_US + np.cumsum(machine) * 100_000, when)
    item = np.where(machine, rng.integers(0, len(names_i), n), item)
    kind = np.where(machine, 0, kind)
    twice = rng.random(n) < 0.01
    for column in (user, when, item, kind):
        column[1:][twice[1:]] = column[:-1][twice[1:]]
    when = np.where(rng.random(n) < 0.001, rng.integers(0, DAY_US, n), when)
    bought = np.isin(kind, (3, 4))
    price = np.round(np.exp(1 + (item % 97) / 40), 2)
    return pa.table(
        {
            "kind": pa.DictionaryArray.from_arrays(pa.array(kind, pa.int8()), pa.array(KINDS)),
            "time": pa.array(when).cast(pa.timestamp("us", "UTC")),
            "user_id": names_u.take(pa.array(user, mask=rng.random(n) < 0.005)),
            "item_id": names_i.take(pa.array(item)),
            "quantity": pa.array(rng.geometric(0.7, n), pa.int64(), mask=~bought),
            "price": pa.array(price, mask=~bought),
        }
    )
