"""Categories, brands and other groups for a shopper: what their slate is made of, added up."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log2
from typing import Final

from endcap.features.catalogue import PATH_SEPARATOR
from endcap.recommend.filters.columns import Columns, TextColumn
from endcap.recommend.filters.kinds import split
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request, SlateItem
from endcap.recommend.state import State
from endcap.schema.errors import RequestError, nearest

DEPTH: Final = 200
SHOWN: Final = 4
"""Items named for each group."""


@dataclass(slots=True)
class Group:
    """One value of a field.

    Attributes
    ----------
    value
        A brand, a category path, the value of an attribute.
    share
        Of the shopper's attention that the group gets in a slate of `DEPTH` items.
    items
        Its best items, best first.
    """

    value: str
    share: float = 0.0
    items: list[SlateItem] = field(default_factory=list)


def groups(
    recommender: Recommender, request: Request, state: State, *, by: str, level: int = 0
) -> list[Group]:
    """Return the ``request.k`` groups that are most for a shopper, best first.

    Parameters
    ----------
    by
        A field of texts: ``brand``, ``categories``, ``attributes.colour``.
    level
        How many parts of a category path make a group; 0 takes whole paths.

    Raises
    ------
    RequestError
        When there is no such field (the nearest is named).
    """
    columns, name = state.columns, split(by)[1]
    column = columns.columns.get(name)
    if not isinstance(column, TextColumn):
        texts = [key for key, held in columns.columns.items() if isinstance(held, TextColumn)]
        raise RequestError(f"Items cannot be grouped by {by!r}.", hint=nearest(by, texts))
    deep = request.model_copy(update={"k": DEPTH})
    slate = recommender.recommend([deep], state)[0]
    found: dict[str, Group] = {}
    held = _values([item.item_id for item in slate.items], column, columns, level)
    for item, values in zip(slate.items, held, strict=True):
        for value in values:
            group = found.setdefault(value, Group(value))
            group.share += 1 / log2(item.rank + 1) / len(values)
            if len(group.items) < SHOWN:
                group.items.append(item)
    total = sum(group.share for group in found.values())
    for group in found.values():
        group.share /= total
    return sorted(found.values(), key=lambda group: (-group.share, group.value))[: request.k]


def _values(
    item_ids: Sequence[str], column: TextColumn, columns: Columns, level: int
) -> list[list[str]]:
    with columns.lock:
        codes = column.codes[columns.rows(item_ids)].tolist()
        texts = [column.texts[code] for code in codes]
    return [list(dict.fromkeys(_cut(text, level) for text in row)) for row in texts]


def _cut(path: str, level: int) -> str:
    parts = [part.strip() for part in path.split(PATH_SEPARATOR)]
    return f" {PATH_SEPARATOR} ".join(parts[: level or None])
