"""Slates for everybody in a file, for e-mails and apps that ask once a day; it can be resumed.

slates.parquet.parts/      while it runs
  manifest.json            what is being written: another question starts anew
  000000.parquet …         one for each batch of users, complete once it has its name
slates.parquet             all of them, once the last is there
"""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from endcap.recommend.slate import Request, Slate
from endcap.recommend.spreadsheet import SafeCsv
from endcap.schema.errors import ConfigError, DataError
from endcap.schema.progress import Progress, silent

BATCH: Final = 500
ROWS: Final = pa.schema(
    [
        ("user_id", pa.string()),
        ("rank", pa.int32()),
        ("item_id", pa.string()),
        ("score", pa.float32()),
        ("title", pa.string()),
        ("price", pa.string()),
        ("image", pa.string()),
        ("url", pa.string()),
        ("due", pa.string()),
        ("why", pa.string()),
        ("served_by", pa.string()),
        ("request_id", pa.string()),
        ("placement", pa.string()),
        ("artefact", pa.string()),
    ]
)
SHOWN: Final = ("title", "price", "image", "url", "due")
FORMATS: Final = (".parquet", ".csv")
Answer = Callable[[Sequence[Request]], list[Slate]]


def export_slates(
    answer: Answer,
    why: Callable[[Slate], list[str]],
    users: Sequence[str],
    out: Path,
    *,
    asked: dict[str, Any],
    about: dict[str, Any],
    batch: int = BATCH,
    progress: Progress = silent,
) -> int:
    """Write one row for each item of each user's slate; return how many rows there are.

    What an earlier run that was cut off has written of the same question is kept.

    Parameters
    ----------
    answer, why
        Give slates, and the reason of each of their items in words.
    users
        Whose slates, in the order of the file.
    out
        A ``.parquet`` or ``.csv`` file.
    asked
        Further fields of each `Request`.
    about
        What the slates depend on besides (artefact, placements): another value starts anew.

    Raises
    ------
    ConfigError
        For another format.
    DataError
        When the file cannot be written.
    """
    if out.suffix not in FORMATS:
        raise ConfigError(f"{out} is no {' or '.join(FORMATS)} file.")
    parts = out.with_name(f"{out.name}.parts")
    try:
        _begin(parts, {"asked": asked, "about": about, "users": len(users), "batch": batch})
        for start in range(0, len(users), batch):
            part = parts / f"{start:09d}.parquet"
            if not part.exists():
                chosen = users[start : start + batch]
                slates = answer([Request.parse({**asked, "user_id": user}) for user in chosen])
                _publish(_table(chosen, slates, why), part)
            progress(min(start + batch, len(users)), len(users), "users")
        return _join(parts, out)
    except OSError as error:
        raise DataError(f"{out} cannot be written: {error}.") from error


def _begin(parts: Path, question: dict[str, Any]) -> None:
    told = json.dumps(question, sort_keys=True, default=str)
    manifest = parts / "manifest.json"
    if manifest.exists() and manifest.read_text(encoding="utf-8") == told:
        return
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir(parents=True)
    manifest.write_text(told, encoding="utf-8")


def _table(
    users: Sequence[str], slates: Sequence[Slate], why: Callable[[Slate], list[str]]
) -> pa.Table:
    rows = [
        {
            **{
                name: item.properties.get(name)
                for name in ("title", "price", "image", "url", "due")
            },
            "user_id": user,
            "rank": item.rank,
            "item_id": item.item_id,
            "score": item.score,
            "why": said,
            "served_by": slate.served_by,
            "request_id": slate.request_id,
            "placement": slate.placement,
            "artefact": slate.artefact,
        }
        for user, slate in zip(users, slates, strict=True)
        for item, said in zip(slate.items, why(slate), strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=ROWS)


def _publish(table: pa.Table, part: Path) -> None:
    draft = part.with_suffix(".draft")
    pq.write_table(table, draft)
    draft.replace(part)


def _join(parts: Path, out: Path) -> int:
    """Put all parts into one file, which appears under its name only when it is whole."""
    draft = out.with_name(f".{out.name}.draft")
    files = sorted(parts.glob("*.parquet"))
    count = _to_csv(files, draft) if out.suffix == ".csv" else _to_parquet(files, draft)
    with draft.open("rb") as handle:
        os.fsync(handle.fileno())
    draft.replace(out)
    shutil.rmtree(parts)
    return count


def _to_parquet(files: Sequence[Path], draft: Path) -> int:
    count = 0
    with pq.ParquetWriter(draft, ROWS) as writer:
        for file in files:
            table = pq.read_table(file, schema=ROWS)
            writer.write_table(table)
            count += table.num_rows
    return count


def _to_csv(files: Sequence[Path], draft: Path) -> int:
    count = 0
    with draft.open("w", newline="", encoding="utf-8") as handle:
        writer = SafeCsv(handle, ROWS.names)
        for file in files:
            rows = pq.read_table(file, schema=ROWS).to_pylist()
            writer.write(rows)
            count += len(rows)
    return count
