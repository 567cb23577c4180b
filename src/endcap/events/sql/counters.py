"""What became of all rows ever received, kept in the transactions that stored them."""

import threading
from dataclasses import fields
from operator import attrgetter
from typing import TYPE_CHECKING, Final

from endcap.events.store import Receipt

if TYPE_CHECKING:
    from endcap.events.sql.backend import Session

NAMES: Final = tuple(field.name for field in fields(Receipt))
_values: Final = attrgetter(*NAMES)
_ADD: Final = f"UPDATE counters SET {', '.join(f'{n} = {n} + ?' for n in NAMES)}"
_READ: Final = f"SELECT {', '.join(NAMES)} FROM counters"


def add(session: "Session", receipt: Receipt) -> None:
    """Add a receipt to the totals, inside the current transaction."""
    session.execute(_ADD, _values(receipt))


def read(session: "Session") -> Receipt:
    """Return the totals."""
    return Receipt(*session.execute(_READ).fetchone())


class Rejected:
    """Rows refused by this process and not yet in the totals: a full disk takes no counts."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rows = 0

    def add(self, rows: int) -> None:
        """Count refused rows; called from any thread."""
        with self._lock:
            self._rows += rows

    @property
    def receipt(self) -> Receipt:
        """What was refused, as a receipt."""
        return Receipt(received=self._rows, rejected=self._rows)
