"""From what an item is tied to on to what that is tied to: an author's coauthors, a genre's own."""

from typing import Final

import numpy as np
import numpy.typing as npt
from scipy import sparse

from endcap.features.knowledge import KnowledgeGraph
from endcap.models.weighting import power, rows_of, scale_rows

HOPPED: Final = -1
"""The kind of an edge that goes over another node."""
MOST: Final = 100
"""A node that is linked to more others leads to none of them: a country to its towns."""
Kinds = npt.NDArray[np.int16]


def along(
    graph: KnowledgeGraph, hop: float, damp: float
) -> tuple[sparse.csr_array, Kinds, sparse.csr_array, Kinds]:
    """Let items reach what their nodes are linked to.

    The edge of an item to a node a hop away weighs ``hop sum_m w_im l_mn m_m^-damp``, where l is
    the weight of the link and m_m how many links the node between has; 1 at most. An edge that is
    there already stays as it is. So a walk from item to item takes two hops at most, one on each
    side of the node where they meet. Time and memory O(edges x links of a node, at most `MOST`).

    Returns
    -------
    edges, kinds
        As in `KnowledgeGraph`; `HOPPED` where it goes over another node.
    links, link_kinds
        What may be hopped along, ``hop l m^-damp`` each.
    """
    count = np.diff(graph.links.indptr)
    leads = np.where(count <= MOST, hop * power(count, -damp), 0.0)
    links = scale_rows(graph.links, leads)
    kept = links.data > 0
    link_kinds = graph.link_kinds[kept]
    links.eliminate_zeros()
    if not links.nnz:
        return graph.edges, graph.kinds, links, link_kinds
    further = (graph.edges @ links).tocsr()
    further.data = np.minimum(further.data, 1)
    here = _keys(graph.edges)
    there = _keys(further)
    new = ~np.isin(there, here)
    keys = np.concatenate((here, there[new]))
    order = np.argsort(keys, kind="stable")
    shape = graph.edges.shape
    weights = np.concatenate((graph.edges.data, further.data[new]))[order]
    kinds = np.concatenate((graph.kinds, np.full(int(new.sum()), HOPPED, np.int16)))[order]
    rows, columns = np.divmod(keys[order], shape[1])
    indptr = np.searchsorted(rows, np.arange(shape[0] + 1)).astype(np.int64)
    edges = sparse.csr_array((weights, columns.astype(np.int32), indptr), shape=shape)
    return edges, kinds, links, link_kinds


def _keys(matrix: sparse.csr_array) -> npt.NDArray[np.int64]:
    """Return int64 (nnz,): the place of each entry, row after row."""
    return np.asarray(rows_of(matrix) * matrix.shape[1] + matrix.indices, np.int64)


def degrees(edges: sparse.csr_array, kinds: Kinds) -> npt.NDArray[np.float64]:
    """Return float64 (n_nodes,): the items tied to each, those a hop away by their weight."""
    tied = np.where(kinds == HOPPED, edges.data, 1.0)
    return np.bincount(edges.indices, tied, minlength=edges.shape[1]).astype(np.float64)
