"""What a slate is to bring, as a merchandiser writes it: weights of outcomes and of money."""

from typing import Final, Self

import pydantic

from endcap.recommend.filters.columns import Columns, NumberColumn
from endcap.recommend.filters.kinds import ATTRIBUTES, ITEM_FIELDS
from endcap.schema.errors import ConfigError, nearest
from endcap.schema.strict import Strict

WEIGHTS: Final = ("click", "purchase", "revenue", "profit")
SHOWN: Final = 3


class Objective(Strict):
    """What an item is worth: a sum over outcomes, each weighed.

    ``click`` and ``purchase`` weigh the chance of one, ``revenue`` the chance of a purchase times
    the price, ``profit`` the chance times price - cost - expected returns. Where money is weighed
    as well, the weights of click and purchase are what one is worth in the shop's currency.
    With all weights 0 slates stay as they are, and only tell what they are expected to bring.

    Attributes
    ----------
    click, purchase, revenue, profit
        Weights.
    cost_share
        What an item costs, as a share of its price, where the catalogue gives no ``cost``.
    returns
        The attribute that says which share of an item's sales comes back, 0 to 1.
    return_rate
        That share, where an item does not say.
    return_loss
        What a return costs, as a share of the price: 1 where nothing of it is sold again.

    Stability: caller.
    """

    click: float = pydantic.Field(default=0.0, ge=0)
    purchase: float = pydantic.Field(default=0.0, ge=0)
    revenue: float = pydantic.Field(default=0.0, ge=0)
    profit: float = pydantic.Field(default=0.0, ge=0)
    cost_share: float = pydantic.Field(default=0.7, ge=0, le=1)
    returns: str = f"{ATTRIBUTES}return_rate"
    return_rate: float = pydantic.Field(default=0.0, ge=0, le=1)
    return_loss: float = pydantic.Field(default=1.0, ge=0)

    @pydantic.model_validator(mode="after")
    def _is_an_attribute(self) -> Self:
        if not self.returns.startswith(ATTRIBUTES):
            hint = f"Write {ATTRIBUTES}NAME; fields of the catalogue: {', '.join(ITEM_FIELDS)}."
            raise ConfigError(f"objective.returns = {self.returns!r} is no attribute.", hint=hint)
        return self

    @property
    def steers(self) -> bool:
        """Whether it orders slates."""
        return any(getattr(self, name) for name in WEIGHTS)

    def resting(self) -> Self:
        """Return the objective that only tells what it would reckon with."""
        return self.model_copy(update=dict.fromkeys(WEIGHTS, 0.0))

    @property
    def counts_money(self) -> bool:
        """Whether prices matter to it."""
        return bool(self.revenue or self.profit)

    @property
    def weights(self) -> dict[str, float]:
        """The weights that are not 0, by name."""
        told = {name: getattr(self, name) for name in WEIGHTS}
        return {name: weight for name, weight in told.items() if weight}

    def check(self, columns: Columns) -> None:
        """Refuse a catalogue whose return rates are no numbers from 0 to 1.

        Raises
        ------
        ConfigError
            Naming what the attribute is instead, or the nearest right one; that no item has the
            default attribute is no error: then `return_rate` holds for all.
        """
        column = columns.columns.get(self.returns)
        if column is None:
            if self.returns == type(self).model_fields["returns"].default:
                return
            known = [name for name in columns.columns if name.startswith(ATTRIBUTES)]
            hint = nearest(self.returns, known) if known else "No item has attributes."
            raise ConfigError(
                f"No item has {self.returns!r}, which objective.returns names.", hint=hint
            )
        if not isinstance(column, NumberColumn):
            texts = [text for text in column.common(SHOWN) if text]
            raise ConfigError(
                f"objective.returns: {self.returns!r} holds {columns.kinds[self.returns]} "
                f"({', '.join(map(repr, texts))}), not numbers.",
                hint="Write the share that comes back as a number from 0 to 1.",
            )
        with columns.lock:
            wrong = [value for value in column.values.tolist() if value < 0 or value > 1]
        if wrong:
            raise ConfigError(
                f"objective.returns: {self.returns!r} is {wrong[0]:g} for an item, and for "
                f"{len(wrong) - 1} more beyond 0 to 1.",
                hint="Write 5 % as 0.05.",
            )
