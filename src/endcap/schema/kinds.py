"""The kinds of event, what each says about taste, and which end a need."""

from typing import Final, NamedTuple

IMPRESSION: Final = "impression"
"""What was shown: it says nothing of what a shopper did, and there are ten for each request."""


class Kind(NamedTuple):
    """One kind of event.

    Attributes
    ----------
    weight
        Strength of preference in one event; 0 carries none (an impression), negative is dislike.
    needs_item, needs_value
        Which fields an event of this kind cannot do without.
    """

    weight: float
    needs_item: bool = True
    needs_value: bool = False


KINDS: Final[dict[str, Kind]] = {
    "view": Kind(1.0),
    "click": Kind(1.5),
    "search": Kind(0.0, needs_item=False),
    "cart": Kind(3.0),
    "uncart": Kind(-1.0),
    "wish": Kind(2.0),
    "purchase": Kind(5.0),
    "refund": Kind(-5.0),
    "rating": Kind(1.0, needs_value=True),
    "play": Kind(2.0),
    "complete": Kind(3.0),
    IMPRESSION: Kind(0.0),
    "dismiss": Kind(-2.0),
}
"""Built-in kinds; settings can change the weights and add kinds."""

PREFERENCE_KINDS: Final[tuple[str, ...]] = tuple(k for k, v in KINDS.items() if v.weight > 0)
"""Kinds whose events are interactions: they carry a positive preference."""
