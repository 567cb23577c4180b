"""Content aligned with behaviour: items nobody has touched rank among the others."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pydantic
from scipy import sparse

from endcap.features.descriptions import Descriptions, DescriptionSpec, fit_descriptions
from endcap.features.text import TextSpec
from endcap.models import specs
from endcap.models.base import Answers, Rng
from endcap.models.linear import LinearModel
from endcap.models.queries import Queries
from endcap.models.topk import top_of_rows
from endcap.models.weighting import HistorySpec, power, rows_of, scale_rows
from endcap.prepare.dataset import Dataset
from endcap.prepare.vocabulary import Vocabulary
from endcap.schema.errors import ConfigError
from endcap.schema.progress import Progress, silent

Array = npt.NDArray[np.float32]
BLOCK: Final = 512
"""Items compared, or fitted, at once."""
SAMPLE: Final = 1024
"""Known items by which the scale of what is borrowed is set."""
WORDS: Final = DescriptionSpec(text=TextSpec(bits=18, ngram_share=0.0))


class Aligned(HistorySpec):
    """Give new items the effects of the items that the catalogue describes alike.

    A linear model learns effects E from behaviour. What it would have learnt for item j without
    events is told by its content: with weights A_j over the nearest known items by description,

    ``borrowed(u, j) = a sum_n A_jn (x_u E)_n + b sum_n A_jn x_un``

    where a and b are the least-squares fit of E's own columns by what they would borrow, each
    item held out of its own neighbours: so borrowed scores stand on the scale of learnt ones. The
    score is ``t_j (x_u E)_j + (1 - t_j) borrowed(u, j)`` with trust ``t_j = n_j / (n_j + shrink)``
    for n_j events. A new item in a history speaks through its neighbours alike. After the metadata
    alignment of MARec (Monteil et al. 2024, arXiv 2404.13298), with a local map for their ridge.
    Time that of the base + O(pairs of items that share a word), memory O(items x neighbours).

    Stability: caller.
    """

    base: str = "transitions"
    """The linear model that learns from behaviour: a plug-in such as ``ease`` or ``item-knn``."""
    settings: dict[str, Any] = pydantic.Field(default_factory=dict)
    """Of the base; `confidence` and `decay_events` are taken from here."""
    decay_events: float = pydantic.Field(default=2.5, ge=0)
    description: DescriptionSpec = WORDS
    """How items are read."""
    neighbours: int = pydantic.Field(default=20, ge=1)
    """Known items from which an item borrows."""
    sharpness: float = pydantic.Field(default=2.0, gt=0)
    """Weights are similarities to this power: higher trusts the nearest more."""
    shrink: float = pydantic.Field(default=0.0, ge=0)
    """An item of so many events is half its own, half borrowed; 0 leaves known items alone."""
    strength: float = pydantic.Field(default=1.0, ge=0)
    """Times what new items borrow: below 1 admits them with care, 0 not at all."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "AlignedModel":
        """Fit the base, read the catalogue, and put both on one scale.

        Raises
        ------
        PluginError, ConfigError
            For an unknown base, one that is not linear, or settings it does not have.
        """
        progress(0, 3, self.base)
        base = self._base().fit(data, rng)
        if not isinstance(base, LinearModel):
            raise ConfigError(
                f"Aligned cannot build on {self.base!r}: it has no item x item effects.",
                hint="Use transitions, slit, ease, item-knn or rp3beta.",
            )
        progress(1, 3, "descriptions")
        events = np.bincount(self.heard(data).column("item"), minlength=len(data.items))
        described = fit_descriptions(data.item_table, self.description)
        vectors = described.transform(data.item_table)
        known = np.flatnonzero(events[base.rows])
        known = known[:: 1 + len(known) // SAMPLE]
        n_items = len(data.items)
        near = self.weigh(vectors, *lending(vectors, events), n_items, np.arange(n_items))
        progress(2, 3, "scale")
        slope = _slope(base.effects, near[base.rows][:, base.rows], events[base.rows], known)
        progress(3, 3)
        return AlignedModel(
            self, data.users, data.items, base.rows, base.effects, near,
            events, vectors, described.text_idf, described.labels, described.label_idf, *slope,
        )  # fmt: skip

    def weigh(
        self,
        asked: sparse.csr_array,
        by_word: sparse.csr_array,
        lenders: npt.NDArray[np.int64],
        n_items: int,
        own: npt.NDArray[np.int64] | None = None,
    ) -> sparse.csr_array:
        """Return CSR float32 (n, n_items): from whom each row of `asked` borrows, summing to 1.

        Parameters
        ----------
        asked
            Descriptions of the items that borrow.
        by_word, lenders
            See `lending`.
        own
            int64 (n,): the item row of each of `asked`, which lends nothing to itself.
        """
        place = np.full(n_items, -1)
        place[lenders] = np.arange(len(lenders))
        found = [sparse.csr_array((0, len(lenders)), dtype=np.float32)]
        for start in range(0, asked.shape[0], BLOCK):
            alike = sparse.csr_array(asked[start : start + BLOCK] @ by_word)
            if own is not None:
                itself = place[own[start : start + BLOCK]]
                alike.data[alike.indices == itself[rows_of(alike)]] = 0
            found.append(top_of_rows(alike, self.neighbours))
        near = sparse.vstack(found, "csr")
        weights = near.data ** np.float32(self.sharpness)
        near = sparse.csr_array(
            (weights, lenders[near.indices].astype(np.int32), near.indptr),
            shape=(asked.shape[0], n_items),
        )
        return scale_rows(near, power(near.sum(axis=1), -1.0))

    def _base(self) -> HistorySpec:
        own = {
            "confidence": self.confidence,
            "decay_events": self.decay_events,
            "kinds": self.kinds,
        }
        spec = specs.make(self.base, {**self.settings, **own})
        if not isinstance(spec, HistorySpec):
            raise ConfigError(f"Aligned cannot build on {self.base!r}.", hint="Use transitions.")
        return spec


@dataclass(frozen=True)
class AlignedModel(LinearModel):
    """A linear model that speaks of, and listens to, items that it has never met.

    Attributes
    ----------
    near
        CSR float32 (n_items, n_items): from which known items each item borrows, rows sum to 1.
    events
        int64 (n_items,): events in training.
    vectors, text_idf, labels, label_idf
        CSR float32 (n_items, f): descriptions of the items, and the encoder that made them.
    borrowed, direct
        The slopes a and b.
    """

    answers: ClassVar[Answers] = Answers(warm_items=True, explains=True)

    spec: Aligned
    near: sparse.csr_array
    events: npt.NDArray[np.int64]
    vectors: sparse.csr_array
    text_idf: Array
    labels: Vocabulary
    label_idf: Array
    borrowed: float
    direct: float

    def scores(self, queries: Queries) -> Array:
        """Return learnt and borrowed scores; NaN where neither says anything."""
        weighed = replace(queries, weights=self.spec.event_weights(queries))
        out = self._answer(weighed.matrix(len(self.items)))
        out[out == 0] = np.nan
        return out

    def units(self, query: Queries, items: npt.NDArray[np.int32]) -> Array:
        """Return float32 (len(items), len(query.items)): what each past event alone would say."""
        alone = Queries.of_histories(query.items[:, None]).matrix(len(self.items))
        return np.ascontiguousarray(self._answer(alone)[:, items].T)

    def describe(self, table: pa.Table) -> sparse.csr_array:
        """Return CSR float32 (n, n_items): from whom new items (schema `ITEMS`) borrow."""
        encoder = Descriptions(self.spec.description, self.text_idf, self.labels, self.label_idf)
        return self.spec.weigh(encoder.transform(table), *self._lending, len(self.items))

    def _answer(self, profile: sparse.csr_array) -> Array:
        told = profile @ self._sources
        learnt = np.zeros(profile.shape, np.float32)
        spoken = told[:, self.rows] @ self.effects
        learnt[:, self.rows] = spoken.toarray() if isinstance(spoken, sparse.sparray) else spoken
        lent = np.float32(self.borrowed) * learnt + np.float32(self.direct) * told.toarray()
        borrow, shares = self._borrowing
        learnt *= self._trust
        learnt[:, borrow] += (shares @ lent.T).T
        return learnt

    @cached_property
    def _lending(self) -> tuple[sparse.csr_array, npt.NDArray[np.int64]]:
        return lending(self.vectors, self.events)

    @cached_property
    def _borrowing(self) -> tuple[npt.NDArray[np.int64], sparse.csr_array]:
        """The items that borrow, and CSR (those, n_items): what of their score comes from whom."""
        borrow = np.flatnonzero(self._trust < 1)
        share = self.spec.strength * (1 - self._trust[borrow])
        return borrow, scale_rows(sparse.csr_array(self.near[borrow]), share)

    @cached_property
    def _trust(self) -> Array:
        return trust(self.events, self.spec.shrink)

    @cached_property
    def _sources(self) -> sparse.csr_array:
        """CSR (n_items, n_items): known items speak for themselves, others through neighbours."""
        known = sparse.diags_array((self.events > 0).astype(np.float32), format="csr")
        return sparse.csr_array(known + scale_rows(self.near, (self.events == 0)))


def lending(
    vectors: sparse.csr_array, events: npt.NDArray[np.int64]
) -> tuple[sparse.csr_array, npt.NDArray[np.int64]]:
    """Return for each word the known items that have it, CSR (f, m), and the rows of those m."""
    lenders = np.flatnonzero(events)
    return vectors[lenders].T.tocsr(), lenders


def trust(events: npt.NDArray[np.int64], shrink: float) -> Array:
    """Return float32 (n,), 0 to 1: how much items of so many events speak for themselves.

    ``n / (n + shrink)``: 0 without events, and growing with them.
    """
    known = np.where(events > 0, events / np.maximum(events + shrink, 1e-9), 0)
    return np.asarray(known, np.float32)


def _slope(
    effects: Array | sparse.csr_array,
    near: sparse.csr_array,
    events: npt.NDArray[np.int64],
    known: npt.NDArray[np.int64],
) -> tuple[float, float]:
    """Fit the columns of `effects` by what they would borrow: least squares, sources by events.

    Returns
    -------
    a, b
        Of ``E_:j ~ a E A_j + b A_j`` over a sample of known items j; neither below 0.
    """
    root = np.sqrt(events).astype(np.float32)[:, None]
    products, wanted = np.zeros((2, 2)), np.zeros(2)
    for start in range(0, len(known), BLOCK):
        columns = known[start : start + BLOCK]
        lent = near[columns]
        truth = effects[:, columns]
        truth = truth.toarray() if isinstance(truth, sparse.sparray) else truth
        learnt = lent @ effects.T
        learnt = (learnt.toarray() if isinstance(learnt, sparse.sparray) else learnt).T
        learnt[columns, np.arange(len(columns))] = 0  # nobody borrows from what is itself
        sides = [(root * side).ravel().astype(np.float64) for side in (learnt, lent.T.toarray())]
        target = (root * truth).ravel().astype(np.float64)
        products += [[one @ other for other in sides] for one in sides]
        wanted += [side @ target for side in sides]
    return not_negative(products, wanted)


def not_negative(
    products: npt.NDArray[np.float64], wanted: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """Solve two normal equations with neither unknown below 0."""
    ridge = products + 1e-9 * max(1.0, float(np.trace(products))) * np.eye(2)
    a, b = np.linalg.solve(ridge, wanted)
    if a < 0:
        a, b = 0.0, wanted[1] / ridge[1, 1]
    elif b < 0:
        a, b = wanted[0] / ridge[0, 0], 0.0
    return max(0.0, float(a)), max(0.0, float(b))
