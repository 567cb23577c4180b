"""``endcap import``: events, catalogue and users from files."""

import json
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from endcap import plugins
from endcap.cli.progress import shown
from endcap.events.guess import GROUP
from endcap.events.importer import ImportSummary, import_paths
from endcap.schema.errors import ConfigError, DataError
from endcap.schema.settings import Settings, load_settings
from endcap.serve.telling import open_telling

app = typer.Typer(add_completion=False)

LACKING = {"missing-time": "time", "missing-actor": "user_id", "missing-item": "item_id"}
"""Reason of the quarantine -> the field that was not found."""
COLUMN_HELP = "What a column of an own file means (repeatable)."
DIALECT_HELP = f"How all files are written ({', '.join(plugins.names(GROUP))}); default: guessed."


@app.command("import")
def import_(  # noqa: PLR0917
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders of files.")],
    dialect: Annotated[str | None, typer.Option(help=DIALECT_HELP)] = None,
    column: Annotated[
        list[str] | None, typer.Option(help=COLUMN_HELP, metavar="COLUMN=FIELD")
    ] = None,
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data goes.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Read and validate, store nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.")] = False,
    progress: Annotated[bool | None, typer.Option(help="Show how far it is.")] = None,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Read events, catalogue and users from files; what cannot be read is kept with its reason.

    Every row is validated. Good rows go in and are on disk when the summary appears; bad rows go
    to the quarantine. Running it again, or after an interruption, adds nothing twice.

    Exit code 0 even when rows were quarantined; 3 when nothing at all could be read.

    Examples:

      endcap import events.csv catalogue.jsonl.gz

      endcap import ml-100k/ --folder films

      endcap import feed.xml --dialect merchant --dry-run

      endcap import orders.csv --column bought_on=time --column artnr=item_id
    """
    settings, _ = load_settings(file, flags={"store.folder": folder})
    settings.events.columns.update(_said(column or []))
    with shown("import", stream=sys.stderr, wanted=progress) as told:
        summary = _run(paths, settings, dialect=dialect, dry_run=dry_run, told=told)
    if as_json:
        typer.echo(json.dumps(_plain(summary), indent=1, ensure_ascii=False))
    else:
        _print(summary, Console(), dry_run=dry_run)
    if not any(report.rows for report in summary.files):
        names = ", ".join(str(path) for path in paths)
        raise DataError(f"Nothing in {names} could be read.", hint="See --dialect in --help.")


def _said(given: list[str]) -> dict[str, str]:
    """Return their name of a column -> ours."""
    said = {}
    for words in given:
        theirs, equals, ours = words.rpartition("=")
        if not (theirs and equals and ours):
            raise ConfigError(
                f"--column {words!r} is not of the form COLUMN=FIELD.", hint="--column when=time"
            )
        said[theirs] = ours
    return said


def _run(
    paths: list[Path], settings: Settings, *, dialect: str | None, dry_run: bool, told: Any
) -> ImportSummary:
    options: dict[str, Any] = {"settings": settings.events, "dialect": dialect, "progress": told}
    if dry_run:
        return import_paths(paths, store=None, **options)
    store = open_telling(settings)
    try:
        return import_paths(paths, store=store, **options)
    finally:
        store.close()


def _plain(summary: ImportSummary) -> dict[str, Any]:
    out: dict[str, Any] = json.loads(json.dumps(asdict(summary), default=_text))
    out["rows_per_second"] = round(summary.total.received / max(summary.seconds, 1e-9))
    return out


def _text(value: Any) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _print(summary: ImportSummary, console: Console, *, dry_run: bool) -> None:
    for table in (_files(summary), _receipts(summary, dry_run=dry_run), _reasons(summary)):
        if table.row_count:
            console.print(table)
    kinds = ", ".join(f"{kind} {count:,}" for kind, count in sorted(summary.kinds.items()))
    if kinds:
        console.print(
            f"{kinds}; from {summary.first:%Y-%m-%d %H:%M} to {summary.last:%Y-%m-%d %H:%M} UTC"
        )
    for line in _hints(summary):
        console.print(escape(line), style="yellow")
    rate = summary.total.received / max(summary.seconds, 1e-9)
    console.print(f"{summary.total.received:,} rows in {summary.seconds:.1f} s ({rate:,.0f}/s)")


def _hints(summary: ImportSummary) -> list[str]:
    """Say how to name a column where most rows lack what a column of another name may hold."""
    unknown = list(dict.fromkeys(name for report in summary.files for name in report.unknown))
    half = summary.total.received / 2
    seen = {reason: one.count for reason, one in summary.reasons.items()}
    lacking = [field for reason, field in LACKING.items() if seen.get(reason, 0) > half]
    if not (unknown and lacking):
        return []
    names = ", ".join(unknown)
    return [
        f"Is one of {names} the {field}? Say which: --column {unknown[0]}={field}"
        for field in lacking
    ]


def _files(summary: ImportSummary) -> Table:
    table = Table("file", "dialect", "sure", "encoding", "rows", "note")
    for report in summary.files:
        skipped = ", ".join(f"{name} {count:,}" for name, count in sorted(report.skipped.items()))
        parts = (
            report.problem,
            bool(skipped) and f"skipped: {skipped}",
            bool(report.unknown) and f"kept as further properties: {', '.join(report.unknown)}",
        )
        note = "; ".join(part for part in parts if part)
        sure = f"{report.confidence:.0%}" if report.dialect else ""
        name = escape(str(report.path))
        table.add_row(name, report.dialect, sure, report.encoding, f"{report.rows:,}", escape(note))
    return table


def _receipts(summary: ImportSummary, *, dry_run: bool) -> Table:
    stored = "would store" if dry_run else "stored"
    table = Table("table", "received", f"= {stored}", "+ duplicate", "+ rejected", "+ quarantined")
    for name, receipt in summary.receipts.items():
        table.add_row(name, *(f"{count:,}" for count in asdict(receipt).values()))
    return table


def _reasons(summary: ImportSummary) -> Table:
    table = Table("quarantined because", "rows", "first at", "for example")
    for reason, seen in sorted(summary.reasons.items(), key=lambda pair: -pair[1].count):
        table.add_row(reason, f"{seen.count:,}", escape(seen.first), escape(seen.detail))
    return table
