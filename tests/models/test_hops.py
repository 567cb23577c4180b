"""Hops from entity to entity: against the formula, bounded, and told step by step."""

import json
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.features.knowledge import KnowledgeGraph, knowledge, shown
from endcap.models.hops import HOPPED, MOST, along, degrees
from endcap.models.queries import Queries
from endcap.models.related import Related, RelatedModel
from endcap.prepare.dataset import Dataset

LYNCH = {"name": "Lynch", "worked_with": ["Dern", {"name": "Cage", "nephew_of": "Coppola"}]}
ROWS: dict[str, dict[str, Any]] = {
    "blue velvet": {"director": LYNCH},
    "lost highway": {"director": "Lynch"},
    "citizen ruth": {"actor": "Dern"},
    "raising arizona": {"actor": ["Cage"]},
    "godfather": {"director": [{"name": "Coppola", "born_in": "Detroit"}]},
    "8 mile": {"set_in": "Detroit"},
    "twin peaks book": {"author": {"name": "Frost", "wrote": "twin peaks"}},
    "twin peaks": {},
    "mug": {"brand_of": {"name": "Acme", "owned_by": "Globex"}},
    "lamp": {"brand_of": {"name": "Zed", "owned_by": {"name": "Globex"}}},
}


def catalogue(rows: dict[str, dict[str, Any]] = ROWS) -> pa.Table:
    return pa.table({"item_id": list(rows), "relations": [json.dumps(r) for r in rows.values()]})


def shop(rows: dict[str, dict[str, Any]] = ROWS) -> Dataset:
    """Everything was taken once, each thing by somebody else."""
    return Dataset.of([f"u{n:02}" for n in range(len(rows))], list(rows), catalogue=catalogue(rows))


@pytest.fixture(scope="module")
def model() -> RelatedModel:
    return Related(people=0.0, hop=0.5).fit(shop())


def found(model: RelatedModel, item: str) -> list[str]:
    asked = Queries.of_histories([model.items.rows([item])]).excluding_history()
    return model.items.ids(model.retrieve(asked, 20).row(0)[0])


def path(model: RelatedModel, past: str, item: str) -> list[tuple[str, bool, str]]:
    hops = model.path(*model.items.rows([past, item]).tolist())
    return [(h.relation, h.inverse, h.name or model.items.ids([h.item])[0]) for h in hops]


def test_what_a_target_says_of_itself_is_read_and_true_wherever_it_is_named() -> None:
    data = shop()
    graph = knowledge(data.item_table, data.items, {"nephew_of": 0.5, "born_in": 0.0})
    names = [shown(node) for node in graph.nodes.array.to_pylist()]
    relations = graph.relations.array.to_pylist()
    rows, columns = graph.links.nonzero()
    told = {
        (names[one], relations[kind], names[other], weight)
        for one, other, kind, weight in zip(
            rows, columns, graph.link_kinds, graph.links.data.tolist(), strict=True
        )
        if kind >= 0
    }
    assert told == {
        ("Lynch", "worked_with", "Dern", 1.0),
        ("Lynch", "worked_with", "Cage", 1.0),
        ("Cage", "nephew_of", "Coppola", 0.5),
        ("Frost", "wrote", "twin peaks", 1.0),
        ("Acme", "owned_by", "Globex", 1.0),
        ("Zed", "owned_by", "Globex", 1.0),
    }
    back = graph.links.T.tocsr()
    back.sort_indices()
    np.testing.assert_array_equal(back.toarray(), graph.links.toarray())
    assert sorted(graph.link_kinds[graph.link_kinds < 0] + len(relations)) == sorted(
        graph.link_kinds[graph.link_kinds >= 0]
    )


def test_two_hops_lead_from_item_to_item_and_no_third(model: RelatedModel) -> None:
    assert set(found(model, "blue velvet")) == {
        "lost highway",  # the same director
        "citizen ruth",  # who worked with Dern
        "raising arizona",
        "godfather",  # Lynch, Cage, Coppola: a hop on each side
    }
    assert set(found(model, "mug")) == {"lamp"}
    assert set(found(model, "twin peaks")) == {"twin peaks book"}
    assert "8 mile" not in found(model, "blue velvet")
    assert found(model, "blue velvet")[0] == "lost highway"


def test_without_hops_links_say_nothing() -> None:
    model = Related(people=0.0, hop=0.0).fit(shop())
    assert found(model, "blue velvet") == ["lost highway"]
    assert found(model, "mug") == found(model, "twin peaks") == []
    assert model.ties.nnz == 0


def test_every_step_is_told(model: RelatedModel) -> None:
    assert path(model, "lost highway", "citizen ruth") == [
        ("director", False, "Lynch"),
        ("worked_with", False, "Dern"),
        ("actor", True, "citizen ruth"),
    ]
    assert path(model, "citizen ruth", "lost highway") == [
        ("actor", False, "Dern"),
        ("worked_with", True, "Lynch"),
        ("director", True, "lost highway"),
    ]
    assert path(model, "blue velvet", "godfather") == [
        ("director", False, "Lynch"),
        ("worked_with", False, "Cage"),
        ("nephew_of", False, "Coppola"),
        ("director", True, "godfather"),
    ]
    assert path(model, "mug", "lamp") == [
        ("brand_of", False, "Acme"),
        ("owned_by", False, "Globex"),
        ("owned_by", True, "Zed"),
        ("brand_of", True, "lamp"),
    ]
    assert path(model, "twin peaks book", "twin peaks") == [
        ("author", False, "Frost"),
        ("wrote", False, "twin peaks"),
    ]
    assert path(model, "twin peaks", "twin peaks book") == [
        ("wrote", True, "Frost"),
        ("author", True, "twin peaks book"),
    ]


def naive(graph: KnowledgeGraph, hop: float, damp: float) -> np.ndarray:
    """Item by item, link by link."""
    direct, links = graph.edges.toarray(), graph.links.toarray()
    count = (links > 0).sum(axis=1)
    out = direct.copy()
    for item, node in np.ndindex(direct.shape):
        if not direct[item, node]:
            over = sum(
                direct[item, m] * hop * links[m, node] / count[m] ** damp
                for m in np.flatnonzero(links[:, node])
            )
            out[item, node] = min(over, 1.0)
    return out


names = st.sampled_from("abcdefg")
targets = st.lists(names | st.fixed_dictionaries({"name": names, "knows": st.lists(names)}))
worlds = st.lists(st.dictionaries(st.sampled_from(["of", "by"]), targets), min_size=1, max_size=6)


@settings(deadline=None, max_examples=60)
@given(worlds, st.sampled_from([0.0, 0.3, 1.0]), st.sampled_from([0.0, 0.7, 1.0]))
def test_reach_is_the_formula(rows: list[dict[str, Any]], hop: float, damp: float) -> None:
    data = shop({f"i{n}": row for n, row in enumerate(rows)})
    graph = knowledge(data.item_table, data.items)
    edges, kinds, links, marks = along(graph, hop, damp)
    expected = naive(graph, hop, damp)
    np.testing.assert_allclose(edges.toarray(), expected, rtol=1e-5)
    direct = graph.edges.toarray() > 0
    rows_, columns = edges.nonzero()
    assert (direct[rows_, columns] == (kinds != HOPPED)).all()
    assert edges.nnz == len(kinds)
    assert links.nnz == len(marks)
    counted = np.where(direct, 1.0, expected).sum(axis=0) if expected.size else expected.sum(0)
    np.testing.assert_allclose(degrees(edges, kinds), counted, rtol=1e-5)


@settings(deadline=None, max_examples=60)
@given(worlds)
def test_every_effect_has_a_path_of_ties_that_the_catalogue_names(
    rows: list[dict[str, Any]],
) -> None:
    told = {f"i{n}": row for n, row in enumerate(rows)}
    model = Related(people=0.0, hop=0.5).fit(shop(told))
    said = set()
    for item, row in told.items():
        for relation, targets in row.items():
            for target in targets:
                own = target if isinstance(target, dict) else {"name": target, "knows": []}
                said.add((item, relation, own["name"]))
                said |= {(own["name"], "knows", other) for other in own["knows"]}
    for past, item in np.argwhere(model.effects.toarray() > 0):
        at = model.items.ids([int(past)])[0]
        hops = path(model, at, model.items.ids([int(item)])[0])
        assert 2 <= len(hops) <= 4
        for relation, inverse, reached in hops:
            assert ((reached, relation, at) if inverse else (at, relation, reached)) in said
            at = reached
        assert at == model.items.ids([int(item)])[0]


def test_what_is_linked_to_too_many_leads_nowhere() -> None:
    towns = [{"name": f"town{n:03}", "in": "France"} for n in range(MOST + 1)]
    rows = {"guide": {"about": "France"}, **{f"i{n:03}": {"from": t} for n, t in enumerate(towns)}}
    model = Related(people=0.0, hop=1.0).fit(shop(rows))
    assert "i001" in found(model, "guide")  # towns lead to France; they meet there
    few = Related(people=0.0, hop=1.0).fit(shop(dict(list(rows.items())[:MOST])))
    back = few.edges.toarray()[few.items.row("guide")]
    there = model.edges.toarray()[model.items.row("guide")]
    assert (back > 0).sum() > 1
    assert (there > 0).sum() == 1  # France leads to none of its towns


def test_odd_targets_are_passed_over() -> None:
    rows: dict[str, Any] = {
        "a": {"by": [{"name": None, "x": "y"}, {"x": 1}, None, True, [], {"name": {"name": "z"}}]},
        "b": {"by": {"name": "z", "knows": {"name": "z"}}},
        "c": {"by": {"name": 7, "knows": {"name": "k", "of": {"name": "l", "of": {"name": "m"}}}}},
    }
    data = shop(rows)
    graph = knowledge(data.item_table, data.items)
    names = {shown(node) for node in graph.nodes.array.to_pylist()}
    assert names == {"7", "k", "l", "m"}
    assert Related(people=0.0, hop=1.0).fit(data).effects.nnz == 0
