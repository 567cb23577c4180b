"""Validate what comes in, with stable reason codes: one rule set for files and for HTTP."""

from endcap.events.validate.catalogue import CheckedItems, CheckedUsers, check_items, check_users
from endcap.events.validate.events import Checked, RowError, check
from endcap.events.validate.faults import REASONS, Fault
from endcap.events.validate.quarantine import Broken, quarantine_table

__all__ = [
    "REASONS",
    "Broken",
    "Checked",
    "CheckedItems",
    "CheckedUsers",
    "Fault",
    "RowError",
    "check",
    "check_items",
    "check_users",
    "quarantine_table",
]
