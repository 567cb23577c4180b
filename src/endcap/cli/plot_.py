"""``endcap plot``: pictures of what a model says."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from endcap.evaluate.block import Block, block, read_ratings
from endcap.evaluate.heatmap import heatmap as draw
from endcap.events.opening import open_store
from endcap.models.base import Model
from endcap.models.specs import make
from endcap.prepare.dataset import Dataset
from endcap.prepare.run import prepare_store
from endcap.recommend.artefacts import current, load_artefact
from endcap.schema.settings import load_settings

app = typer.Typer(add_completion=False)


@app.callback()
def plot() -> None:
    """Draw what a model says.

    Example:

      endcap plot heatmap --model ease --out scores.png
    """


@app.command()
def heatmap(  # noqa: PLR0917
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data lies.")] = None,
    ratings: Annotated[
        Path | None, typer.Option(help="Instead: a CSV file with user, item, rating.")
    ] = None,
    model: Annotated[
        str, typer.Option(help="A model of the artefact that serves, or any plug-in to fit now.")
    ] = "",
    users: Annotated[str, typer.Option(help="User ids: a,b,c; default: the busiest.")] = "",
    items: Annotated[str, typer.Option(help="Item ids: x,y,z; default: the busiest.")] = "",
    out: Annotated[Path, typer.Option(help="The picture (.png, .svg or .pdf).")] = Path(
        "heatmap.png"
    ),
    seed: Annotated[int, typer.Option(help="Of fitting.")] = 0,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Draw predicted ratings, or scores, of some users and items as an annotated heat map.

    Examples:

      endcap plot heatmap --ratings ratings.csv --out ratings.png

      endcap plot heatmap --model ease --users 12347,12348 --items 22423,85123A
    """
    if ratings is not None:
        name, data = model or "biased-mf", read_ratings(ratings)
        fitted = make(name).fit(data, seed)
    else:
        settings, _ = load_settings(file, flags={"store.folder": folder})
        store = open_store(settings.store)
        try:
            data = prepare_store(store, settings).dataset
        finally:
            store.close()
        name = model or "ease"
        fitted = _serving(settings.store.folder, name) or make(name).fit(data, seed)
    said = block(fitted, data, _ids(users), _ids(items))
    _save(said, name, fitted, out)
    _tell(said, data, out)


def _serving(folder: Path, name: str) -> Model | None:
    serving = current(folder)
    return load_artefact(folder, serving).models.get(name) if serving else None


def _ids(text: str) -> list[str]:
    return [part for part in (piece.strip() for piece in text.split(",")) if part]


def _save(said: Block, name: str, model: Model, out: Path) -> None:
    title = f"{'predicted ratings' if model.answers.ratings else 'scores'}: {name}"
    draw(said.values, said.users, said.items, title).savefig(out)


def _tell(said: Block, data: Dataset, out: Path) -> None:
    aside = Console(stderr=True)
    for ids, words, what in ((said.users, data.users, "user"), (said.items, data.items, "item")):
        for unknown in (i for i in ids if i not in words):
            aside.print(f"{what} {unknown!r} is not in the data")
    typer.echo(out)
