"""MovieLens 100K with its people and films, and the five official folds.

Fetched for research, never kept in the repository.
"""

import io
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from benchmarks.report import say
from endcap.prepare.dataset import Dataset
from endcap.schema.errors import DataError

PACKAGE = "recbole==1.2.1"
FOLDER = "recbole/dataset_example/ml-100k"
FILES = ("ml-100k.inter", "ml-100k.item", "ml-100k.user")
ROWS, FOLDS = 100_000, 5
BLOCK = ROWS // FOLDS
FIRST_TEST = (459, 1_410)
"""Users and items of the official u1.test."""


def ml_100k() -> tuple[Dataset, np.ndarray]:
    """Return the ratings and the fold, 0 to 4, whose test set each row of the data set is in.

    The official u1 … u5 take consecutive blocks of 20,000 rows of the file as their test sets.

    Raises
    ------
    DataError
        When the file cannot be fetched, or is not the one the folds are defined on.
    """
    table = _read("ml-100k.inter")
    users, items, stars = (table.column(i).combine_chunks() for i in range(3))
    _check(users, items, stars.to_numpy())
    rows = np.arange(ROWS)
    data = Dataset.of(
        users.cast(pa.string()),
        items.cast(pa.string()),
        values=stars,
        times=rows,
        catalogue=_films(_read("ml-100k.item")),
        people=_people(_read("ml-100k.user")),
    )
    return data, data.column("time") // BLOCK


def _check(users: pa.Array, items: pa.Array, stars: np.ndarray) -> None:
    if len(stars) != ROWS or set(np.unique(stars)) != {1, 2, 3, 4, 5}:
        raise DataError(f"Expected 100,000 ratings of 1 to 5, found {len(stars):,}.")
    first = tuple(len(column[:BLOCK].unique()) for column in (users, items))
    if first != FIRST_TEST:
        raise DataError(f"The first block has {first} users and items, u1.test has {FIRST_TEST}.")


def _films(table: pa.Table) -> pa.Table:
    ids, titles, years, genres = (column.to_pylist() for column in table.columns)
    return pa.table(
        {
            "item_id": ids,
            "title": titles,
            "categories": [(text or "").split() for text in genres],
            "attributes": [json.dumps({"year": year}) if year else None for year in years],
        }
    )


def _people(table: pa.Table) -> pa.Table:
    names = [name.partition(":")[0] for name in table.column_names]
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True)
    said = [dict(zip(names, row, strict=True)) for row in rows]
    ids = [row.pop("user_id") for row in said]
    return pa.table({"user_id": ids, "attributes": [json.dumps(row) for row in said]})


def _read(name: str) -> pa.Table:
    """Return a tab-separated file with every column as text but the stars."""
    fixed = {"rating:float": pa.float64()}
    data = io.BytesIO(_fetch(name))
    with data:
        header = data.readline().decode().rstrip("\n").split("\t")
        data.seek(0)
        kinds = {column: fixed.get(column, pa.string()) for column in header}
        return pa.csv.read_csv(
            data,
            parse_options=pa.csv.ParseOptions(delimiter="\t", quote_char=False),
            convert_options=pa.csv.ConvertOptions(column_types=kinds, strings_can_be_null=True),
        )


def _fetch(name: str) -> bytes:
    """Return a file out of a wheel that carries it, kept in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"))
    kept = cache / "endcap-benchmarks" / name
    if not kept.is_file():
        say(f"Fetching MovieLens 100K (GroupLens: research only) out of {PACKAGE} with pip …")
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as folder:
            words = ["download", "--quiet", "--no-deps", PACKAGE, "-d", folder]
            try:
                subprocess.run([sys.executable, "-m", "pip", *words], check=True)
            except subprocess.CalledProcessError as error:
                hint = "Is there a network? Or name a folder with ratings: --data DIR."
                raise DataError(f"pip could not download {PACKAGE}.", hint=hint) from error
            with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as wheel:
                for file in FILES:
                    draft = kept.with_name(f"{file}.part")
                    draft.write_bytes(wheel.read(f"{FOLDER}/{file}"))
                    draft.rename(kept.with_name(file))
    return kept.read_bytes()
