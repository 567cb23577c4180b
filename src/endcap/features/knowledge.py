"""The knowledge graph of the catalogue: what items are tied to, and what that is tied to."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy import sparse

from endcap.prepare.vocabulary import Vocabulary

ITEM, ENTITY, BRAND, CATEGORY = "i:", "e:", "b:", "c:"
"""Before the name of a node: a brand of the name of a person is somebody else."""
OWN: Final = {"brand": BRAND, "category": CATEGORY}
"""Relations that name a brand or a category of the catalogue."""
ITSELF: Final = ""
"""The relation of an item to the node that it is itself."""
DEEPEST: Final = 3
"""Entities within each other that are read of a target."""
Tie = tuple[float, str]
"""A weight, and the relation."""
LONGEST: Final = 256
"""Characters of a name that tell it from others; catalogues hold whole texts at times."""


class KnowledgeGraph(NamedTuple):
    """Items, what they are tied to, and how that is tied together.

    Attributes
    ----------
    edges
        CSR float32 (n_items, n_nodes), indices rising: the weight of the relation.
    kinds
        int16 (edges,): the place of each edge's relation in `relations`.
    nodes
        Names with the mark of their kind in front.
    relations
        Names; `ITSELF` is among them where items are tied to items.
    links
        CSR float32 (n_nodes, n_nodes), indices rising: the weight of the relation between two
        nodes, the same in both directions.
    link_kinds
        int16 (links,): the place of each link's relation in `relations` where the row's node names
        the column's, else that minus `len(relations)`, which is below 0.
    """

    edges: sparse.csr_array
    kinds: npt.NDArray[np.int16]
    nodes: Vocabulary
    relations: Vocabulary
    links: sparse.csr_array
    link_kinds: npt.NDArray[np.int16]


def knowledge(
    table: pa.Table, items: Vocabulary, weights: Mapping[str, float] | None = None
) -> KnowledgeGraph:
    """Read the graph from a catalogue: relations, brands and categories.

    ``relations`` of an item is a JSON object: ``{"author": "Jane Austen", "part_of": ["i7"]}``.
    A target that is the id of an item is that item, any other is an entity, the same in whatever
    relation and domain it is named. A target may bring relations of its own:
    ``{"director": {"name": "David Lynch", "worked_with": ["Kyle MacLachlan"]}}``; they are true of
    it wherever it is named. ``brand`` and ``category`` name those of the catalogue, and what these
    say of themselves names their like. What is a node to one item alone, and linked to none, ties
    it to nothing, and is left out. Time and memory O(edges).

    Parameters
    ----------
    table
        Rows of schema `ITEMS`, in the order of `items`.
    weights
        Relation -> its weight, 1 where it is not named; 0 leaves it out.
    """
    told = dict(weights or {})
    links: dict[tuple[str, str], Tie] = {}
    rows = [_edges(row, items, told, links) for row in _rows(table)]
    linked = {node for pair in links for node in pair}
    named = {node for ties in (*rows, linked) for node in ties if node.startswith(ITEM)}
    for row, item in zip(rows, items.array.to_pylist(), strict=True):
        if ITEM + item in named:
            row[ITEM + item] = (1.0, ITSELF)
    borne: dict[str, int] = {}
    for row in rows:
        for node in row:
            borne[node] = borne.get(node, 0) + 1
    kept = {node for node, count in borne.items() if count > 1} | linked
    nodes = Vocabulary(sorted(kept))
    told_of = (*(tie for row in rows for tie in row.values()), *links.values())
    relations = Vocabulary([relation for _, relation in told_of])
    return KnowledgeGraph(
        *_compact(rows, nodes, relations), nodes, relations, *_between(links, nodes, relations)
    )


def shown(node: str) -> str:
    """Return the name of a node without the mark of its kind."""
    return node[len(ENTITY) :]


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    columns = table.select(["relations", "brand", "categories"])
    for batch in columns.to_batches(max_chunksize=65_536):
        yield from batch.to_pylist()


def _edges(
    row: dict[str, Any],
    items: Vocabulary,
    weights: Mapping[str, float],
    links: dict[tuple[str, str], Tie],
) -> dict[str, Tie]:
    """Return node -> tie, of several the heaviest; what the targets say is put into `links`."""
    found = [(BRAND + name, "brand") for name in _names(row["brand"])]
    found += [(CATEGORY + path, "category") for path in _names(row["categories"] or [])]
    said = json.loads(row["relations"]) if row["relations"] else {}
    for relation, node, more in _targets(said, items):
        found.append((node, relation))
        _link(node, more, items, weights, links)
    out: dict[str, Tie] = {}
    for node, relation in sorted(found):
        _heavier(out, node, (weights.get(relation, 1.0), relation))
    return out


def _link(  # noqa: PLR0917
    node: str,
    said: dict[str, Any],
    items: Vocabulary,
    weights: Mapping[str, float],
    links: dict[tuple[str, str], Tie],
    depth: int = 1,
) -> None:
    """Put what a node says of itself into `links`: (node, its target) -> tie."""
    kind = node[: len(ENTITY)]
    for relation, other, more in _targets(said, items, kind if kind in OWN.values() else ""):
        if other != node:
            _heavier(links, (node, other), (weights.get(relation, 1.0), relation))
        if depth < DEEPEST:
            _link(other, more, items, weights, links, depth + 1)


def _heavier(ties: dict[Any, Tie], key: Any, tie: Tie) -> None:
    if tie[0] > 0 and (-tie[0], tie[1]) < _order(ties.get(key)):
        ties[key] = tie


def _order(tie: Tie | None) -> Tie:
    return (0.0, "") if tie is None else (-tie[0], tie[1])


def _targets(
    said: Any, items: Vocabulary, kind: str = ""
) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Yield (relation, node, what the node says of itself) of a JSON object of relations.

    What a brand or a category (`kind`) names is its like.
    """
    for relation, targets in said.items() if isinstance(said, dict) else ():
        for target in targets if isinstance(targets, list) else [targets]:
            own = dict(target) if isinstance(target, dict) else {}
            for name in _names(own.pop("name", None) if isinstance(target, dict) else target):
                mark = kind or OWN.get(relation) or (ITEM if name in items else ENTITY)
                yield relation, mark + name, own


def _names(targets: Any) -> Iterator[str]:
    """Yield texts and numbers as names that can be shown: no character that is none."""
    for target in targets if isinstance(targets, list) else [targets]:
        if isinstance(target, str | int) and not isinstance(target, bool):
            name = "".join(filter(str.isprintable, str(target))).strip()[:LONGEST]
            if name:
                yield name


def _compact(
    rows: list[dict[str, Tie]], nodes: Vocabulary, relations: Vocabulary
) -> tuple[sparse.csr_array, npt.NDArray[np.int16]]:
    kept = [
        sorted((at, *row[node]) for node in row if (at := nodes.row(node)) >= 0) for row in rows
    ]
    flat = [edge for row in kept for edge in row]
    indptr = np.concatenate(([0], np.cumsum([len(row) for row in kept]))).astype(np.int64)
    edges = sparse.csr_array(
        (
            np.array([weight for _, weight, _ in flat], np.float32),
            np.array([node for node, _, _ in flat], np.int32),
            indptr,
        ),
        shape=(len(rows), len(nodes)),
    )
    kinds = np.array([relations.row(relation) for _, _, relation in flat], np.int16)
    return edges, kinds


def _between(
    links: Mapping[tuple[str, str], Tie], nodes: Vocabulary, relations: Vocabulary
) -> tuple[sparse.csr_array, npt.NDArray[np.int16]]:
    """Return the links in both directions, of two between the same nodes the heavier."""
    found: dict[tuple[int, int], tuple[float, int]] = {}
    for (one, other), (weight, relation) in links.items():
        at, to, kind = nodes.row(one), nodes.row(other), relations.row(relation)
        for pair, told in (((at, to), kind), ((to, at), kind - len(relations))):
            if (weight, told) > found.get(pair, (0.0, 0)):
                found[pair] = weight, told
    pairs = sorted(found)
    heads = np.array([at for at, _ in pairs], np.int64)
    indptr = np.searchsorted(heads, np.arange(len(nodes) + 1)).astype(np.int64)
    weights = np.array([found[pair][0] for pair in pairs], np.float32)
    tails = np.array([to for _, to in pairs], np.int32)
    matrix = sparse.csr_array((weights, tails, indptr), shape=(len(nodes), len(nodes)))
    return matrix, np.array([found[pair][1] for pair in pairs], np.int16)
