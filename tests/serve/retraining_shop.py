"""A shop for the worker's tests: an open store, events by the dozen, and trainings."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from endcap.events.opening import open_store
from endcap.events.store import Store
from endcap.recommend.artefacts import Artefact
from endcap.recommend.recipe import load_recipe
from endcap.recommend.training import train_store
from endcap.schema.settings import Settings
from endcap.testing.contracts.sample_rows import event, events

NOW = datetime.now(UTC)
QUICK = {"recipe": "simple", "nice": 0}
"""Nothing is searched, and a busy machine does not make a test wait."""


def settings(folder: Path, **worker: Any) -> Settings:
    return Settings.parse({"store": {"folder": folder}, "worker": {**QUICK, **worker}})


@contextmanager
def shop(folder: Path) -> Iterator[Store]:
    store = open_store(settings(folder).store)
    try:
        yield store
    finally:
        store.close()


def shopping(first: int, last: int, *, items: int = 12, prefix: str = "i") -> Any:
    """Return views with numbers `first` to `last`, of ten shoppers, one a minute until now."""
    return events(
        *(
            event(
                n,
                event_id=f"{prefix}{n}",
                user_id=f"u{n % 10}",
                item_id=f"{prefix}{n * n % items}",
                time=NOW - timedelta(minutes=10_000 - n),
                received=NOW,
            )
            for n in range(first, last)
        )
    )


def learn(store: Store, folder: Path) -> Artefact:
    return train_store(store, load_recipe("simple"), settings(folder))
