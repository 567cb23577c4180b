"""``endcap quarantine``: what could not go in, and why."""

import json
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from endcap.events.opening import open_store
from endcap.events.store import Quarantine
from endcap.events.validate import REASONS
from endcap.schema.errors import RequestError, nearest
from endcap.schema.settings import load_settings

app = typer.Typer(add_completion=False)

PAGE = 5_000


@app.command()
def quarantine(
    reason: Annotated[str | None, typer.Option(help="Only rows of this reason.")] = None,
    limit: Annotated[int, typer.Option(help="How many of the newest rows to show.", min=0)] = 10,
    export: Annotated[
        Path | None, typer.Option(help="Write the rows, as they arrived, one a line; - is stdout.")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="The shop's data folder.")] = None,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Show what failed validation: how much for each reason, and the newest rows with their place.

    Nothing here is lost: export the rows, mend them, and import the file again.

    Examples:

      endcap quarantine

      endcap quarantine --reason missing-actor --export guests.jsonl
    """
    settings, _ = load_settings(file, flags={"store.folder": folder})
    store = open_store(settings.store)
    try:
        reasons = store.quarantine.reasons()
        if reason and reason not in reasons:
            raise RequestError(f"No row has the reason {reason!r}.", hint=nearest(reason, reasons))
        if export:
            _export(store.quarantine, reason, export)
        else:
            _show(store.quarantine, reasons, reason, limit)
    finally:
        store.close()


def _rows(held: Quarantine, reason: str | None) -> Iterator[dict[str, Any]]:
    """Yield the rows of a reason, newest first, a page at a time."""
    offset = 0
    while page := held.rows(PAGE, offset).to_pylist():
        yield from (row for row in page if reason in (None, row["reason"]))
        offset += len(page)


def _export(held: Quarantine, reason: str | None, target: Path) -> None:
    count = 0
    stdout = str(target) == "-"
    with nullcontext(sys.stdout) if stdout else target.open("w", encoding="utf-8") as sink:
        for row in _rows(held, reason):
            sink.write(_one_line(row["payload"]) + "\n")
            count += 1
    typer.echo(f"{count:,} rows written.", err=True)


def _one_line(payload: str) -> str:
    """Return a payload as one line; a row kept as (names, values) becomes a JSON object again."""
    try:
        kept = json.loads(payload)
        if isinstance(kept, list) and len(kept) == 2 and len(kept[0]) == len(kept[1]):
            kept = dict(zip(*kept, strict=True))
    except (ValueError, TypeError):
        return payload.replace("\n", " ")
    return json.dumps(kept, ensure_ascii=False)


def _show(held: Quarantine, reasons: dict[str, int], reason: str | None, limit: int) -> None:
    console = Console()
    table = Table("reason", "rows", "meaning")
    for name, count in sorted(reasons.items(), key=lambda entry: -entry[1]):
        if reason in (None, name):
            table.add_row(name, f"{count:,}", REASONS.get(name, ""))
    console.print(table if reasons else "Nothing is in quarantine.")
    for row, _ in zip(_rows(held, reason), range(limit), strict=False):
        place = f"{row['source']}:{row['line']}" if row["line"] else str(row["source"])
        told = _one_line(row["payload"])[:200]
        console.print(f"[bold]{escape(place)}[/]  {escape(row['detail'])}\n    {escape(told)}")
