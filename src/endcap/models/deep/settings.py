"""Settings of the models that learn by gradient descent over histories."""

import pydantic

from endcap.models.base import Spec


class DeepSpec(Spec):
    """What a network over histories reads of items, and how it learns.

    Stability: implementer.
    """

    width: int = pydantic.Field(default=64, ge=4)
    """Dimensions of every vector."""
    max_events: int = pydantic.Field(default=50, ge=1)
    """Events of a history that are read, the newest."""
    tied: bool = True
    """Whether an item has the same vector as an input and as an answer."""
    text_dimensions: int = pydantic.Field(default=128, ge=0)
    """Directions of the items' words that are read; 0 reads none."""
    category: bool = True
    brand: bool = True
    price: bool = True
    dropout: float = pydantic.Field(default=0.4, ge=0, lt=1)
    forget: float = pydantic.Field(default=0.1, ge=0, lt=1)
    """Share of items known by their content alone in a step, so that it learns to stand alone."""
    epochs: int = pydantic.Field(default=40, ge=1)
    """At most so many; fewer when the held-out events are foreseen no better."""
    train_minutes: float = pydantic.Field(default=15.0, gt=0)
    """Training steps end after so long; where this ends it, models differ from run to run."""
    patience: int = pydantic.Field(default=3, ge=1)
    """Epochs without gain after which training ends."""
    held_out: int = pydantic.Field(default=1_000, ge=0)
    """Histories whose last event tells when to stop, 5 % of all at most; 0 trains to the end."""
    batch_events: int = pydantic.Field(default=1_200, ge=1)
    """Events foreseen in a step."""
    learning_rate: float = pydantic.Field(default=2e-3, gt=0)
    full_softmax_items: int = pydantic.Field(default=2_000, ge=0)
    """Up to so many items the softmax is exact; above, rivals are drawn."""
    negatives: int = pydantic.Field(default=2_048, ge=1)
    """Rivals drawn for a step, shared by all its events."""

    @property
    def label_kinds(self) -> tuple[str, ...]:
        """Which labels of the catalogue are read."""
        asked = {"category": self.category, "brand": self.brand, "price": self.price}
        return tuple(name for name, wanted in asked.items() if wanted)


class SequenceSpec(DeepSpec):
    """What a network of self-attention is beside.

    Stability: implementer.
    """

    layers: int = pydantic.Field(default=1, ge=1, le=8)
    heads: int = pydantic.Field(default=2, ge=1)
    """A divisor of `width`."""
    event_kind: bool = True
    """Read the kind of each event, where there are several."""
    time_gap: bool = True
    """Read the time since the event before, where the data has a clock."""

    @pydantic.model_validator(mode="after")
    def _divisible(self) -> "SequenceSpec":
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is no multiple of heads {self.heads}")
        return self
