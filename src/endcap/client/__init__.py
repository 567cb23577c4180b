"""A typed client of a running Endcap: ``pip install 'endcap[client]'``."""

from endcap.client.answers import Fault, HistoryEvent, Reason, Receipt, Refused, Slate, SlateItem
from endcap.client.client import Client

__all__ = [
    "Client",
    "Fault",
    "HistoryEvent",
    "Reason",
    "Receipt",
    "Refused",
    "Slate",
    "SlateItem",
]
