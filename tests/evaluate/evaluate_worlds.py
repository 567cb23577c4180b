"""A tiny shop and tiny models whose marks can be reckoned by hand."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from endcap.models.base import Answers, Model, RatingModel, Rng, Spec
from endcap.models.queries import Queries
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import DAY_US
from endcap.schema.errors import ConfigError
from endcap.schema.progress import Progress, silent

Rows = list[tuple[str, str, int]]


def shop(rows: Rows, *, catalogue: pa.Table | None = None, values: object = None) -> Dataset:
    """(user, item, day) rows."""
    users, items, days = zip(*rows, strict=True)
    times = np.array(days, np.int64) * DAY_US
    return Dataset.of(users, items, times=times, catalogue=catalogue, values=values)


class Wish(Spec):
    """Ranks the items named first, in that order; nothing else. An oracle for marks."""

    order: tuple[str, ...] = ()
    stars: float = 3.0
    fails: bool = False

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "WishModel":
        if self.fails:
            raise ConfigError("asked to fail")
        scores = np.full(len(data.items), np.nan, np.float32)
        for place, item in enumerate(self.order):
            scores[data.items.row(item)] = -place
        return WishModel(self, data.users, data.items, scores, self.stars)


@dataclass(frozen=True)
class WishModel(RatingModel):
    answers: ClassVar[Answers] = Answers(empty=True, ratings=True)

    order: npt.NDArray[np.float32]
    stars: float

    def scores(self, queries: Queries) -> npt.NDArray[np.float32]:
        return np.tile(self.order, (len(queries), 1))

    def predict(
        self, users: npt.NDArray[np.int32], items: npt.NDArray[np.int32]
    ) -> npt.NDArray[np.float32]:
        return np.full(len(users), self.stars, np.float32)


@dataclass(frozen=True)
class Watched(Model):
    """Answers nothing, but keeps what it was asked."""

    asked: list[Queries]

    def scores(self, queries: Queries) -> npt.NDArray[np.float32]:
        self.asked.append(queries)
        return np.full((len(queries), len(self.items)), np.nan, np.float32)


def power_law(users: int = 120, items: int = 40, seed: int = 0) -> Dataset:
    """Two tastes, popular and rare items, a hundred days."""
    random = np.random.default_rng(seed)
    half = items // 2
    weight = 1 / np.arange(1, half + 1)
    rows: Rows = []
    for user in range(users):
        taste = user % 2
        for _ in range(random.integers(2, 12)):
            item = random.choice(half, p=weight / weight.sum()) + taste * half
            rows.append((f"u{user}", f"i{item:02d}", int(random.integers(0, 100))))
    catalogue = pa.table(
        {
            "item_id": [f"i{item:02d}" for item in range(items)],
            "title": [
                f"{'lamp' if item < half else 'spade'} number {item}" for item in range(items)
            ],
            "categories": [["Light > Lamps" if item < half else "Garden"] for item in range(items)],
        }
    )
    return shop(rows, catalogue=catalogue)
