"""The questions put to every model alike, and what is needed to mark the answers."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.evaluate.attributes import Groups, item_groups, item_vectors
from endcap.models.queries import Queries
from endcap.prepare.split import Split, Targets


@dataclass(frozen=True)
class Exam:
    """One query for each user with something to foresee, and the right answers.

    Queries hold the history only, and the moment at which they are asked. Users without history
    are asked too, but reported apart: `warm` says who has one.

    Attributes
    ----------
    split
        Where it all comes from.
    queries
        n queries; what each user has (of the target kind, where the split has one) is excluded
        when `exclude_seen`.
    targets
        The distinct right answers of each, at least one.
    exclude_seen
        Whether a list may not repeat what the user has.
    dropped
        Users left out because all they did was repeat (only when `exclude_seen`).
    seed
        Of everything random in marking.
    """

    split: Split
    queries: Queries
    targets: Targets
    exclude_seen: bool = True
    dropped: int = 0
    seed: int = 0

    def __len__(self) -> int:
        return len(self.queries)

    @cached_property
    def warm(self) -> npt.NDArray[np.bool_]:
        """Bool (n,): whether the user has any history."""
        return np.asarray(np.diff(self.queries.indptr) > 0)

    @cached_property
    def history(self) -> sparse.csr_array:
        """CSR float32 (n, n_items): the weight of each past item."""
        return self.queries.matrix(self.split.train.shape[1])

    @cached_property
    def buyers(self) -> npt.NDArray[np.int64]:
        """int64 (n_items,): how many training users have each item."""
        train = self.split.train
        return np.bincount(train.matrix(None).indices, minlength=train.shape[1])

    @cached_property
    def groups(self) -> Groups | None:
        """Categories or price buckets of the items."""
        return item_groups(self.split.train.item_table)

    @cached_property
    def vectors(self) -> sparse.csr_array | None:
        """Word vectors of the items."""
        return item_vectors(self.split.train.item_table)

    @property
    def counts(self) -> dict[str, float]:
        """How many users, targets and items there are, and the shares that are cold."""
        train = self.split.train
        cold = self.buyers[self.targets.items] == 0
        return {
            "users": len(self),
            "warm_users": int(self.warm.sum()),
            "cold_user_share": float(1 - self.warm.mean()),
            "repeat_only_users": self.dropped,
            "targets": len(self.targets.items),
            "cold_target_share": float(cold.mean()),
            "train_interactions": train.interactions.num_rows,
            "train_users": len(np.unique(train.column("user"))),
            "train_items": int((self.buyers > 0).sum()),
            "items": train.shape[1],
        }

    @classmethod
    def of(
        cls,
        split: Split,
        *,
        exclude_seen: bool = True,
        max_users: int | None = None,
        seed: int = 0,
    ) -> "Exam":
        """Set the questions.

        Parameters
        ----------
        split
            The parts; queries come from `split.history` alone.
        exclude_seen
            Ask for new items only; False where shoppers buy again what they have (groceries).
        max_users
            Ask this many users at most, drawn by `seed`; for quick looks.
        """
        targets = split.targets(exclude_seen=exclude_seen)
        asked = np.flatnonzero(targets.counts)
        dropped = len(split.users) - len(asked)
        if max_users is not None and len(asked) > max_users:
            drawn = np.random.default_rng(seed).choice(asked, max_users, replace=False)
            asked = np.sort(drawn)
        queries = Queries.of_users(split.history, split.users[asked])
        if split.strangers:
            queries = replace(queries, users=np.full(len(asked), -1, np.int32))
        queries = replace(queries, now=split.now[asked])
        if exclude_seen:
            queries = queries.excluding(Queries.of_users(split.seen, split.users[asked]))
        return cls(split, queries, _take(targets, asked), exclude_seen, dropped, seed)


def _take(targets: Targets, rows: npt.NDArray[np.int64]) -> Targets:
    counts = targets.counts[rows]
    indptr = np.concatenate(([0], np.cumsum(counts)))
    at = np.repeat(targets.indptr[rows] - indptr[:-1], counts) + np.arange(indptr[-1])
    return Targets(indptr, targets.items[at])
