"""``endcap export``: slates for everybody, and whom an item is for, in a file."""

import logging
import sys
from pathlib import Path
from typing import Annotated

import pyarrow as pa
import pyarrow.parquet as pq
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from endcap.recommend.artefacts import Artefact, load_serving
from endcap.recommend.exporting import FORMATS, export_slates
from endcap.recommend.places.audience import Member, audience
from endcap.recommend.recipe import HOME
from endcap.recommend.shop import Shop
from endcap.recommend.slate import Request, Slate
from endcap.recommend.spreadsheet import SafeCsv, write_csv
from endcap.schema.errors import ArtefactError, ConfigError, RequestError, nearest
from endcap.schema.progress import Progress
from endcap.schema.settings import Settings, load_settings
from endcap.serve.logs import configure_logs

app = typer.Typer(add_completion=False, no_args_is_help=True)
Folder = Annotated[Path | None, typer.Option(help="Where the shop's data lies.")]
File = Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")]
Place = Annotated[str, typer.Option(help="A placement.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Show no progress.")]


@app.callback()
def export() -> None:
    """Write slates of all users, or the users whom an item is for, to Parquet or CSV.

    Examples:

      endcap export slates --placement home --k 10 --out slates.parquet

      endcap export slates --placement buy-again --out monday.csv

      endcap export audience --item 22423 --item 22697 --k 5000 --out audience.csv
    """


@app.command()
def slates(  # noqa: PLR0917
    out: Annotated[Path, typer.Option(help="A .parquet or .csv file.")],
    placement: Place = HOME,
    k: Annotated[int, typer.Option(help="Items for each user.", min=1, max=500)] = 10,
    condition: Annotated[
        str, typer.Option("--filter", help="Only such items: 'price < 50 and stock > 0'.")
    ] = "",
    folder: Folder = None,
    file: File = None,
    quiet: Quiet = False,
) -> None:
    """Write a slate for each user; run it again after an interruption, and it goes on."""
    configure_logs(as_json=False, level=logging.ERROR)
    settings, artefact = _opened(folder, file)
    users = artefact.users.array.to_pylist()
    with Shop.open(settings=settings) as shop, _progress("slates", quiet) as tell:
        places = shop.recommender.placements
        _known(placement, places)
        about = {
            "artefact": artefact.id,
            "placement": places[placement].model_dump_json(),
        }

        def why(slate: Slate) -> list[str]:
            return [shop.why(item) for item in slate.items]

        asked = {"placement": placement, "k": k, "filter": condition}
        Request.parse(asked, where="request")  # told now, not after the first batch
        rows = export_slates(shop.answer, why, users, out, asked=asked, about=about, progress=tell)
    Console(stderr=True).print(f"{rows:,} items for {len(users):,} users: {out}")


@app.command("audience")
def audience_(  # noqa: PLR0917
    item: Annotated[list[str], typer.Option(help="An item of the campaign (repeatable).")],
    out: Annotated[Path | None, typer.Option(help="A .parquet or .csv file; else stdout.")] = None,
    k: Annotated[int | None, typer.Option(help="At most so many users.", min=1)] = None,
    placement: Place = HOME,
    folder: Folder = None,
    file: File = None,
    quiet: Quiet = False,
) -> None:
    """Write the users whom an item is for, best first; whoever has it is left out."""
    configure_logs(as_json=False, level=logging.ERROR)
    if out is not None and out.suffix not in FORMATS:
        raise ConfigError(f"{out} is no {' or '.join(FORMATS)} file.")
    settings, artefact = _opened(folder, file)
    with Shop.open(settings=settings) as shop, _progress("audience", quiet) as tell:
        places = shop.recommender.placements
        _known(placement, places)
        found = audience(artefact, places[placement], item, shop.state, k=k, progress=tell)
    _write(found, out)
    Console(stderr=True).print(f"{len(found):,} of {len(artefact.users):,} users.")


def _opened(folder: Path | None, file: Path | None) -> tuple[Settings, Artefact]:
    settings, _ = load_settings(file, flags={"store.folder": folder})
    artefact, trouble = load_serving(settings.store.folder)
    if artefact is None:
        raise ArtefactError(f"Nothing to export: {trouble}.", hint="Run: endcap train.")
    return settings, artefact


def _known(placement: str, places: object) -> None:
    names = list(places)  # type: ignore[call-overload]
    if placement not in names:
        raise RequestError(f"There is no placement {placement!r}.", hint=nearest(placement, names))


def _write(found: list[Member], out: Path | None) -> None:
    columns = {
        "user_id": [member.user_id for member in found],
        "item_id": [member.item_id for member in found],
        "score": [round(member.score, 6) for member in found],
    }
    if out is not None and out.suffix == ".parquet":
        pq.write_table(pa.table(columns), out)
        return
    rows = (dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True))
    if out is None:
        SafeCsv(sys.stdout, list(columns)).write(rows)
    else:
        write_csv(out, list(columns), rows)


class _progress:
    """A bar over users on stderr."""

    def __init__(self, what: str, quiet: bool) -> None:
        self._bar = Bar(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
            disable=quiet,
        )
        self._what = what

    def __enter__(self) -> Progress:
        self._bar.start()
        task = self._bar.add_task(self._what, total=None)
        return lambda done, total, note="": self._bar.update(task, completed=done, total=total)

    def __exit__(self, *exc: object) -> None:
        self._bar.stop()
