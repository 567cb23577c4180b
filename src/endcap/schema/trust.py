"""How far an event is to be believed: what a browser says it bought is a claim."""

import json
from typing import Final

CLAIMED: Final = "claimed purchase"
"""Stands for the kind of a purchase that is only claimed, where weights are looked up."""
FIELD: Final = "endcap_trust"
MARK: Final = f'"{FIELD}":"claimed"'
"""As it stands in an event's properties; no text of a client can hold it unescaped."""
PROVABLE: Final = frozenset({"purchase"})
"""Kinds that a shop's own server knows of: under a public key they are claims."""


def claim(properties: str | None) -> str:
    """Return properties (a JSON object, as text) that say that the event is a claim."""
    told = json.loads(properties) if properties else {}
    told[FIELD] = "claimed"
    return json.dumps(told, ensure_ascii=False, separators=(",", ":"))


def is_claimed(properties: str | None) -> bool:
    """Return whether an event with these properties is a claim."""
    return properties is not None and MARK in properties
