"""``endcap train``: fit a recipe, publish its artefact, let it serve."""

import json
import logging
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from endcap.events.opening import open_store
from endcap.recommend.artefacts import Artefact, Listed, listing, rollback
from endcap.recommend.recipe import DEFAULT, load_recipe, recipe_names
from endcap.recommend.training import train_store
from endcap.schema.progress import Progress as Told
from endcap.schema.settings import load_settings
from endcap.serve.logs import configure_logs

app = typer.Typer(add_completion=False)

RECIPE_HELP = f"A recipe that comes along ({', '.join(recipe_names())}), or a .toml file."


@app.command()
def train(  # noqa: PLR0917
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data lies.")] = None,
    recipe: Annotated[str, typer.Option(help=RECIPE_HELP)] = DEFAULT,
    seed: Annotated[int, typer.Option(help="Same data, same seed: same models.")] = 0,
    undo: Annotated[
        bool, typer.Option("--rollback", help="Train nothing; let the artefact before serve again.")
    ] = False,
    show: Annotated[
        bool, typer.Option("--list", help="Train nothing; list the artefacts that are kept.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Fit every model of a recipe, publish them as one artefact, and let it serve.

    What serves now goes on until the new artefact is complete, on disk and read back. The newest
    five are kept; a running server changes over by itself.

    Examples:

      endcap train

      endcap train --recipe simple --seed 7

      endcap train --recipe mine.toml --folder shop

      endcap train --list

      endcap train --rollback
    """
    configure_logs(as_json=False, level=logging.WARNING)
    settings, _ = load_settings(file, flags={"store.folder": folder})
    place = settings.store.folder
    if show:
        _print_list(listing(place), as_json=as_json)
        return
    if undo:
        typer.echo(rollback(place))
        return
    chosen = load_recipe(recipe)
    with _bars(quiet=as_json) as bars, closing(open_store(settings.store)) as store:
        artefact = train_store(
            store, chosen, settings, seed=seed, progress=lambda name: _teller(bars, name)
        )
    _print(artefact, next(line for line in listing(place) if line.id == artefact.id), as_json)


def _bars(*, quiet: bool) -> Progress:
    columns = (
        TextColumn("{task.fields[name]:<10}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    return Progress(*columns, console=Console(stderr=True), disable=quiet)


def _teller(bars: Progress, name: str) -> Told:
    task = bars.add_task("", name=name, total=None)

    def tell(done: int, total: int, note: str = "") -> None:
        bars.update(task, completed=done, total=total or None, description=note)

    return tell


def _print(artefact: Artefact, line: Listed, as_json: bool) -> None:
    facts = artefact.facts
    if as_json:
        said = {"artefact": artefact.id, "recipe": artefact.recipe.name, "bytes": line.bytes}
        typer.echo(json.dumps({**said, **facts}))
        return
    table = Table("model", "seconds", title=f"recipe {artefact.recipe.name}", title_justify="left")
    for name, seconds in facts["seconds"].items():
        table.add_row(name, f"{seconds:.2f}")
    Console(stderr=True).print(
        table,
        f"{facts['interactions']:,} interactions of {facts['users']:,} shoppers with "
        f"{facts['items']:,} items; {line.bytes / 1e6:.1f} MB. It serves now:",
    )
    typer.echo(artefact.id)


def _print_list(lines: list[Listed], *, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps([_plain(line) for line in lines]))
        return
    table = Table("artefact", "created", "recipe", "models", "MB", "serves")
    for line in lines:
        table.add_row(
            line.id,
            f"{line.created:%Y-%m-%d %H:%M:%S}",
            line.recipe,
            ", ".join(line.models),
            f"{line.bytes / 1e6:.1f}",
            "yes" if line.current else "",
        )
    Console().print(table)


def _plain(line: Listed) -> dict[str, Any]:
    return {
        "artefact": line.id,
        "created": line.created.isoformat(),
        "current": line.current,
        "recipe": line.recipe,
        "models": list(line.models),
        "bytes": line.bytes,
    }
