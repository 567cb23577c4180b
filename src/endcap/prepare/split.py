"""Cut a data set into what a model may learn from and what it must foresee."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pydantic

from endcap.prepare.dataset import Dataset
from endcap.schema.errors import DataError, nearest
from endcap.schema.strict import Strict

DAY_US: Final = 86_400_000_000
LABELS: Final = ("train", "valid", "test")


class Targets(NamedTuple):
    """What n users did next: user q owns ``items[indptr[q]:indptr[q + 1]]``, distinct, sorted."""

    indptr: npt.NDArray[np.int64]
    items: npt.NDArray[np.int32]

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """int64 (n,): how many targets each user has."""
        return np.diff(self.indptr)

    @property
    def owner(self) -> npt.NDArray[np.int64]:
        """int64 (len(items),): the user (0..n-1) that owns each target."""
        return np.repeat(np.arange(len(self.indptr) - 1), self.counts)


@dataclass(frozen=True)
class Split:
    """A data set cut once. All three parts share the vocabularies of the whole.

    Attributes
    ----------
    train
        What models are fitted on; nothing in it is later than what is asked about.
    history
        What is known of a user at the moment of asking; queries are built from it alone.
    held
        What the users then did.
    users
        int32 (n,): rows of the users who did something in `held`, ascending.
    now
        int64 (n,): the moment at which each of them is asked about, UTC microseconds.
    rule
        The rule that made this split.
    protocol
        The rule in one sentence, for reports.
    strangers
        Whether the users are unknown to the model (their rows are not in `train`).
    target
        The only kind of event that is to be foreseen; None takes every kind.

    Stability: caller.
    """

    train: Dataset
    history: Dataset
    held: Dataset
    users: npt.NDArray[np.int32]
    now: npt.NDArray[np.int64]
    rule: "Rule"
    protocol: str
    strangers: bool = False
    target: str | None = None

    def foreseeing(self, kind: str) -> "Split":
        """Return the split that asks for events of one kind alone; the history keeps all kinds.

        What a user has is then what they have of that kind: an item that they only looked at or
        collected may still be bought, and stays among the targets.

        Raises
        ------
        DataError
            When no such event is held out; the nearest kind is named.
        """
        mask = self.held.of_kind(kind)
        if not mask.any():
            hint = nearest(kind, self.held.kind_names)
            raise DataError(f"No event of kind {kind!r} is there to foresee.", hint=hint)
        held = self.held.where(mask)
        kept = np.isin(self.users, held.column("user"))
        return replace(
            self,
            held=held,
            users=self.users[kept],
            now=self.now[kept],
            protocol=f"{self.protocol}, target {kind}",
            target=kind,
        )

    def among(self, users: npt.NDArray[np.int32]) -> "Split":
        """Return the split that asks some of the users alone, by their rows."""
        held = self.held.where(np.isin(self.held.column("user"), users))
        kept = np.isin(self.users, users)
        return replace(self, held=held, users=self.users[kept], now=self.now[kept])

    @cached_property
    def seen(self) -> Dataset:
        """What users have already: their history, of the target kind where there is one."""
        if self.target is None:
            return self.history
        return self.history.where(self.history.of_kind(self.target))

    def targets(self, *, exclude_seen: bool = True) -> Targets:
        """Return the distinct held-out items of each of `users`, by row.

        Parameters
        ----------
        exclude_seen
            Leave out items that the user has `seen`: a list that never repeats can never hit
            them. A user whose targets were all repeats keeps an empty row.
        """
        width = self.held.shape[1]
        wanted = np.unique(_keys(self.held, width))
        if exclude_seen:
            wanted = np.setdiff1d(wanted, _keys(self.seen, width), assume_unique=False)
        counts = np.bincount(
            np.searchsorted(self.users, wanted // width), minlength=len(self.users)
        )
        return Targets(
            np.concatenate(([0], np.cumsum(counts))).astype(np.int64),
            (wanted % width).astype(np.int32),
        )

    def validation(self) -> "Split":
        """Cut `train` again in the same way, to choose settings without a look at `held`."""
        inner = self.rule.inner(self)
        return inner if self.target is None else inner.foreseeing(self.target)


class Rule(Strict, ABC):
    """How to cut. Stability: implementer."""

    @abstractmethod
    def apply(self, data: Dataset) -> Split:
        """Cut `data`; raises `DataError` when a part would be empty."""

    def inner(self, split: Split) -> Split:
        """Cut the training part of `split` again, for validation."""
        return self.apply(split.train)


class Temporal(Rule):
    """One moment for everybody: before it is known, after it is to be foreseen.

    The default of Endcap, because a live shop is asked exactly this. The held-out part is the
    last `days`, or the last `fraction` of the interactions, or everything since `at`.
    """

    days: float = pydantic.Field(default=28.0, gt=0)
    fraction: float | None = pydantic.Field(default=None, gt=0, lt=1)
    at: datetime | None = None

    def apply(self, data: Dataset) -> Split:
        """Cut `data` at one moment."""
        times = data.column("time")
        cut = self._cut(data, times)
        before = times < cut
        train, held = data.where(before), data.where(~before)
        moment = np.datetime64(cut, "us").astype("datetime64[s]")
        return _split(self, train, train, held, cut, f"global temporal split at {moment} UTC")

    def inner(self, split: Split) -> Split:
        """Cut a validation slice as long as the test slice, just before it."""
        if self.fraction is not None:
            return self.apply(split.train)
        span = (split.held.end - int(split.now[0]) + 1) / DAY_US
        return Temporal(days=span).apply(split.train)

    def _cut(self, data: Dataset, times: npt.NDArray[np.int64]) -> int:
        if self.at is not None:
            if self.at.tzinfo is None:
                raise DataError(f"{self.at} has no time zone.", hint="Write 2011-11-11T00:00Z.")
            return int(self.at.timestamp() * 1_000_000)
        if self.fraction is not None and len(times):
            return int(np.quantile(times, 1 - self.fraction, method="higher"))
        return data.end - int(self.days * DAY_US) + 1


class LastOut(Rule):
    """Each user's last `n` interactions are held out; users with no more than `n` only train.

    The order is real, but one user's training data may lie after another's target: good to
    compare with papers, too kind a judge for a live shop.
    """

    n: int = pydantic.Field(default=1, ge=1)

    def apply(self, data: Dataset) -> Split:
        """Hold out the last interactions of each user."""
        place, length = _places(data)
        out = (place >= length - self.n) & (length > self.n)
        train = data.where(~out)
        return _split(self, train, train, data.where(out), None, f"each user's last {self.n} out")


class HeldOutUsers(Rule):
    """Strong generalisation: some users are strangers, known only by the start of their history."""

    fraction: float = pydantic.Field(default=0.1, gt=0, lt=1)
    fold_in: float = pydantic.Field(default=0.8, gt=0, lt=1)
    seed: int = 0

    def apply(self, data: Dataset) -> Split:
        """Hold out users; the oldest `fold_in` of their interactions is the query."""
        place, length = _places(data)
        able = np.unique(data.column("user")[length > 1])
        count = int(np.ceil(self.fraction * len(able)))
        chosen = np.random.default_rng(self.seed).choice(able, count, replace=False)
        strange = np.isin(data.column("user"), chosen)
        known = place < np.clip(np.floor(length * self.fold_in), 1, length - 1)
        text = f"{count} held-out users, oldest {self.fold_in:.0%} of their history as query"
        return _split(
            self,
            data.where(~strange),
            data.where(strange & known),
            data.where(strange & ~known),
            None,
            text,
            strangers=True,
        )


class Fixed(Rule):
    """The split that came with the data: a label for each row of ``data.interactions``.

    Parameters
    ----------
    labels
        ``"train"``, ``"valid"`` or ``"test"``, one for each interaction, in their order.
    refit
        Fit on train and valid for the test; else on train alone. What was valid is part of a
        user's history at test time either way.
    """

    labels: tuple[str, ...] = pydantic.Field(repr=False)
    refit: bool = False

    @pydantic.field_validator("labels", mode="before")
    @classmethod
    def _known(cls, labels: Sequence[str]) -> tuple[str, ...]:
        for label in set(labels) - set(LABELS):
            raise ValueError(f"{label!r} is no part of a split. {nearest(label, LABELS)}")
        return tuple(labels)

    def apply(self, data: Dataset) -> Split:
        """Take the rows marked test as targets."""
        part = self._parts(data)
        known = data.where(part != "test")
        fitted = known if self.refit else data.where(part == "train")
        text = f"fixed split, fitted on train{'+valid' * self.refit}, asked about test"
        return _split(self, fitted, known, data.where(part == "test"), None, text)

    def inner(self, split: Split) -> Split:
        """Take the rows marked valid as targets: the split on which settings are chosen."""
        known = [label for label in self.labels if label != "test"]
        labels = ["test" if label == "valid" else label for label in known]
        inner = Fixed.model_validate({"labels": labels}).apply(split.history)
        return replace(inner, protocol="fixed split, fitted on train, asked about valid")

    def _parts(self, data: Dataset) -> npt.NDArray[np.str_]:
        rows = data.interactions.num_rows
        if len(self.labels) != rows:
            raise DataError(f"There are {len(self.labels)} labels for {rows} interactions.")
        return np.asarray(self.labels)


def last_labels(data: Dataset) -> npt.NDArray[np.str_]:
    """Label each user's last interaction test and the one before it valid; the rest train.

    Users with fewer than three interactions only train.
    """
    place, length = _places(data)
    back = np.where(length > 2, length - place, 0)
    return np.array(["train", "test", "valid"])[np.where(back > 2, 0, back)]


def _split(  # noqa: PLR0917
    rule: Rule,
    train: Dataset,
    history: Dataset,
    held: Dataset,
    now: int | None,
    text: str,
    *,
    strangers: bool = False,
) -> Split:
    if not (train.interactions.num_rows or held.interactions.num_rows):
        raise DataError("There are no interactions to split.", hint="See: endcap import --help")
    for part, name in ((train, "train on"), (held, "foresee")):
        if not part.interactions.num_rows:
            raise DataError(f"Nothing is left to {name}: {text}.", hint="Cut at another place.")
    users, first = np.unique(held.column("user"), return_index=True)  # rows are by (user, time)
    moments = held.column("time")[first] if now is None else np.full(len(users), now)
    return Split(
        train,
        history,
        held,
        users.astype(np.int32),
        moments.astype(np.int64),
        rule,
        text,
        strangers,
    )


def _places(data: Dataset) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Return each interaction's place in its user's history, and that history's length."""
    indptr = data.sequences().indptr
    lengths = np.diff(indptr)
    return np.arange(indptr[-1]) - np.repeat(indptr[:-1], lengths), np.repeat(lengths, lengths)


def _keys(data: Dataset, width: int) -> npt.NDArray[np.int64]:
    keys: npt.NDArray[np.int64] = data.column("user").astype(np.int64) * width + data.column("item")
    return keys
