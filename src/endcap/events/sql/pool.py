"""Connections for reading, lent to one thread at a time and kept for the next."""

import queue
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Generic, Protocol, TypeVar

from endcap.schema.errors import StoreError


class Closable(Protocol):
    """A connection."""

    def close(self) -> None:
        """End it."""


C = TypeVar("C", bound=Closable)


class Pool(Generic[C]):
    """As many connections as there are readers at once.

    Parameters
    ----------
    place
        What is read, for messages.
    connect
        Opens a connection.
    alive
        Whether one that lay idle can still be used.
    error
        What the driver raises.
    """

    def __init__(
        self,
        place: str,
        connect: Callable[[], C],
        *,
        alive: Callable[[C], bool] = lambda _: True,
        error: type[Exception],
    ) -> None:
        self._place = place
        self._connect = connect
        self._alive = alive
        self._error = error
        self._idle: queue.LifoQueue[C] = queue.LifoQueue()
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[C]:
        """Lend a connection; one that failed, or was left in the middle of something, is closed.

        Raises
        ------
        StoreError
            When reading fails, or the store is closed.
        """
        if self._closed:
            raise StoreError(f"{self._place} is closed.")
        connection = self._take()
        try:
            yield connection
        except self._error as error:
            connection.close()
            raise StoreError(f"Reading {self._place} failed: {error}.") from error
        except BaseException:
            connection.close()
            raise
        self._give_back(connection)

    def close(self) -> None:
        """Close what is idle now, and what is lent once it comes back."""
        self._closed = True
        while True:
            try:
                self._idle.get_nowait().close()
            except queue.Empty:
                return

    def _give_back(self, connection: C) -> None:
        self._idle.put(connection)
        if self._closed:
            self.close()

    def _take(self) -> C:
        while True:
            try:
                connection = self._idle.get_nowait()
            except queue.Empty:
                return self._connect()
            if self._alive(connection):
                return connection
            connection.close()
