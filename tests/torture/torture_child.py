"""A client that stores events and writes down, elsewhere, what was acknowledged.

Run as a program in a process that will be killed, starved or lied to. Each line of its journal
is a word and ids: ``ack`` (stored, said the store), ``fail`` (refused, and why).
"""

import argparse
import os
import threading
import uuid
from pathlib import Path

import pyarrow as pa

from endcap.events.postgres import PostgresStore
from endcap.events.sql.store import SQLStore
from endcap.events.sqlite import SQLiteStore
from endcap.schema.errors import StoreError, StoreReadOnlyError
from endcap.schema.settings import StoreSettings
from endcap.testing.contracts.sample_rows import event, events


class Journal:
    """Lines in a file that another process reads; each is one write, so it is whole or absent."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def write(self, *words: str) -> None:
        os.write(self._handle, (" ".join(words) + "\n").encode())


def batch(client: str, number: int, size: int) -> pa.Table:
    """Return a batch of which each third row repeats one of the batch before."""
    first = number * size
    numbers = [max(first + i - size if i % 3 == 0 else first + i, 0) for i in range(size)]
    return events(*(event(n, event_id=f"{client}-{n}") for n in numbers))


def work(store: SQLStore, journal: Journal, args: argparse.Namespace, client: str) -> None:
    """Send batches one after the other until told to stop, or until the store gives up."""
    for number in range(args.batches):
        table = batch(client, number, args.size)
        ids = table["event_id"].to_pylist()
        try:
            if args.ack == "early":
                store.log.submit(table)
            else:
                store.log.append(table)
            journal.write("ack", *ids)
        except StoreError as error:
            journal.write("fail", type(error).__name__, *ids)
            if isinstance(error, StoreReadOnlyError) and number + 1 < args.batches:
                work_after_failure(store, journal, client)
                return


def work_after_failure(store: SQLStore, journal: Journal, client: str) -> None:
    """Try again a few times, as an impatient client would."""
    journal.write("healthy", str(store.healthy()[0]))
    for number in range(5):
        try:
            store.log.append(batch(f"{client}-late", number, 3))
            journal.write("ack", "late")
        except StoreError as error:
            journal.write("fail", type(error).__name__)


def opened(place: str, durability: str, queue: int) -> SQLStore:
    """Open the store, durable or not."""
    if place.startswith("postgresql"):
        waits = "on" if durability == "full" else "off"
        return PostgresStore(StoreSettings(url=place, queue_events=queue), durability=waits)
    settings = StoreSettings(folder=Path(place), queue_events=queue)
    return SQLiteStore(settings, durability=durability)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("place", help="a folder, or the URL of a PostgreSQL database")
    parser.add_argument("journal", type=Path)
    parser.add_argument("--durability", default="full")
    parser.add_argument("--ack", default="after", choices=("after", "early"))
    parser.add_argument("--clients", type=int, default=8)
    parser.add_argument("--size", type=int, default=5)
    parser.add_argument("--batches", type=int, default=1_000_000)
    args = parser.parse_args()
    journal = Journal(args.journal)
    # Early acknowledgements pile up: the twin gets a queue that never pushes back.
    store = opened(args.place, args.durability, 50_000 if args.ack == "after" else 10**9)
    journal.write("ready")
    run = uuid.uuid4().hex[:8]
    threads = [
        threading.Thread(target=work, args=(store, journal, args, f"{run}-{n}"))
        for n in range(args.clients)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    store.close()


if __name__ == "__main__":
    main()
