"""Single events that arrive in the same moment, taken in as one batch.

Sixty servers that post an event each would have Arrow, the committing thread and the other workers
do sixty times what a batch asks of them once. So what has been read by the time the event loop
comes round is validated, stored and followed together. Nobody waits for company.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import pyarrow as pa

from endcap.events.store import Receipt, receipt_of
from endcap.events.validate import RowError
from endcap.schema.errors import StoreError
from endcap.serve.claims import claimed
from endcap.serve.collect import durable, follow
from endcap.serve.intake import EVENT_ROWS, Context, take_read

if TYPE_CHECKING:
    from endcap.serve.runtime import Runtime

SOURCE: Final = "POST /v1/events"
Admit = Callable[[str | None, str | None], object]
"""Given user and visitor of an event, raises what its sender is told instead."""


class Outcome(NamedTuple):
    """What became of one event."""

    receipt: Receipt
    errors: list[RowError]


@dataclass(slots=True)
class _Post:
    row: Mapping[str, Any]
    piece: bytes
    admit: Admit
    told: "asyncio.Future[Outcome]"

    def tell(self, outcome: Outcome) -> None:
        if not self.told.done():
            self.told.set_result(outcome)

    def fail(self, error: Exception) -> None:
        if not self.told.done():
            self.told.set_exception(error)


class Together:
    """Takes single events of one event loop.

    Parameters
    ----------
    runtime
        Where they go.
    claims
        Whether they come from browsers, so that what they say was bought is a claim.
    """

    def __init__(self, runtime: "Runtime", *, claims: bool) -> None:
        self._runtime = runtime
        self._claims = claims
        self._posts: list[_Post] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, row: Mapping[str, Any], piece: bytes, admit: Admit) -> Outcome:
        """Return what became of an event, once it is on disk and live.

        Parameters
        ----------
        row, piece
            The event, not validated, and the bytes that it was read from. Two events that say the
            same in the same moment are one: an event without an `event_id` goes another way.
        admit
            Asked after validation, before anything is stored.

        Raises
        ------
        StoreError
            It was not stored, and the live state has not changed.
        """
        loop = asyncio.get_running_loop()
        post = _Post(row, piece, admit, loop.create_future())
        if not self._posts:
            loop.call_soon(self._begin, loop)
        self._posts.append(post)
        return await post.told

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        posts, self._posts = self._posts, []
        task = loop.create_task(self._settle(posts))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _settle(self, posts: Sequence[_Post]) -> None:
        try:
            await self._take(posts)
        except Exception as error:  # whoever waits must hear of it
            for post in posts:
                post.fail(error)

    async def _take(self, posts: Sequence[_Post]) -> None:
        runtime = self._runtime
        context = Context(runtime.live.now, SOURCE, runtime.settings.events)
        intake = take_read(EVENT_ROWS, [(post.row, post.piece) for post in posts], context)
        wrong = {error.index: error for error in intake.errors}
        good = [post for index, post in enumerate(posts) if index not in wrong]
        bad = [(posts[index], replace(error, index=0)) for index, error in wrong.items()]
        await asyncio.gather(
            self._store(*self._admitted(good, intake.rows)), self._keep(bad, intake.quarantine)
        )

    def _admitted(self, posts: list[_Post], rows: pa.Table) -> tuple[list[_Post], pa.Table]:
        """Return the posts that may be stored, and their rows; the others have been told."""
        if self._claims:
            rows = claimed(rows)
        kept = []
        who = zip(rows["user_id"].to_pylist(), rows["visitor_id"].to_pylist(), strict=True)
        for index, (post, (user, visitor)) in enumerate(zip(posts, who, strict=True)):
            try:
                post.admit(user, visitor)
            except Exception as error:
                post.fail(error)
            else:
                kept.append(index)
        if len(kept) == len(posts):
            return posts, rows
        return [posts[index] for index in kept], rows.take(pa.array(kept, pa.int64()))

    async def _store(self, posts: Sequence[_Post], rows: pa.Table) -> None:
        if not posts:
            return
        runtime = self._runtime
        try:
            new = await durable(runtime, rows, runtime.store.log.submit_each(rows))
        except StoreError as error:
            self._refuse(posts, error)
        except Exception as error:  # the fault of one, perhaps: each by itself, then
            if len(posts) == 1:
                self._refuse(posts, error)
            else:
                for index, post in enumerate(posts):
                    await self._store([post], rows.slice(index, 1))
        else:
            runtime.metrics.count(receipt_of(new))
            await self._follow(rows, new)
            for post, fresh in zip(posts, new, strict=True):
                post.tell(Outcome(receipt_of([fresh]), []))

    async def _follow(self, rows: pa.Table, new: list[bool]) -> None:
        if all(new):
            await follow(self._runtime, rows, receipt_of(new))
            return
        for fresh in (True, False):
            mask = [is_new is fresh for is_new in new]
            if any(mask):
                await follow(self._runtime, rows.filter(mask), receipt_of([fresh] * sum(mask)))

    async def _keep(self, bad: Sequence[tuple[_Post, RowError]], rows: pa.Table) -> None:
        if not bad:
            return
        try:
            await self._runtime.write(self._runtime.store.quarantine.put, rows)
        except StoreError as error:
            self._refuse([post for post, _ in bad], error)
            return
        self._runtime.metrics.count(Receipt(received=len(bad), quarantined=len(bad)))
        for post, why in bad:
            post.tell(Outcome(Receipt(received=1, quarantined=1), [why]))

    def _refuse(self, posts: Sequence[_Post], error: Exception) -> None:
        self._runtime.metrics.count(Receipt(received=len(posts), rejected=len(posts)))
        for post in posts:
            post.fail(error)
