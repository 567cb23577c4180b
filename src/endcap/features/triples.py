"""A file of triples put into the relations of a catalogue: what entities are tied to, and items."""

import json
from typing import Any

import pyarrow as pa

from endcap.features.knowledge import DEEPEST

Told = dict[str, dict[str, list[str]]]


def with_triples(items: pa.Table, triples: pa.Table) -> pa.Table:
    """Return a catalogue whose ``relations`` hold some triples as well.

    Those of an item stand at the item, those of an entity, a brand or a category at the first item
    that names it, or within what is tied to it; what no item leads to in three steps is left out.

    Parameters
    ----------
    items
        At least `item_id`; `relations` (JSON objects), `brand` and `categories` where there are.
    triples
        Columns ``head``, ``relation`` and ``tail``; a name that is the id of an item is that item.

    Examples
    --------
    >>> films = pa.table({"item_id": ["f-9"], "relations": ['{"director": "Lynch"}']})
    >>> triple = {"head": ["Lynch"], "relation": ["worked_with"], "tail": ["Dern"]}
    >>> with_triples(films, pa.table(triple))["relations"].to_pylist()
    ['{"director": [{"name": "Lynch", "worked_with": ["Dern"]}]}']
    """
    told: Told = {}
    columns = (triples[name].cast(pa.string()).to_pylist() for name in ("head", "relation", "tail"))
    for head, relation, tail in zip(*columns, strict=True):
        told.setdefault(head, {}).setdefault(relation, []).append(tail)
    ids = items["item_id"].to_pylist()
    there = "relations" in items.column_names
    texts = items["relations"].to_pylist() if there else [None] * len(ids)
    rows = [_own(text, told.get(item, {})) for item, text in zip(ids, texts, strict=True)]
    named = {_name(target) for row in rows for targets in row.values() for target in targets}
    said = set(ids)  # the items say theirs themselves
    for row in rows:
        for relation, targets in row.items():
            row[relation] = [_telling(target, told, named, said, 1) for target in targets]
    _tell_own(items, rows, told)
    column = pa.array([json.dumps(row, ensure_ascii=False) if row else None for row in rows])
    if there:
        at = items.schema.get_field_index("relations")
        return items.set_column(at, "relations", column.cast(pa.string()))
    return items.append_column("relations", column.cast(pa.string()))


def _tell_own(items: pa.Table, rows: list[dict[str, list[Any]]], told: Told) -> None:
    """Put what is told of brands and categories at the first item that has them."""
    for column, relation in (("brand", "brand"), ("categories", "category")):
        if column not in items.column_names:
            continue
        values = items[column].to_pylist()
        each = [one if isinstance(one, list) else [one] for one in values]
        named, said = {str(name) for names in each for name in names if name}, set[str]()
        for row, names in zip(rows, each, strict=True):
            new = [name for name in names if name in told and name not in said]
            if new:
                given = [_telling(name, told, named, said, 1) for name in new]
                row[relation] = [*row.get(relation, []), *given]


def _own(text: str | None, ties: dict[str, list[str]]) -> dict[str, list[Any]]:
    """Return the relations of an item with its triples, each target once."""
    row = {
        relation: list(targets) if isinstance(targets, list) else [targets]
        for relation, targets in (json.loads(text) if text else {}).items()
    }
    for relation, tails in ties.items():
        known = row.setdefault(relation, [])
        names = {_name(target) for target in known}
        known += [tail for tail in dict.fromkeys(tails) if tail not in names]
    return row


def _telling(target: Any, told: Told, named: set[str], said: set[str], depth: int) -> Any:
    """Return a target with what is told of it, where that was not said yet."""
    name = _name(target)
    if name not in told or name in said or depth > DEEPEST:
        return target
    said.add(name)
    own: dict[str, Any] = {"name": name} if not isinstance(target, dict) else dict(target)
    for relation, tails in told[name].items():
        given = own.get(relation, [])
        own[relation] = [*(given if isinstance(given, list) else [given])]
        own[relation] += [
            tail if tail in named else _telling(tail, told, named, said, depth + 1)
            for tail in dict.fromkeys(tails)
        ]
    return own


def _name(target: Any) -> str:
    return str(target.get("name") if isinstance(target, dict) else target)
