"""One thread that commits whatever has queued up since its last commit, all at once.

An fsync costs milliseconds and is the same for one row or a thousand. While one is under way,
the next group gathers by itself: nobody waits for a timer, and the busier it gets the larger
the groups become (see docs/decisions/0003-sqlite-group-commit.md).
"""

import threading
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from endcap.events.sql import counters
from endcap.events.store import Receipt
from endcap.schema.errors import BusyError, StoreError

GROUP_ROWS: Final = 10_000
"""Rows after which a group is closed, so that one commit does not hold up everybody."""


Work = Callable[[Any], Any]
"""What is done inside the transaction, given the session."""


@dataclass(frozen=True, slots=True)
class Apart:
    """Work that has nothing to do with what else a transaction does, as keeping what was answered.

    It may come first, before a writer takes the lock under which all others wait: of who is cut off
    while sending, a server awaits the rest.
    """

    work: Work

    def __call__(self, session: Any) -> Any:
        """Do it."""
        return self.work(session)


class Writer(ABC):
    """The one connection that writes: groups of work, each group one durable transaction.

    Attributes
    ----------
    place
        Where, for messages.
    failure
        Why it takes no writes any more; empty when it does.
    """

    place: str
    failure: str = ""
    tally: Receipt = Receipt()
    """What became of the rows of the current transaction, so far."""

    def commit(self, works: Sequence[Work]) -> list[Any]:
        """Run `works` in one transaction; return the result of each, or what became of it.

        A fault of one work alone (a value no column takes) goes to whoever waits for it, and never
        takes the others with it.
        """
        try:
            return self.transact(works)
        except StoreError as error:
            return [error] * len(works)
        except Exception as error:
            if len(works) == 1:
                return [self.explained(error)]
            return [outcome for work in works for outcome in self.commit([work])]

    @abstractmethod
    def transact(self, works: Sequence[Work]) -> list[Any]:
        """Return the results of `works`, once they are on disk; all of them or none.

        Raises
        ------
        StoreError
            When the fault is nobody's in particular.
        """

    @abstractmethod
    def explained(self, error: Exception) -> Exception:
        """Return a fault of one work as an error of ours, where it came from the database."""

    def run(self, session: Any, works: Sequence[Work]) -> list[Any]:
        """Run `works` inside the current transaction and add to the totals what they counted."""
        self.tally = Receipt()
        outcomes = self.do(session, works)
        if self.tally.received:
            counters.add(session, self.tally)
        return outcomes

    def do(self, session: Any, works: Sequence[Work]) -> list[Any]:
        """Run `works`, in their order."""
        return [work(session) for work in works]

    def tidy(self) -> None:  # noqa: B027 - most databases look after themselves
        """Look after the database between two groups."""

    @abstractmethod
    def close(self) -> None:
        """Close the connection."""


@dataclass(frozen=True, slots=True)
class Job:
    """Work that somebody waits for.

    Attributes
    ----------
    work
        Runs inside the transaction, on the committing thread.
    size
        Rows it brings, for the bound of the queue.
    future
        Resolved after COMMIT returned.
    """

    work: Work
    size: int
    future: Future[Any]


class Committer:
    """A bounded queue in front of a `Writer`.

    Parameters
    ----------
    writer
        Used by the committing thread alone from now on.
    limit
        Rows that may wait. A job larger than this is taken when nothing else waits.
    """

    def __init__(self, writer: Writer, *, limit: int) -> None:
        self._writer = writer
        self._limit = limit
        self._jobs: deque[Job] = deque()
        self._waiting = 0
        self._rate = 10_000.0
        self._closing = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._run, name="endcap-committer", daemon=True)
        self._thread.start()

    def submit(self, work: Work, size: int = 1) -> Future[Any]:
        """Queue `work`; the future resolves to its result once that is on disk.

        Raises
        ------
        BusyError
            At once, when `limit` rows are waiting.
        StoreError
            After `close`.
        """
        job = Job(work, max(size, 1), Future())
        with self._changed:
            if self._closing:
                raise StoreError(f"{self._writer.place} is closed.")
            if self._waiting and self._waiting + job.size > self._limit:
                raise BusyError(
                    f"{self._waiting} rows are waiting to be stored (limit {self._limit}).",
                    hint="Nothing of this batch was stored; send it again later.",
                    retry_after=min(max(self._waiting / self._rate, 0.1), 60.0),
                )
            self._jobs.append(job)
            self._waiting += job.size
            self._changed.notify()
        return job.future

    def count(self, receipt: Receipt) -> None:
        """Add to the totals, in the transaction of the work that calls this."""
        self._writer.tally += receipt

    def close(self) -> None:
        """Commit what is queued and end the thread; the writer is left open."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while group := self._next_group():
            started = time.monotonic()
            self._settle(group)
            self._learn_rate(sum(j.size for j in group), time.monotonic() - started)
            self._writer.tidy()

    def _next_group(self) -> list[Job]:
        """Wait for jobs; return none when closing and the queue is empty."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closing)
            group: list[Job] = []
            rows = 0
            while self._jobs and (not group or rows + self._jobs[0].size <= GROUP_ROWS):
                group.append(self._jobs.popleft())
                rows += group[-1].size
            return group

    def _settle(self, group: list[Job]) -> None:
        """Commit a group, make room in the queue, then tell everybody."""
        live = [job for job in group if job.future.set_running_or_notify_cancel()]
        outcomes = self._writer.commit([job.work for job in live]) if live else []
        with self._changed:
            self._waiting -= sum(job.size for job in group)
        for job, outcome in zip(live, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                job.future.set_exception(outcome)
            else:
                job.future.set_result(outcome)

    def _learn_rate(self, rows: int, seconds: float) -> None:
        self._rate += 0.2 * (rows / max(seconds, 1e-6) - self._rate)
