"""``endcap train``: choose and fit the models of a shop, publish them, let them serve."""

import json
import logging
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
)
from rich.table import Table

from endcap.evaluate.learning import Learnt, chances_for, learn_store
from endcap.evaluate.learning_report import (
    said_of,
    said_of_chances,
    said_of_knob,
    table,
    to_dict,
    write_html,
)
from endcap.events.opening import open_store
from endcap.recommend.artefacts import Artefact, Listed, listing, rollback
from endcap.recommend.distribution import share
from endcap.recommend.recipe import Recipe, load_recipe, recipe_names
from endcap.recommend.training import train_store
from endcap.schema.progress import Progress as Told
from endcap.schema.settings import Settings, load_settings
from endcap.schema.spans import seconds
from endcap.serve.logs import configure_logs

app = typer.Typer(add_completion=False)

RECIPE_HELP = (
    f"Search nothing, fit this: one that comes along ({', '.join(recipe_names())}) or a .toml file."
)
REPORT = "training.html"


@app.command()
def train(  # noqa: PLR0917
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data lies.")] = None,
    budget: Annotated[
        str, typer.Option(help="Time to choose and fit in: 90s, 10m, 1h; more finds more.")
    ] = "2m",
    keep_seen: Annotated[
        bool, typer.Option("--keep-seen", help="Shoppers buy again what they have (groceries).")
    ] = False,
    accept_worse: Annotated[
        bool, typer.Option("--accept-worse", help="Serve them even if they foresee far less.")
    ] = False,
    recipe: Annotated[str | None, typer.Option(help=RECIPE_HELP)] = None,
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
    """Choose the models of this shop, fit them on everything, and let them serve.

    The latest weeks are held back: models are tuned and blended by how well they foresee them,
    within the budget; what adds nothing is left out. Then all is fitted on everything and
    published, and a report says what was tried. When the recipe that serves already does better,
    it is kept and fitted on the new events. When either foresees a fifth less than what serves
    did, nothing changes (exit code 3). With --recipe nothing is searched.

    What serves now goes on until the new artefact is complete, on disk and read back. The newest
    five are kept; a running server changes over by itself.

    Examples:

      endcap train

      endcap train --budget 10m

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
        _share(settings)
        return
    if recipe is not None:
        _print(_fit(settings, load_recipe(recipe), seed, quiet=as_json), place, as_json=as_json)
        return
    _choose(settings, budget, seed, as_json, keep_seen=keep_seen, accept_worse=accept_worse)


def _share(settings: Settings) -> None:
    """Let servers in other folders have what serves here, where they share the store."""
    if settings.store.url:
        with closing(open_store(settings.store)) as store:
            share(store, settings.store.folder)


def _fit(settings: Settings, recipe: Recipe, seed: int, *, quiet: bool) -> Artefact:
    with _bars(quiet=quiet) as bars, closing(open_store(settings.store)) as store:
        artefact = train_store(
            store,
            recipe,
            settings,
            seed=seed,
            progress=Tellers(bars, None),
            chances=lambda data: chances_for(recipe, data, settings, seed=seed),
        )
    _share(settings)
    return artefact


def _choose(
    settings: Settings,
    budget: str,
    seed: int,
    as_json: bool,
    *,
    keep_seen: bool,
    accept_worse: bool,
) -> None:
    place, budget_s = settings.store.folder, seconds(budget)
    with _bars(quiet=as_json) as bars, closing(open_store(settings.store)) as store:
        learnt = learn_store(
            store,
            settings,
            budget_s=budget_s,
            keep_seen=keep_seen,
            accept_worse=accept_worse,
            seed=seed,
            progress=Tellers(bars, budget_s),
        )
    _share(settings)
    _print_learnt(learnt, write_html(learnt, place / "reports" / REPORT), as_json=as_json)
    _print(learnt.artefact, place, as_json=as_json, learning=to_dict(learnt))


def _bars(*, quiet: bool) -> Progress:
    columns = (
        TextColumn("{task.fields[name]:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.description}"),
    )
    return Progress(*columns, console=Console(stderr=True), disable=quiet)


class Tellers:
    """One bar for each model, whatever is done with it, and one for the time that is left.

    Parameters
    ----------
    bars
        Where they are drawn.
    budget_s
        Seconds in all; None where no time was set.
    """

    def __init__(self, bars: Progress, budget_s: float | None) -> None:
        self._bars, self._budget = bars, budget_s
        self._tasks: dict[str, TaskID] = {}
        self._began = perf_counter()
        if budget_s is not None:
            self._tasks["time"] = bars.add_task("", name="time, s", total=round(budget_s))

    def __call__(self, name: str) -> Told:
        """Return who is told how far a model is."""
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task("", name=name, total=None)

        def tell(done: int, total: int, note: str = "") -> None:
            task = self._tasks[name]
            self._bars.update(task, completed=done, total=total or None, description=note)
            if self._budget is not None:
                spent = min(perf_counter() - self._began, self._budget)
                left = f"{self._budget - spent:.0f} s left"
                self._bars.update(self._tasks["time"], completed=round(spent), description=left)

        return tell


def _print_learnt(learnt: Learnt, page: Path, *, as_json: bool) -> None:
    if as_json:
        return
    console = Console(stderr=True)
    if learnt.chosen is None:
        console.print(f"{learnt.reason} The shop recipe was fitted; nothing was searched.")
        return
    console.print(table(learnt.chosen))
    for name, why in learnt.chosen.skipped.items():
        console.print(f"left out: {name}: {why}")
    if learnt.ranked is not None:
        console.print(said_of(learnt.ranked))
    if learnt.artefact.chances is not None:
        for line in said_of_chances(learnt.artefact.chances.facts):
            console.print(line)
    line = said_of_knob(learnt.artefact.facts.get("diversity", []))
    if line:
        console.print(line)
    rival = learnt.contest
    if rival is not None:
        low, high = rival.interval
        console.print(
            f"against recipe {rival.champion} ({rival.score:.4f}): {rival.gain:+.4f} "
            f"[{low:+.4f}, {high:+.4f}]: "
            + ("the new blend serves." if rival.won else "it is kept, fitted on the new events.")
        )
    console.print(f"report: {page}")


def _print(artefact: Artefact, folder: Path, *, as_json: bool, **more: Any) -> None:
    facts = artefact.facts
    line = next(line for line in listing(folder) if line.id == artefact.id)
    if as_json:
        said = {"artefact": artefact.id, "recipe": artefact.recipe.name, "bytes": line.bytes}
        typer.echo(json.dumps({**said, **facts, **more}))
        return
    table = Table("model", "seconds", title=f"recipe {artefact.recipe.name}", title_justify="left")
    for name, took in facts["seconds"].items():
        table.add_row(name, f"{took:.2f}")
    Console(stderr=True).print(
        table,
        *(f"{name}: {_said_of_index(tried)}" for name, tried in facts.get("indexes", {}).items()),
        f"{facts['interactions']:,} interactions of {facts['users']:,} shoppers with "
        f"{facts['items']:,} items; {line.bytes / 1e6:.1f} MB. It serves now:",
    )
    typer.echo(artefact.id)


def _said_of_index(tried: dict[str, Any]) -> str:
    """Say how a model of factors is asked: by an index, or about all items."""
    if "lists" not in tried:
        return f"looks at all items: {tried['why']}."
    recall = min(tried["recall"].values())
    said = f"{tried['probes']} of {tried['lists']} lists find {recall:.3f} of the exact answers"
    times = f"{tried['ms']:.2f} ms, {tried['exact_ms']:.2f} ms for all items"
    if tried["choice"] == "index":
        return f"an index: {said} in {times}."
    return f"looks at all items: {said} ({times})."


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
