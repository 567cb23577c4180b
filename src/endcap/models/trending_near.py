"""What is being taken now by people like the shopper: of their town, their tier, their language."""

import json
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.models.base import Answers, Model, Rng, Spec
from endcap.models.queries import Queries
from endcap.models.trending import DAY_US
from endcap.prepare.dataset import Dataset
from endcap.schema.progress import Progress, silent


class TrendingNear(Spec):
    """As `trending`, counted among those who share an attribute of the shopper.

    The score of an item is its fading count in the group, plus `shrink` people spread as everybody
    takes. Whoever lacks the attribute, and every stranger, is answered for everybody. Time
    O(events log events), memory O(pairs of group and item).

    Stability: caller.
    """

    half_life_days: float = pydantic.Field(default=7.0, gt=0)
    """An event counts half after this time."""
    by: str = pydantic.Field(default="city", min_length=1)
    """A key of the users' ``attributes``."""
    shrink: float = pydantic.Field(default=20.0, gt=0)
    """People of everybody's taste that each group is granted: small groups follow the rest."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "TrendingNearModel":
        """Count for each group; `rng` is not used."""
        users, items = data.column("user").astype(np.int64), data.column("item")
        pair = users * max(1, len(data.items)) + items
        _, last = np.unique(pair[::-1], return_index=True)  # the newest event of a pair is its last
        newest = len(pair) - 1 - last
        age = (data.end - data.column("time")[newest]) / (self.half_life_days * DAY_US)
        group = _groups(data.user_table["attributes"].to_pylist(), self.by)
        shape = (int(group.max(initial=0)) + 1, len(data.items))
        counts = sparse.coo_array(
            (np.exp2(-age), (group[users[newest]], items[newest])), shape=shape
        ).tocsr()
        everybody = np.asarray(counts.sum(axis=0), np.float32).ravel()
        progress(1, 1, "counts")
        return TrendingNearModel(
            self,
            data.users,
            data.items,
            sparse.csr_array(counts.astype(np.float32)),
            everybody,
            group.astype(np.int32),
        )


@dataclass(frozen=True)
class TrendingNearModel(Model):
    """Counts of each group.

    Attributes
    ----------
    counts
        CSR float32 (groups, n_items); group 0 is whoever lacks the attribute.
    everybody
        float32 (n_items,).
    group
        int32 (n_users,).
    """

    answers: ClassVar[Answers] = Answers(empty=True)

    spec: TrendingNear
    counts: sparse.csr_array
    everybody: npt.NDArray[np.float32]
    group: npt.NDArray[np.int32]

    def scores(self, queries: Queries) -> npt.NDArray[np.float32]:
        """Return the counts of each shopper's group; NaN for items that nobody takes."""
        known = queries.users >= 0
        group = np.where(
            known, self.group[np.maximum(queries.users, 0)] if len(self.group) else 0, 0
        )
        total = max(float(self.everybody.sum()), 1e-12)
        prior = np.float32(self.spec.shrink / total) * self.everybody
        out = np.tile(prior, (len(queries), 1))
        near = group > 0
        out[near] += self.counts[group[near]].toarray()
        out[~near] = self.everybody
        out[:, self.everybody <= 0] = np.nan
        return np.asarray(out, np.float32)


def _groups(attributes: list[Any], by: str) -> npt.NDArray[np.int64]:
    """Return int64 (users,): 0 for whoever lacks the attribute, else the number of its value."""
    values = [json.loads(text).get(by) if text else None for text in attributes]
    names = ["" if value is None else str(value) for value in values]
    known = sorted(set(names) - {""})
    place = {"": 0} | {name: at for at, name in enumerate(known, start=1)}
    return np.array([place[name] for name in names], np.int64)
