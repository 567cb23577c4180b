"""``endcap evaluate``: compare models on a split of the events."""

import json
import sys
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from endcap.evaluate.comparing import evaluate as compare
from endcap.evaluate.comparison import Comparison
from endcap.evaluate.entrants import every, named
from endcap.evaluate.folder import Folder, load
from endcap.events.opening import open_store
from endcap.prepare.run import prepare_store
from endcap.prepare.split import Fixed, HeldOutUsers, LastOut, Rule, Temporal
from endcap.schema.errors import ConfigError
from endcap.schema.settings import load_settings

app = typer.Typer(add_completion=False)


class Split(StrEnum):
    """How to cut the data."""

    temporal = "temporal"
    last = "last"
    users = "users"
    fixed = "fixed"


@app.command()
def evaluate(  # noqa: PLR0917
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data lies.")] = None,
    data: Annotated[
        Path | None, typer.Option(help="Instead: a folder with interactions.parquet.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="NAME or NAME:key=value,…; default: all that can."),
    ] = None,
    split: Annotated[Split, typer.Option(help="How to cut the data.")] = Split.temporal,
    days: Annotated[float, typer.Option(help="Temporal: length of what is foreseen.")] = 28.0,
    since: Annotated[
        datetime | None, typer.Option(help="Temporal: foresee all from this moment (UTC).")
    ] = None,
    k: Annotated[list[int] | None, typer.Option(help="Cut lists here (repeatable).")] = None,
    keep_seen: Annotated[
        bool, typer.Option("--keep-seen", help="Lists may repeat what a shopper has (groceries).")
    ] = False,
    max_users: Annotated[int | None, typer.Option(help="Ask only so many users.")] = None,
    seed: Annotated[int, typer.Option(help="Of fitting and of intervals.")] = 0,
    html: Annotated[Path | None, typer.Option(help="Write the report here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Compare models: fit on the past, foresee what shoppers took next, rank every item.

    Popular and item-knn always take part. Figures come with 95 % intervals; the report shows
    where each model is strong and what each measure means.

    Examples:

      endcap evaluate

      endcap evaluate --model ease --model ease:l2=1000 --model ials --html report.html

      endcap evaluate --split users --k 5 --k 20 --json

      endcap evaluate --data research/online-retail --days 14
    """
    source = load(data) if data else _shop(file, folder)
    with _bar(quiet=as_json) as bar:
        task = bar.add_task("evaluate", total=None)
        comparison = compare(
            named(model) if model else every(source.data),
            source.data,
            split=_rule(split, source, days, since, seed),
            ks=tuple(k or (10, 20)),
            exclude_seen=not keep_seen,
            max_users=max_users,
            seed=seed,
            progress=lambda done, total, note="": bar.update(
                task, completed=done, total=total, description=note or "compare"
            ),
        )
    _print(comparison, as_json=as_json)
    if html:
        typer.echo(f"report: {comparison.write_html(html)}", err=True)


def _shop(file: Path | None, folder: Path | None) -> Folder:
    settings, _ = load_settings(file, flags={"store.folder": folder})
    store = open_store(settings.store)
    try:
        data = prepare_store(store, settings).dataset
    finally:
        store.close()
    return Folder(settings.store.folder.name, data, None, clocked=True)


def _rule(split: Split, source: Folder, days: float, since: datetime | None, seed: int) -> Rule:
    if split is Split.last:
        return LastOut()
    if split is Split.users:
        return HeldOutUsers(seed=seed)
    if split is Split.fixed:
        if source.labels is None:
            raise ConfigError("This data has no column 'split'.", hint="Use --split temporal.")
        return Fixed.parse({"labels": source.labels.tolist(), "refit": True})
    if not source.clocked:
        raise ConfigError("This data has no clock times.", hint="Use --split last, or fixed.")
    return Temporal.parse({"days": days, "at": since and since.replace(tzinfo=UTC)})


def _print(comparison: Comparison, *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(comparison.to_dict(), ensure_ascii=False, indent=1))
        return
    Console(width=None if sys.stdout.isatty() else 160).print(comparison.table())
    for name, reason in comparison.skipped.items():
        typer.echo(f"left out: {name}: {reason}", err=True)


def _bar(*, quiet: bool) -> Progress:
    return Progress(
        TextColumn("{task.description:<12}"),
        BarColumn(),
        TextColumn("{task.completed:.0f}/{task.total}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        disable=quiet or not sys.stderr.isatty(),
        transient=True,
    )
