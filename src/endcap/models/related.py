"""Related: a walk over the knowledge graph of the catalogue, into other domains too.

Himmelstein, Baranzini: Heterogeneous network edge prediction, PLOS Computational Biology 11(7),
2015 (paths counted less the more their nodes are tied to); Cooper, Lee, Radzik, Siantos: Random
walks in recommender systems, WWW 2014 (the steps over people).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import pydantic
from scipy import sparse

from endcap.features.catalogue import encode
from endcap.features.knowledge import ITEM, ITSELF, knowledge, shown
from endcap.models.base import PEOPLE, Answers, Hop, Rng
from endcap.models.hops import HOPPED, along, degrees
from endcap.models.linear import LinearModel
from endcap.models.nearest import Columns, nearest
from endcap.models.parallel import over_blocks
from endcap.models.topk import top_of_rows
from endcap.models.weighting import HistorySpec, power, rows_of, scale_columns, scale_rows
from endcap.prepare.dataset import Dataset
from endcap.prepare.vocabulary import Vocabulary
from endcap.schema.progress import Progress, silent

BLOCK = 256
"""Items from which is walked at once."""
Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


class Related(HistorySpec):
    """Go from a past item over what it is tied to (author, series, brand, …) to what else is.

    ``effects_ij = ((I + people K) G (I + people K))_ij (1 + n_j)^lift``; a row of G: the share of j
    among all degree-weighted paths from item i over one node e, ``sum_e w_ie w_je d_e^-damp
    (1 + n_j)^popular`` (d counts the items tied to e, n who took j), and a row of K that of its
    companions: cosines over people. So one past item brings what shares an author with what people
    take beside it. The `neighbours` largest effects are kept of each item **in each domain** of the
    catalogue: a book brings films however many books are tied to it. With `hop` items reach what
    their nodes are linked to as well (`models.hops`): films of whom a director worked with.

    Time O(domains x (sum over nodes of items^2 + items x neighbours x company)), memory
    O(domains x items x neighbours).

    Stability: caller.
    """

    neighbours: int = pydantic.Field(default=200, ge=1)
    """Effects kept of each item in each domain, the largest."""
    damp: float = pydantic.Field(default=1.0, ge=0, le=2)
    """How much a node that many items are tied to counts less."""
    popular: float = pydantic.Field(default=1.0, ge=0, le=2)
    """How much what many took is preferred among what is tied."""
    lift: float = pydantic.Field(default=0.5, ge=-1, le=2)
    """How much what many took is preferred in the end; below 0 it is held back."""
    people: float = pydantic.Field(default=10.0, ge=0)
    """The odds of a step over people, before and after the graph; 0 walks the graph alone."""
    company: int = pydantic.Field(default=100, ge=1)
    """Companions of each item that such a step can reach."""
    weights: dict[str, float] = pydantic.Field(default_factory=dict)
    """Of relations, by name; 1 where none is given, 0 leaves one out."""
    hop: float = pydantic.Field(default=0.1, ge=0, le=1)
    """What a hop from node to node counts, one on each side at most; 0 takes none."""
    hub: int = pydantic.Field(default=5_000, ge=2)
    """A node that more items are tied to says nothing, and is left out."""

    def fit(self, data: Dataset, rng: Rng = 0, progress: Progress = silent) -> "RelatedModel":
        """Read the catalogue, and walk from each item; `rng` is not used."""
        graph = knowledge(data.item_table, data.items, self.weights)
        taken = self.train_matrix(data).T.tocsr()
        domains = encode(data.item_table["domain"]).codes
        liked = 1 + np.bincount(rows_of(taken), minlength=len(domains))
        edges, kinds, ties, tie_kinds = along(graph, self.hop, self.damp)
        links = self._links(edges, kinds, power(liked, self.popular), domains)
        company = self._company(taken, known=graph.edges.nnz > 0)
        effects = self._walk((links, company), power(liked, self.lift), domains, progress)
        rows = np.arange(len(data.items), dtype=np.int32)
        about = edges, kinds, graph.nodes, graph.relations, ties, tie_kinds, links, company
        return RelatedModel(self, data.users, data.items, rows, effects, *about)

    def _links(
        self,
        edges: sparse.csr_array,
        kinds: npt.NDArray[np.int16],
        liked: Floats,
        domains: npt.NDArray[np.int32],
    ) -> sparse.csr_array:
        """Return G: CSR float32 (items, items), rows summing to 1 or empty."""
        degree = degrees(edges, kinds)
        worth = power(degree, -self.damp)
        edges = scale_columns(edges, (degree <= self.hub).astype(np.float32))
        edges.eliminate_zeros()
        even = np.ones(len(liked))
        parts = []
        for domain in np.unique(domains):
            there = np.where(domains == domain, 1 / liked, np.inf)  # none but those of the domain
            columns = Columns(edges, user=np.sqrt(worth))
            parts.append(nearest(columns, (even, there, 0.0), self.neighbours))
        return _shares(_sum(parts, len(liked)))

    def _company(self, taken: sparse.csr_array, *, known: bool) -> sparse.csr_array:
        """Return people x K: CSR float32 (items, items); empty where no ties are known."""
        if not self.people or not known:
            return sparse.csr_array((taken.shape[0], taken.shape[0]), dtype=np.float32)
        columns = Columns(taken)
        size = np.sqrt(columns.squares())
        near = nearest(columns, (power(size, 1.0), power(size, 1.0), 0.0), self.company)
        return scale_rows(_shares(near), np.full(near.shape[0], self.people))

    def _walk(
        self,
        steps: tuple[sparse.csr_array, sparse.csr_array],
        lift: Floats,
        domains: npt.NDArray[np.int32],
        progress: Progress,
    ) -> sparse.csr_array:
        (links, company), n = steps, len(domains)
        places = [np.where(domains == domain, lift, 0.0) for domain in np.unique(domains)]

        def best(reached: sparse.csr_array) -> sparse.csr_array:
            some = [top_of_rows(scale_columns(reached, place), self.neighbours) for place in places]
            return _sum(some, n, reached.shape[0])

        def block(start: int, stop: int) -> sparse.csr_array:
            near = scale_columns(best(links[start:stop] + company[start:stop] @ links), 1 / lift)
            walked = (near + near @ company).tocsr()
            walked.data[walked.indices == start + rows_of(walked)] = 0
            return best(walked)

        blocks = over_blocks(n, BLOCK, block, progress, "walks")
        return _sorted(sparse.vstack([_none(n), *blocks], "csr"))


@dataclass(frozen=True)
class RelatedModel(LinearModel):
    """Effects, and the graph by which they came about.

    Attributes
    ----------
    edges, kinds, nodes, relations, ties, tie_kinds
        As `hops.along` returns them, and as in `KnowledgeGraph`.
    links, company
        CSR float32 (n_items, n_items): the two kinds of step, G and ``people K``.
    """

    answers: ClassVar[Answers] = Answers(warm_items=True, explains=True)

    spec: Related
    edges: sparse.csr_array
    kinds: npt.NDArray[np.int16]
    nodes: Vocabulary
    relations: Vocabulary
    ties: sparse.csr_array
    tie_kinds: npt.NDArray[np.int16]
    links: sparse.csr_array
    company: sparse.csr_array

    def path(self, past: int, item: int) -> tuple[Hop, ...]:
        """See `Model.path`: of the walks with the fewest steps over people, the likeliest."""
        first, starts = _step(self.company, past)
        last, ends = _step(self._came_from, item)
        between = self.links[first][:, last].toarray() * starts[:, None] * ends
        if not between.any():
            return ()
        strides = (first != past)[:, None].astype(int) + (last != item)
        ranked = np.where(between > 0, between / between.max() - strides, -np.inf)
        left, right = np.unravel_index(int(ranked.argmax()), between.shape)
        here, there = int(first[left]), int(last[right])
        walk = [] if here == past else [Hop(PEOPLE, item=here)]
        walk += self._over(here, there)
        return (*walk, *([] if there == item else [Hop(PEOPLE, item=item)]))

    def _over(self, here: int, there: int) -> list[Hop]:
        """Return the hops over the node that ties two items most."""
        (nodes, weights, _), (others, loads, _) = self._ties(here), self._ties(there)
        both, mine, theirs = np.intersect1d(nodes, others, return_indices=True)
        best = int((weights[mine] * loads[theirs] * self._worth[both]).argmax())
        out, back = (self._to(item, int(both[best])) for item in (here, there))
        passed = [node for _, _, node in back[:-1]]
        turned = zip(back[::-1], [*passed[::-1], -1], strict=False)  # no step back: it is the node
        walk = [*out, *((relation, not inverse, to) for (relation, inverse, _), to in turned)]
        steps = [Hop(relation, inverse, *self._named(to)) for relation, inverse, to in walk[:-1]]
        return [*steps, Hop(*walk[-1][:2], item=there)]

    def _to(self, item: int, node: int) -> list[tuple[str, bool, int]]:
        """Return the steps from an item to a node: relation, whether inverse, node reached."""
        nodes, weights, kinds = self._ties(item)
        kind = int(kinds[np.searchsorted(nodes, node)])
        if kind != HOPPED:
            relation = self.relations.ids([kind])[0]
            return [] if relation == ITSELF else [(relation, False, node)]
        direct = kinds != HOPPED
        leads = (self._lead(m, node) for m in nodes[direct].tolist())
        told = [
            (weight * lead, mark)
            for weight, (lead, mark) in zip(weights[direct], leads, strict=True)
        ]
        best = int(np.argmax([weight for weight, _ in told]))
        mark = told[best][1]
        relation = self.relations.ids([mark if mark >= 0 else mark + len(self.relations)])[0]
        return [*self._to(item, int(nodes[direct][best])), (relation, mark < 0, node)]

    def _lead(self, node: int, other: int) -> tuple[float, int]:
        """Return how much a hop from one node to another counts, and its mark; 0 where none is."""
        start, stop = self.ties.indptr[node : node + 2]
        at = start + int(np.searchsorted(self.ties.indices[start:stop], other))
        if at == stop or self.ties.indices[at] != other:
            return 0.0, 0
        return float(self.ties.data[at]), int(self.tie_kinds[at])

    def _named(self, node: int) -> tuple[str, int]:
        """Return the name of a node, and its row where it is an item."""
        name = self.nodes.ids([node])[0]
        return shown(name), self.items.row(shown(name)) if name.startswith(ITEM) else -1

    def _ties(self, item: int) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32], Ints]:
        span = slice(self.edges.indptr[item], self.edges.indptr[item + 1])
        return self.edges.indices[span], self.edges.data[span], self.kinds[span].astype(np.int64)

    @cached_property
    def _came_from(self) -> sparse.csr_array:
        return self.company.T.tocsr()

    @cached_property
    def _worth(self) -> npt.NDArray[np.float64]:
        degree = degrees(self.edges, self.kinds)
        return np.where(degree <= self.spec.hub, power(degree, -self.spec.damp), 0.0)


def _step(
    steps: sparse.csr_array, item: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
    """Return where one may stand after a step or none, and how likely that is."""
    span = slice(steps.indptr[item], steps.indptr[item + 1])
    return (
        np.append(steps.indices[span], item).astype(np.int32),
        np.append(steps.data[span], 1).astype(np.float32),
    )


def _shares(matrix: sparse.csr_array) -> sparse.csr_array:
    """Return `matrix` with rows that sum to 1; empty ones stay so."""
    return scale_rows(matrix, power(matrix.sum(axis=1), -1.0))


def _sum(parts: list[sparse.csr_array], n: int, rows: int | None = None) -> sparse.csr_array:
    total = sparse.csr_array((n if rows is None else rows, n), dtype=np.float32)
    for part in parts:
        total = total + part
    return _sorted(total.tocsr())


def _none(n: int) -> sparse.csr_array:
    return sparse.csr_array((0, n), dtype=np.float32)


def _sorted(matrix: sparse.csr_array) -> sparse.csr_array:
    matrix.eliminate_zeros()
    matrix.sort_indices()
    return matrix
