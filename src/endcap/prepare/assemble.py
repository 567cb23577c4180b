"""Last step: k-core, sessions, weights and vocabularies make clean rows a `Dataset`."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from endcap.prepare.columns import INTERACTIONS, align, conform
from endcap.prepare.dataset import Dataset
from endcap.prepare.report import PrepareReport, Shapes, Step
from endcap.prepare.stages import Clean
from endcap.prepare.vocabulary import Vocabulary
from endcap.prepare.walks import k_core, sessions
from endcap.prepare.weights import weigh
from endcap.schema.settings import PrepareSettings
from endcap.schema.tables import ITEMS, TIME, USERS


def assemble(
    clean: Clean,
    items: pa.Table | None,
    users: pa.Table | None,
    settings: PrepareSettings,
    table: Mapping[str, float],
) -> tuple[Dataset, PrepareReport]:
    """Build the data set and close the account."""
    rows, steps = _core(clean.rows, settings)
    actors, goods = rows["actor"].to_numpy(), rows["item"].to_numpy()
    catalogue, people = conform(items, ITEMS), conform(users, USERS)
    user_words, user_rows = _number(clean.actors, actors, people["user_id"])
    item_words, item_rows = _number(clean.items, goods, catalogue["item_id"])
    times = rows["time"].to_numpy()
    kinds = pa.DictionaryArray.from_arrays(_flat(rows["kind"]), pa.array(clean.kinds, pa.string()))
    visit = sessions(
        actors, times, rows["basket"].to_numpy(), rows["visit"].to_numpy(),
        settings.session_gap_minutes,
    )  # fmt: skip
    interactions = pa.table(
        {
            "user": user_rows,
            "item": item_rows,
            "time": pa.array(times).cast(TIME),
            "kind": kinds,
            "weight": weigh(kinds, times, times.max(initial=0), settings.half_life_days, table),
            "value": rows["value"],
            "session": visit,
        }
    ).cast(INTERACTIONS)
    dataset = Dataset(
        interactions,
        user_words,
        item_words,
        align(catalogue, "item_id", item_words),
        align(people, "user_id", user_words),
    )
    shapes = _shapes(clean.daily, clean.kinds, user_rows, item_rows, visit)
    return dataset, PrepareReport(
        rows_in=clean.rows_in,
        rows_out=len(visit),
        users=int(np.count_nonzero(shapes.user_activity)),
        items=int(np.count_nonzero(shapes.item_popularity)),
        catalogue=catalogue.num_rows,
        sessions=len(shapes.basket_sizes),
        fingerprint=dataset.fingerprint,
        steps=(*clean.steps, *steps),
        shapes=shapes,
    )


def _core(rows: pa.Table, settings: PrepareSettings) -> tuple[pa.Table, list[Step]]:
    if settings.user_core == settings.item_core == 1:
        return rows, []
    actors, items = rows["actor"].to_numpy(), rows["item"].to_numpy()
    inside = k_core(actors, items, settings.user_core, settings.item_core)
    notes = {
        "users": _distinct(actors) - _distinct(actors[inside]),
        "items": _distinct(items) - _distinct(items[inside]),
    }
    why = f"fewer than {settings.user_core} items or {settings.item_core} users"
    kept = rows.filter(pa.array(inside))
    return kept, [Step("k-core", why, rows.num_rows - kept.num_rows, notes)]


def _flat(column: pa.ChunkedArray) -> pa.Array:
    return pa.concat_arrays(column.chunks or [pa.array([], column.type)])


def _distinct(codes: npt.NDArray[np.int32]) -> int:
    return int(np.count_nonzero(np.bincount(codes)))


def _number(
    ids: pa.Array, codes: npt.NDArray[np.int32], known: pa.ChunkedArray
) -> tuple[Vocabulary, npt.NDArray[np.int32]]:
    """Return the vocabulary of the ids in use and those known, and the row of each code."""
    used = np.flatnonzero(np.bincount(codes, minlength=len(ids)))
    words = Vocabulary(pa.chunked_array([ids.take(pa.array(used)), *known.chunks], pa.string()))
    row_of = np.full(len(ids), -1, np.int32)
    row_of[used] = words.rows(ids.take(pa.array(used)))
    return words, row_of[codes]


def _shapes(
    daily: pa.Table,
    names: tuple[str, ...],
    users: npt.NDArray[np.int32],
    items: npt.NDArray[np.int32],
    visits: npt.NDArray[np.int64],
) -> Shapes:
    daily = daily.filter(pc.is_valid(daily["day"]))
    days, place = np.unique(daily["day"].to_numpy(), return_inverse=True)
    kinds, counts = daily["kind"].to_numpy(), daily["events"].to_numpy()
    by_kind = {
        [*names, "(unknown)"][kind]: np.bincount(
            place[kinds == kind], counts[kinds == kind], minlength=len(days)
        ).astype(np.int64)
        for kind in np.unique(kinds)
    }
    return Shapes(days, by_kind, np.bincount(users), np.bincount(items), np.bincount(visits))
