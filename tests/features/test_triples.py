"""Triples of a file end up in the graph, whichever item leads to them."""

import json

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from endcap.features.knowledge import DEEPEST, knowledge, shown
from endcap.features.triples import with_triples
from endcap.models.related import Related
from endcap.prepare.dataset import Dataset

Triple = tuple[str, str, str]
ITEMS = ["i0", "i1", "i2"]
nodes = st.sampled_from([*ITEMS, *"abcdefgh"])
triples = st.lists(st.tuples(nodes, st.sampled_from("rs"), nodes), max_size=20)
relations = st.dictionaries(st.sampled_from("rt"), nodes | st.lists(nodes, max_size=2), max_size=2)


def table(rows: list[Triple]) -> pa.Table:
    columns = list(zip(*rows, strict=True)) or [[], [], []]
    names = ("head", "relation", "tail")
    return pa.table({n: pa.array(c, pa.string()) for n, c in zip(names, columns, strict=True)})


def pairs_of(catalogue: pa.Table) -> tuple[set[tuple[str, str]], set[frozenset[str]]]:
    """Return (item, node) and the linked pairs of nodes of the graph that is read."""
    data = Dataset.of(["u"] * 3, ITEMS, catalogue=catalogue)
    graph = knowledge(data.item_table, data.items)
    names = [shown(node) for node in graph.nodes.array.to_pylist()]
    tied = {
        (data.items.ids([row])[0], names[node])
        for row, node in zip(*graph.edges.nonzero(), strict=True)
    }
    linked = {
        frozenset((names[one], names[other])) for one, other in np.argwhere(graph.links.toarray())
    }
    return tied, linked


@settings(deadline=None, max_examples=80)
@given(st.lists(relations, min_size=3, max_size=3), triples)
def test_every_triple_that_an_item_leads_to_is_read(own: list[dict], rows: list[Triple]) -> None:
    bare = pa.table({"item_id": ITEMS, "relations": [json.dumps(row) for row in own]})
    tied, linked = pairs_of(with_triples(bare, table(rows)))
    direct = {
        (item, name)
        for item, row in zip(ITEMS, own, strict=True)
        for names in row.values()
        for name in (names if isinstance(names, list) else [names])
    }
    direct |= {(head, tail) for head, _, tail in rows if head in ITEMS}
    reach = {name for _, name in direct} - set(ITEMS)
    expected: set[frozenset[str]] = set()
    for _ in range(DEEPEST):
        found = {(head, tail) for head, _, tail in rows if head in reach}
        expected |= {frozenset(pair) for pair in found if pair[0] != pair[1]}
        reach |= {tail for _, tail in found} - set(ITEMS)
    assert linked <= {frozenset((head, tail)) for head, _, tail in rows}
    near = {frozenset((h, t)) for h, _, t in rows if h in {n for _, n in direct} - set(ITEMS)}
    assert {pair for pair in near if len(pair) > 1} <= linked <= expected
    known = {pair for pair in tied if pair[0] != pair[1]}
    assert known <= direct


def test_a_catalogue_without_relations_gets_them() -> None:
    told = table([("i1", "by", "Lynch"), ("Lynch", "worked_with", "Dern"), ("i0", "with", "Dern")])
    found = with_triples(pa.table({"item_id": ITEMS}), told)["relations"].to_pylist()
    assert [None if one is None else json.loads(one) for one in found] == [
        {"with": ["Dern"]},
        {"by": [{"name": "Lynch", "worked_with": ["Dern"]}]},
        None,
    ]


def test_what_is_said_already_stays() -> None:
    maker = {"name": "Acme", "owned_by": "Globex"}
    bare = pa.table({"item_id": ITEMS, "relations": [json.dumps({"maker": maker}), None, None]})
    rows = [("Acme", "owned_by", "Initech"), ("Initech", "part_of", "Hooli"), ("zz", "of", "i1")]
    (first, *_) = with_triples(bare, table(rows))["relations"].to_pylist()
    owners = ["Globex", {"name": "Initech", "part_of": ["Hooli"]}]
    assert json.loads(first) == {"maker": [{"name": "Acme", "owned_by": owners}]}


def test_brands_and_categories_are_told_of_too() -> None:
    bare = pa.table(
        {
            "item_id": ITEMS,
            "brand": ["Acme", "Zed", "Acme"],
            "categories": [["Techno"], None, ["Electronic", "Techno"]],
        }
    )
    rows = [("Acme", "owned_by", "Globex"), ("Zed", "owned_by", "Globex")]
    rows += [("Techno", "part_of", "Electronic"), ("Electronic", "part_of", "Music")]
    found = with_triples(bare, table(rows))
    told = [json.loads(one) for one in found["relations"].to_pylist()]
    assert told[1] == {"brand": [{"name": "Zed", "owned_by": ["Globex"]}]}
    assert told[0] == {
        "brand": [{"name": "Acme", "owned_by": ["Globex"]}],
        "category": [{"name": "Techno", "part_of": ["Electronic"]}],
    }
    assert told[2] == {"category": [{"name": "Electronic", "part_of": ["Music"]}]}
    data = Dataset.of(["u"] * 3, ITEMS, catalogue=found)
    graph = knowledge(data.item_table, data.items)
    nodes = graph.nodes.array.to_pylist()
    linked = {
        tuple(sorted((nodes[one], nodes[other])))
        for one, other in np.argwhere(graph.links.toarray())
    }
    assert linked == {
        ("b:Acme", "b:Globex"),
        ("b:Globex", "b:Zed"),
        ("c:Electronic", "c:Techno"),
        ("c:Electronic", "c:Music"),
    }
    model = Related(people=0.0, hop=0.5).fit(data)
    path = model.path(*data.items.rows(["i0", "i1"]).tolist())
    steps = [(hop.relation, hop.name) for hop in path[:-1]]
    assert steps == [("brand", "Acme"), ("owned_by", "Globex"), ("owned_by", "Zed")]
