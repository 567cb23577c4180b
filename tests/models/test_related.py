"""The walk over the knowledge graph against its formula, and into another domain."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from endcap.features.knowledge import knowledge, shown
from endcap.models.base import PEOPLE, Hop
from endcap.models.queries import Queries
from endcap.models.related import Related, RelatedModel
from endcap.prepare.dataset import Dataset
from endcap.testing.contracts.models import shop

ROWS: list[dict[str, Any]] = [
    {"item_id": "dune", "domain": "books", "relations": {"author": "Herbert"}},
    {"item_id": "emma", "domain": "books", "relations": {"author": ["Austen"]}},
    {"item_id": "sanditon", "domain": "books", "relations": {"author": "Austen"}},
    {"item_id": "lady susan", "domain": "books", "relations": {"author": "Austen"}},
    {"item_id": "love", "domain": "films", "relations": {"story": "Austen", "from": "lady susan"}},
    {"item_id": "clueless", "domain": "films", "relations": {"story": "Austen"}},
    {"item_id": "lynch", "domain": "films", "relations": {"story": "Herbert", "year": 1984}},
    {"item_id": "austen", "domain": "films", "brand": "Austen"},
]


def catalogue() -> pa.Table:
    columns = ("item_id", "domain", "brand")
    table = pa.table({name: [row.get(name) for row in ROWS] for name in columns})
    told = [json.dumps(row["relations"]) if "relations" in row else None for row in ROWS]
    return table.append_column("relations", pa.array(told))


@pytest.fixture(scope="module")
def data() -> Dataset:
    taken = [("a", "dune"), ("a", "emma"), ("b", "emma"), ("b", "sanditon"), ("c", "clueless")]
    taken += [("c", "lynch"), ("d", "clueless"), ("d", "love"), ("e", "emma"), ("e", "dune")]
    return Dataset.of([u for u, _ in taken], [i for _, i in taken], catalogue=catalogue())


def asked(data: Dataset, *items: str) -> Queries:
    return Queries.of_histories([data.items.rows(list(items))])


def found(model: RelatedModel, data: Dataset, *items: str, k: int = 9) -> list[str]:
    lists = model.retrieve(asked(data, *items).excluding_history(), k)
    return data.items.ids(lists.row(0)[0])


def test_the_graph_ties_what_shares_a_name(data: Dataset) -> None:
    graph = knowledge(data.item_table, data.items, {"year": 0.0})
    told = {
        (
            data.items.ids([row])[0],
            graph.relations.ids([kind])[0],
            shown(graph.nodes.ids([node])[0]),
        )
        for row, node, kind in zip(
            np.repeat(np.arange(len(data.items)), np.diff(graph.edges.indptr)),
            graph.edges.indices,
            graph.kinds,
            strict=True,
        )
    }
    assert told == {
        ("dune", "author", "Herbert"),
        ("lynch", "story", "Herbert"),
        *((book, "author", "Austen") for book in ("emma", "sanditon", "lady susan")),
        *((film, "story", "Austen") for film in ("love", "clueless")),
        ("love", "from", "lady susan"),
        ("lady susan", "", "lady susan"),
    }  # the brand Austen is no person, and 1984 was left out


def naive(data: Dataset, spec: Related) -> np.ndarray:
    """Ten lines of dense matrices."""
    x, n = data.matrix(None).toarray().astype(float), len(data.items)
    graph = knowledge(data.item_table, data.items, spec.weights)
    b = graph.edges.toarray().astype(float)
    g = b / np.maximum((b > 0).sum(axis=0), 1) ** spec.damp @ b.T
    g *= (1 + x.sum(axis=0)) ** spec.popular
    length = np.maximum(np.sqrt((x**2).sum(axis=0)), 1e-9)
    k = x.T @ x / np.outer(length, length)
    for step in (g, k):
        np.fill_diagonal(step, 0)
        step[:] = step / np.maximum(step.sum(axis=1, keepdims=True), 1e-12)
    walk = np.eye(n) + spec.people * k
    out = walk @ g @ walk * (1 + x.sum(axis=0)) ** spec.lift
    np.fill_diagonal(out, 0)
    return out


@pytest.mark.parametrize("people", [0.0, 2.0])
@pytest.mark.parametrize("weights", [{}, {"brand": 0.3, "story": 2.0}])
def test_effects_are_the_formula(data: Dataset, people: float, weights: dict[str, float]) -> None:
    spec = Related(people=people, weights=weights, damp=0.7, lift=0.3)
    for world in (data, shop()):
        expected = naive(world, spec)
        np.testing.assert_allclose(
            spec.fit(world).effects.toarray(), expected, rtol=1e-4, atol=1e-6
        )


def test_a_book_brings_films_however_few_effects_are_kept(data: Dataset) -> None:
    model = Related(people=0.0, neighbours=1).fit(data)
    assert found(model, data, "emma") == ["clueless", "sanditon"]
    assert found(model, data, "dune") == ["lynch"]
    assert "lynch" in found(Related(people=1.0).fit(data), data, "dune")


def test_a_step_over_people_reaches_what_no_tie_does(data: Dataset) -> None:
    assert "clueless" not in found(Related(people=0.0).fit(data), data, "dune")
    assert "clueless" in found(Related(people=2.0).fit(data), data, "dune")


def test_hubs_say_nothing(data: Dataset) -> None:
    assert found(Related(people=0.0, hub=2).fit(data), data, "emma") == []


def hops(data: Dataset, model: RelatedModel, past: str, item: str) -> list[tuple[str, bool, str]]:
    path = model.path(*data.items.rows([past, item]).tolist())
    named = [hop.name or data.items.ids([hop.item])[0] for hop in path]
    return [(hop.relation, hop.inverse, name) for hop, name in zip(path, named, strict=True)]


def test_paths_are_told_hop_by_hop(data: Dataset) -> None:
    model = Related(people=2.0).fit(data)
    assert hops(data, model, "emma", "clueless") == [
        ("author", False, "Austen"),
        ("story", True, "clueless"),
    ]
    assert hops(data, model, "love", "lady susan") == [("from", False, "lady susan")]
    assert hops(data, model, "lady susan", "love") == [("from", True, "love")]
    assert hops(data, model, "dune", "clueless") == [
        ("author", False, "Herbert"),
        ("story", True, "lynch"),
        (PEOPLE, False, "clueless"),
    ]
    assert hops(data, model, "emma", "austen") == []
    assert hops(data, model, "emma", "lynch") == [
        (PEOPLE, False, "dune"),
        ("author", False, "Herbert"),
        ("story", True, "lynch"),
    ]


def test_without_its_ties_a_path_is_gone(data: Dataset) -> None:
    """The named tie carries the effect: a catalogue without it has no such effect."""
    kept = [{**row, "relations": {}} if row["item_id"] == "dune" else row for row in ROWS]
    told = pa.array([json.dumps(row.get("relations", {})) for row in kept])
    table = data.item_table
    rows = table["item_id"].to_pylist()
    order = pa.array([[row["item_id"] for row in ROWS].index(item) for item in rows])
    at = table.schema.get_field_index("relations")
    cut = Dataset(
        data.interactions,
        data.users,
        data.items,
        table.set_column(at, "relations", told.take(order)),
        data.user_table,
    )
    spec = Related(people=0.0)
    assert found(spec.fit(data), data, "dune") == ["lynch"]
    assert found(spec.fit(cut), cut, "dune") == []


def test_a_hop_knows_the_item_it_reaches(data: Dataset) -> None:
    path = Related(people=0.0).fit(data).path(*data.items.rows(["emma", "clueless"]).tolist())
    assert path == (
        Hop("author", name="Austen"),
        Hop("story", inverse=True, item=data.items.row("clueless")),
    )
