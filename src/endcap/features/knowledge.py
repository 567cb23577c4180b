"""The knowledge graph of the catalogue: what items are tied to, by which relation."""

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
ITSELF: Final = ""
"""The relation of an item to the node that it is itself."""
LONGEST: Final = 256
"""Characters of a name that tell it from others; catalogues hold whole texts at times."""


class KnowledgeGraph(NamedTuple):
    """Items and what they are tied to.

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
    """

    edges: sparse.csr_array
    kinds: npt.NDArray[np.int16]
    nodes: Vocabulary
    relations: Vocabulary


def knowledge(
    table: pa.Table, items: Vocabulary, weights: Mapping[str, float] | None = None
) -> KnowledgeGraph:
    """Read the graph from a catalogue: relations, brands and categories.

    ``relations`` of an item is a JSON object: ``{"author": "Jane Austen", "part_of": ["i7"]}``.
    A target that is the id of an item is that item, any other is an entity, the same in whatever
    relation and domain it is named. What is a node to one item alone ties it to nothing, and is
    left out. Time and memory O(edges).

    Parameters
    ----------
    table
        Rows of schema `ITEMS`, in the order of `items`.
    weights
        Relation -> its weight, 1 where it is not named; 0 leaves it out.
    """
    told = dict(weights or {})
    rows = [_edges(row, items, told) for row in _rows(table)]
    named = {node for row in rows for node in row if node.startswith(ITEM)}
    for row, item in zip(rows, items.array.to_pylist(), strict=True):
        if ITEM + item in named:
            row[ITEM + item] = (1.0, ITSELF)
    borne: dict[str, int] = {}
    for row in rows:
        for node in row:
            borne[node] = borne.get(node, 0) + 1
    nodes = Vocabulary([node for node, count in borne.items() if count > 1])
    relations = Vocabulary([relation for row in rows for _, relation in row.values()])
    return _compact(rows, nodes, relations)


def shown(node: str) -> str:
    """Return the name of a node without the mark of its kind."""
    return node[len(ENTITY) :]


def _rows(table: pa.Table) -> Iterator[dict[str, Any]]:
    columns = table.select(["relations", "brand", "categories"])
    for batch in columns.to_batches(max_chunksize=65_536):
        yield from batch.to_pylist()


def _edges(
    row: dict[str, Any], items: Vocabulary, weights: Mapping[str, float]
) -> dict[str, tuple[float, str]]:
    """Return node -> (weight, relation): of several relations to one node, the heaviest."""
    found = [(BRAND + name, "brand") for name in _names(row["brand"])]
    found += [(CATEGORY + path, "category") for path in _names(row["categories"] or [])]
    said = json.loads(row["relations"]) if row["relations"] else {}
    for relation, targets in said.items() if isinstance(said, dict) else ():
        for name in _names(targets):
            found.append(((ITEM if name in items else ENTITY) + name, relation))
    out: dict[str, tuple[float, str]] = {}
    for node, relation in sorted(found):
        weight = weights.get(relation, 1.0)
        if weight > out.get(node, (0.0, ""))[0]:
            out[node] = weight, relation
    return out


def _names(targets: Any) -> Iterator[str]:
    """Yield texts and numbers as names that can be shown: no character that is none."""
    for target in targets if isinstance(targets, list) else [targets]:
        if isinstance(target, str | int) and not isinstance(target, bool):
            name = "".join(filter(str.isprintable, str(target))).strip()[:LONGEST]
            if name:
                yield name


def _compact(
    rows: list[dict[str, tuple[float, str]]], nodes: Vocabulary, relations: Vocabulary
) -> KnowledgeGraph:
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
    return KnowledgeGraph(edges, kinds, nodes, relations)
