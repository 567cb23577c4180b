"""The best items by inner product of one query: all of them, an index of ours, one of faiss.

iALS is fitted on a made-up shop with groups of taste (benchmarks/scale_data.py); its factors are
asked with the histories of shoppers whose items k-means has not seen as queries. Milliseconds are
processor time for one query, asked one after the other on one thread, folding in left out.

    python -m benchmarks retrieval --items 1000000
    python -m benchmarks retrieval --quick
"""

from collections.abc import Callable
from dataclasses import replace
from time import process_time
from typing import Any

import numpy as np
import numpy.typing as npt
from threadpoolctl import threadpool_limits

from benchmarks import report
from benchmarks.scale_data import shop
from benchmarks.scale_running import some
from endcap.evaluate.meter import Meter
from endcap.models.conjugate import turned
from endcap.models.ials import IALS, IALSModel, gram
from endcap.models.indexing import DEPTH, index_for
from endcap.models.inner import Product
from endcap.models.inverted import Inverted, best_of
from endcap.models.queries import Queries
from endcap.prepare.vocabulary import Vocabulary

SHARES = (1.0, 0.5, 0.1, 0.02)
ASKED, K = 200, 20
Rows = npt.NDArray[np.int32]
Answer = Callable[[int, Queries], Rows]


def main(argv: list[str]) -> dict[str, Any]:
    """Fit, index, ask and compare."""
    parser = report.parser(__doc__)
    parser.add_argument("--items", type=int, default=0, help="of the catalogue; 200,000")
    parser.add_argument("--factors", type=int, default=64)
    flags = parser.parse_args(argv)
    items = flags.items or (5_000 if flags.quick else 200_000)
    with Meter() as meter:
        model, asked = _fitted(items, flags.factors, flags.seed)
        began = process_time()
        tried = index_for(model, asked, at_least=1, seed=flags.seed)
        assert tried is not None
        built = process_time() - began
        product = model.product(asked)
        ways = _ways(product, tried.index)
        rows = {
            f"{share:g} {name}": row
            for share in SHARES
            for name, row in _at(share, ways, asked, items, flags.seed).items()
        }
    report.show(f"{items:,} items, {flags.factors} factors", rows)
    return report.outcome(
        meter,
        protocol=f"iALS, 3 epochs, on {items:,} items of a made-up power-law shop; {len(asked)} "
        f"histories, their items excluded; recall of the exact {K} and {DEPTH}; share: of the "
        "items, drawn at random, that may come",
        figures={**tried.facts, "build_cpu_s": round(built, 1)},
        models=rows,
        seed=flags.seed,
    )


def _fitted(items: int, factors: int, seed: int) -> tuple[IALSModel, Queries]:
    drawn = shop(items, items, 8 * items, seed)
    spec = IALS(factors=factors, epochs=3, unobserved=900 / items)
    y = [items for _, items in spec.alternate(drawn.train, seed)][-1]
    squares, turn = turned(gram(y))
    words = [Vocabulary(map(str, range(n))) for n in drawn.train.shape]
    known = np.bincount(drawn.train.indices, minlength=items) > 0
    model = IALSModel(spec, *words, y @ turn, known, np.diag(squares))
    return model, some(drawn.train[drawn.asked[:ASKED]])


def _ways(product: Product, index: Inverted | None) -> dict[str, Answer]:
    """Return who answers: given the number of a query and the query, its best items."""
    one = [product._replace(x=product.x[q : q + 1]) for q in range(len(product.x))]
    ways: dict[str, Answer] = {
        "NumPy": lambda q, query: _numpy(one[q], query),
        "all items": lambda q, query: best_of(one[q], query, DEPTH).items,
    }
    if index is not None:
        ways["index"] = lambda q, query: best_of(one[q], query, DEPTH, index).items
        ways["faiss IVFFlat"] = _faiss(product, index)
    return ways


def _numpy(product: Product, query: Queries) -> Rows:
    scores = product.y @ product.x[0]
    scores[~product.known] = -np.inf
    scores[query.exclude] = -np.inf
    if query.allowed is not None:
        hidden = np.ones(len(scores), bool)
        hidden[query.allowed] = False
        scores[hidden] = -np.inf
    best = np.argpartition(-scores, DEPTH)[:DEPTH]
    best = best[np.argsort(-scores[best])]
    return best[np.isfinite(scores[best])].astype(np.int32)


def _faiss(product: Product, index: Inverted) -> Answer:
    """Return faiss's own search over the same centroids and as many lists."""
    import faiss

    faiss.omp_set_num_threads(1)
    width, lists = product.y.shape[1], len(index.centroids)
    near, towards = faiss.IndexFlatL2(width), faiss.IndexFlatIP(width)
    near.add(index.centroids)
    towards.add(index.centroids)
    theirs = faiss.IndexIVFFlat(near, width, lists, faiss.METRIC_INNER_PRODUCT)
    theirs.add(np.ascontiguousarray(product.y))  # by distance, as ours; asked by inner product
    theirs.quantizer = towards

    def answer(q: int, query: Queries) -> Rows:
        share = 1.0 if query.allowed is None else len(query.allowed) / len(product.known)
        may = np.zeros(len(product.known), bool)
        may[slice(None) if query.allowed is None else query.allowed] = True
        may[query.exclude] = False
        chosen = faiss.IDSelectorBitmap(np.packbits(may, bitorder="little"))
        how = faiss.SearchParametersIVF(sel=chosen, nprobe=index.lists_for(share))
        found = theirs.search(product.x[q : q + 1], DEPTH, params=how)[1][0]
        return found[found >= 0].astype(np.int32)

    return answer


def _at(share: float, ways: dict[str, Answer], asked: Queries, n: int, seed: int) -> dict[str, Any]:
    """Return figures of each, where a share of the items may come."""
    rng = np.random.default_rng(seed)
    allowed = None
    if share < 1:
        allowed = np.flatnonzero(rng.random(n) < share).astype(np.int32)
        allowed.flags.writeable = False
    queries = [replace(asked[q : q + 1], allowed=allowed) for q in range(len(asked))]
    rows, truth = {}, []
    for name, answer in ways.items():
        answer(0, queries[0])
        with threadpool_limits(1, "blas"):
            began = process_time()
            found = [answer(q, query) for q, query in enumerate(queries)]
            spent = process_time() - began
        truth = truth or found
        rows[name] = {"ms": round(spent / len(queries) * 1e3, 3)}
        rows[name] |= {f"recall@{k}": _recall(found, truth, k) for k in (K, DEPTH)}
    return rows


def _recall(found: list[Rows], truth: list[Rows], k: int) -> float:
    hits = sum(len(np.intersect1d(f[:k], t[:k])) for f, t in zip(found, truth, strict=True))
    return round(hits / max(1, sum(len(t[:k]) for t in truth)), 4)
