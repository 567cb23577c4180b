"""What an expression may ask about besides the item: the shopper, the page, the moment."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Self

from endcap.recommend.filters.columns import Columns, Rows
from endcap.recommend.state import CARTING, PURCHASE, History

DID: Final[dict[str, tuple[str, ...]]] = {
    "user.bought": (PURCHASE,),
    "user.viewed": ("view", "click"),
    "user.wished": ("wish",),
    "user.dismissed": ("dismiss",),
}


@dataclass(frozen=True, slots=True)
class World:
    """The shopper, the page and the moment.

    Attributes
    ----------
    scopes
        Of `kinds.SCOPES` -> rows of the catalogue; a missing one is empty.
    now
        UTC microseconds.
    here
        Of `kinds.HERE` -> degrees; a missing one is unknown.
    """

    scopes: Mapping[str, Rows] = field(default_factory=dict)
    now: int = 0
    here: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        columns: Columns,
        history: History,
        context: Sequence[str],
        now: int,
        here: Mapping[str, float] | None = None,
    ) -> Self:
        """Look up what a shopper did, and the items that the page is about."""
        events = list(zip(history.item_ids, history.kinds, strict=True))
        scopes = {
            scope: columns.rows(dict.fromkeys(i for i, kind in events if kind in kinds))
            for scope, kinds in DID.items()
        }
        last = {item_id: kind for item_id, kind in events if kind in CARTING}
        scopes["user.cart"] = columns.rows(i for i, kind in last.items() if kind == "cart")
        scopes["context"] = columns.rows(context)
        return cls(scopes, now, here or {})
