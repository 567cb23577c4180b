"""The way from events to a `Dataset`: every step in order, each with its account."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import pyarrow as pa

from endcap.events.store import Store
from endcap.prepare.assemble import assemble
from endcap.prepare.dataset import Dataset
from endcap.prepare.engine import Source, engine
from endcap.prepare.report import PrepareReport
from endcap.prepare.stages import Cleaner
from endcap.prepare.weights import kind_weights
from endcap.schema.progress import Progress, silent
from endcap.schema.settings import PrepareSettings, Settings
from endcap.schema.trust import CLAIMED


@dataclass(frozen=True, slots=True)
class Prepared:
    """A data set and the account of how it came about.

    Stability: caller.
    """

    dataset: Dataset
    report: PrepareReport


def prepare(
    events: Source,
    *,
    items: pa.Table | None = None,
    users: pa.Table | None = None,
    aliases: Mapping[str, str] | None = None,
    settings: PrepareSettings | None = None,
    kinds: Mapping[str, float] | None = None,
    now: datetime | None = None,
    progress: Progress = silent,
) -> Prepared:
    """Clean, merge, weigh and number events.

    The same events in another order give the same data set, and a data set that goes through
    once more loses nothing.

    Parameters
    ----------
    events
        Some columns of `schema.tables.EVENTS` (`item_id` and `user_id` or `visitor_id` at least):
        a table, batches that are read once, or the path of a Parquet file.
    items, users
        Some columns of `schema.tables.ITEMS` and `USERS`.
    aliases
        visitor_id -> user_id.
    settings
        Default: `PrepareSettings()`.
    kinds
        Weights that differ from `schema.kinds.KINDS`.
    now
        An aware datetime, to tell impossible futures; default: the system's clock. Weights are
        taken at the last event that is kept, so they do not depend on it.
    progress
        Told after each step.

    Raises
    ------
    DataError
        When a column that is needed is missing, or the file cannot be read.
    """
    settings = settings or PrepareSettings()
    table = kind_weights(kinds)
    table[CLAIMED] = settings.claimed_weight * table["purchase"]
    with engine(settings) as run:
        cleaner = Cleaner(run, settings, table, progress)
        clean = cleaner.clean(events, items, aliases or {}, now or datetime.now(UTC))
    return Prepared(*assemble(clean, items, users, settings, table))


def prepare_store(
    store: Store,
    settings: Settings,
    now: datetime | None = None,
    progress: Progress = silent,
) -> Prepared:
    """Prepare all that a store holds."""
    return prepare(
        store.log.scan(),
        items=store.catalogue.items(),
        users=store.catalogue.users(),
        aliases=store.aliases(),
        settings=settings.prepare,
        kinds=settings.events.kinds,
        now=now,
        progress=progress,
    )
