"""A batch of questions to a model, in row numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.prepare.dataset import Dataset


@dataclass(frozen=True, slots=True)
class Queries:
    """What n shoppers are known by at the moment of asking.

    The history is the truth about a shopper: it holds their events up to the last acknowledged
    one, so a model answers from it (fold-in) rather than from what it remembers of `users`.

    Attributes
    ----------
    users
        int32 (n,): row numbers in the model's user vocabulary, -1 for a stranger.
    indptr
        int64 (n + 1,): query q owns the history entries ``indptr[q]:indptr[q + 1]``.
    items
        int32 (h,): item rows, oldest first within a query; an item may occur more than once.
    weights
        float32 (h,): preference in the event (kind x recency), as in training.
    values
        float32 (h,): stars, NaN where the event is no rating.
    times
        int64 (h,): UTC microseconds; 0 where unknown.
    now
        int64 (n,): the moment of asking, UTC microseconds; 0 means the end of training.
    exclude_indptr, exclude
        int64 (n + 1,) and int32: items that must not be returned.
    allowed
        int32 (a,) or None: the only items that may be returned, for all queries alike.
    kinds, kind_names
        int8 (h,): the kind of each history entry, an index into `kind_names`. None: each is a
        purchase, as `Dataset.of` takes it.

    Stability: caller.
    """

    users: npt.NDArray[np.int32]
    indptr: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]
    weights: npt.NDArray[np.float32]
    values: npt.NDArray[np.float32]
    times: npt.NDArray[np.int64]
    now: npt.NDArray[np.int64]
    exclude_indptr: npt.NDArray[np.int64]
    exclude: npt.NDArray[np.int32]
    allowed: npt.NDArray[np.int32] | None = field(default=None)
    kinds: npt.NDArray[np.int8] | None = field(default=None)
    kind_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.users)

    def __getitem__(self, span: slice) -> "Queries":
        start, stop, step = span.indices(len(self))
        if step != 1:
            raise IndexError("Queries can be cut only into consecutive pieces.")
        stop = max(start, stop)
        h0, h1 = int(self.indptr[start]), int(self.indptr[stop])
        e0, e1 = int(self.exclude_indptr[start]), int(self.exclude_indptr[stop])
        return Queries(
            self.users[start:stop],
            self.indptr[start : stop + 1] - h0,
            self.items[h0:h1],
            self.weights[h0:h1],
            self.values[h0:h1],
            self.times[h0:h1],
            self.now[start:stop],
            self.exclude_indptr[start : stop + 1] - e0,
            self.exclude[e0:e1],
            self.allowed,
            None if self.kinds is None else self.kinds[h0:h1],
            self.kind_names,
        )

    @property
    def query_of(self) -> npt.NDArray[np.int64]:
        """int64 (h,): the query that owns each history entry."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def matrix(self, n_items: int) -> sparse.csr_array:
        """Return float32 (n, n_items): summed history weights, indices sorted."""
        shape, known = (len(self), n_items), self.items >= 0
        if len(known) and known.all():  # then it is there already, but for the order of a row
            rows = self.weights, self.items, self.indptr
            summed = sparse.csr_array(rows, shape=shape, dtype=np.float32, copy=True)
        else:
            cells = self.weights[known], (self.query_of[known], self.items[known])
            summed = sparse.coo_array(cells, shape=shape, dtype=np.float32).tocsr()
        summed.sum_duplicates()
        return summed

    def of_kind(self, table: Mapping[str, float]) -> npt.NDArray[np.float32]:
        """Return float32 (h,): what `table` holds for the kind of each event, 0 by default."""
        if self.kinds is None:
            return np.full(len(self.items), table.get("purchase", 0.0), np.float32)
        return np.array([table.get(name, 0.0) for name in self.kind_names], np.float32)[self.kinds]

    def without_exclusions(self) -> "Queries":
        """Return the same queries with nothing excluded."""
        return replace(
            self, exclude_indptr=np.zeros(len(self) + 1, np.int64), exclude=np.empty(0, np.int32)
        )

    def last(self, n: int) -> "Queries":
        """Return the same queries with only the last n events of each history."""
        return self.only(self.indptr[1:][self.query_of] - np.arange(len(self.items)) <= n)

    def only(self, kept: npt.NDArray[np.bool_]) -> "Queries":
        """Return the same queries with only some events, bool (h,), of their histories."""
        counts = np.bincount(self.query_of[kept], minlength=len(self))
        return replace(
            self,
            indptr=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            items=self.items[kept],
            weights=self.weights[kept],
            values=self.values[kept],
            times=self.times[kept],
            kinds=None if self.kinds is None else self.kinds[kept],
        )

    def leaving_out(self, groups: npt.NDArray[np.int64], n: int) -> "Queries":
        """Return n queries: this one without the events of group 0, without those of group 1, …

        Parameters
        ----------
        groups
            int64 (h,): to which group each event of this one query belongs, -1 to none.
        n
            How many groups there are.

        Examples
        --------
        >>> one = Queries.of_histories([[4, 5, 6]])
        >>> one.leaving_out(np.array([0, 1, 0]), 2).items.tolist()
        [5, 4, 6]
        """
        kept = groups[None, :] != np.arange(n)[:, None]
        event = np.nonzero(kept)[1]
        return Queries(
            np.repeat(self.users, n),
            np.concatenate(([0], np.cumsum(kept.sum(axis=1)))).astype(np.int64),
            self.items[event],
            self.weights[event],
            self.values[event],
            self.times[event],
            np.repeat(self.now, n),
            np.zeros(n + 1, np.int64),
            np.empty(0, np.int32),
            None,
            None if self.kinds is None else self.kinds[event],
            self.kind_names,
        )

    def excluding_history(self) -> "Queries":
        """Return the same queries with each history's own items excluded as well."""
        return self.excluding(self)

    def excluding(self, histories: "Queries") -> "Queries":
        """Return the same queries with the items of as many other histories excluded as well."""
        owner = np.concatenate(
            (np.repeat(np.arange(len(self)), np.diff(self.exclude_indptr)), histories.query_of)
        )
        items = np.concatenate((self.exclude, histories.items))
        order = np.argsort(owner, kind="stable")
        counts = np.bincount(owner, minlength=len(self))
        return replace(
            self,
            exclude=items[order].astype(np.int32),
            exclude_indptr=np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
        )

    @classmethod
    def of_histories(
        cls,
        histories: Sequence[npt.ArrayLike] | npt.NDArray[np.int32],
        *,
        weights: Sequence[npt.ArrayLike] | None = None,
        values: Sequence[npt.ArrayLike] | None = None,
        times: Sequence[npt.ArrayLike] | None = None,
        users: npt.ArrayLike | None = None,
        now: npt.ArrayLike | None = None,
        kinds: Sequence[Sequence[str]] | None = None,
    ) -> "Queries":
        """Build from one array of item rows for each query; weights default to 1."""
        n = len(histories)
        items = _flat(histories, np.int32)
        h = len(items)
        return cls(
            users=np.full(n, -1, np.int32) if users is None else np.asarray(users, np.int32),
            indptr=np.concatenate(
                ([0], np.cumsum([len(np.atleast_1d(np.asarray(x))) for x in histories]))
            ).astype(np.int64),
            items=items,
            weights=np.ones(h, np.float32) if weights is None else _flat(weights, np.float32),
            values=np.full(h, np.nan, np.float32) if values is None else _flat(values, np.float32),
            times=np.zeros(h, np.int64) if times is None else _flat(times, np.int64),
            now=np.zeros(n, np.int64) if now is None else np.asarray(now, np.int64),
            exclude_indptr=np.zeros(n + 1, np.int64),
            exclude=np.empty(0, np.int32),
            **({} if kinds is None else _coded([kind for row in kinds for kind in row])),
        )

    @classmethod
    def of_one(
        cls,
        items: npt.NDArray[np.int32],
        *,
        weights: npt.NDArray[np.float32],
        values: npt.NDArray[np.float32],
        times: npt.NDArray[np.int64],
        user: int,
        now: int,
        kinds: Sequence[str],
    ) -> "Queries":
        """Return what `of_histories` does for a single one, whose columns are as they should be."""
        return cls(
            np.array([user], np.int32),
            np.array([0, len(items)], np.int64),
            items,
            weights,
            values,
            times,
            np.array([now], np.int64),
            np.zeros(2, np.int64),
            np.empty(0, np.int32),
            **_coded(kinds),
        )

    @classmethod
    def of_users(cls, data: Dataset, users: npt.ArrayLike) -> "Queries":
        """Build from the histories that `data` holds of the given user rows."""
        rows = np.asarray(users, dtype=np.int32)
        seq = data.sequences()
        lengths = np.diff(seq.indptr)[rows]
        indptr = np.concatenate(([0], np.cumsum(lengths))).astype(np.int64)
        take = np.repeat(seq.indptr[rows] - indptr[:-1], lengths) + np.arange(indptr[-1])
        return cls(
            users=rows,
            indptr=indptr,
            items=seq.items[take],
            weights=seq.weights[take],
            values=seq.values[take],
            times=seq.times[take],
            now=np.full(len(rows), data.end, np.int64),
            exclude_indptr=np.zeros(len(rows) + 1, np.int64),
            exclude=np.empty(0, np.int32),
            kinds=seq.kinds[take],
            kind_names=data.kind_names,
        )


def _coded(kinds: Sequence[str]) -> dict[str, Any]:
    names = tuple(dict.fromkeys(kinds))
    place = {name: code for code, name in enumerate(names)}
    return {"kinds": np.array([place[kind] for kind in kinds], np.int8), "kind_names": names}


def _flat(
    rows: Sequence[npt.ArrayLike] | npt.NDArray[Any], dtype: npt.DTypeLike
) -> npt.NDArray[Any]:
    return np.concatenate(
        [np.atleast_1d(np.asarray(row, dtype=dtype)) for row in rows] or [np.empty(0, dtype)]
    )
