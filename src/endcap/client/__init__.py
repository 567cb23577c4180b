"""A typed client of a running Endcap: ``pip install 'endcap[client]'``."""

from endcap.client.answers import (
    Fault,
    Group,
    HistoryEvent,
    Member,
    Place,
    Reason,
    Receipt,
    Refused,
    Rule,
    Slate,
    SlateItem,
)
from endcap.client.asks import Ask, Event
from endcap.client.client import Client

__all__ = [
    "Ask",
    "Client",
    "Event",
    "Fault",
    "Group",
    "HistoryEvent",
    "Member",
    "Place",
    "Reason",
    "Receipt",
    "Refused",
    "Rule",
    "Slate",
    "SlateItem",
]
