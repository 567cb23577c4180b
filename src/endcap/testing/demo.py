"""The demo: the whole way on the shop in the box, told while it goes."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from importlib.resources import as_file, files
from pathlib import Path
from time import perf_counter
from typing import Final

import pyarrow.parquet as pq
from rich.console import Console
from rich.progress import Progress as Bar
from rich.progress import TaskID
from rich.table import Table

from endcap.evaluate.comparing import evaluate
from endcap.events.importer import ImportSummary, import_paths
from endcap.events.opening import open_store
from endcap.events.store import Receipt, Store
from endcap.models.specs import make
from endcap.prepare.dataset import Dataset
from endcap.prepare.run import Prepared, prepare_store
from endcap.recommend.recipe import load_recipe
from endcap.recommend.shop import Shop
from endcap.recommend.training import train
from endcap.schema.progress import Progress
from endcap.schema.settings import Settings, StoreSettings

BOX: Final = "box/online_retail"
SHOPPER: Final = "12347"
LINE_UP: Final = ("ease", "ials", "user-knn", "content", "trending")
"""Compared in the demo, besides the baselines that always are."""

SHOWN: Final = ("ndcg", "recall", "hit", "coverage")


@contextmanager
def box(limit: int | None = None) -> Iterator[list[Path]]:
    """Yield the paths of the catalogue and the events that ship with Endcap.

    Parameters
    ----------
    limit
        Only so many of the first events, for tests that are in a hurry.
    """
    with as_file(files("endcap.testing") / BOX) as folder:
        items, events = folder / "items.parquet", folder / "events.parquet"
        if limit is None:
            yield [items, events]
            return
        import tempfile

        with tempfile.TemporaryDirectory() as short:
            part = Path(short) / "events.parquet"
            pq.write_table(pq.read_table(events).slice(0, limit), part)
            yield [items, part]


class Demo:
    """One run of the demo.

    Parameters
    ----------
    folder
        The data folder; what is in it already is kept, and importing again adds nothing.
    console
        Where it is told.
    limit
        Only so many of the first events.
    """

    def __init__(self, folder: Path, console: Console, limit: int | None = None) -> None:
        self.settings = Settings(store=StoreSettings(folder=folder))
        self.folder, self.console, self.limit = folder, console, limit

    def run(self) -> None:
        """Import, prepare, evaluate, train, and answer one shopper."""
        store = open_store(self.settings.store)
        try:
            with box(self.limit) as paths:
                self.collect(store, paths)
            prepared = self.prepare(store)
        finally:
            store.close()
        self.compare(prepared.dataset)
        self.learn(prepared.dataset)
        self.answer()

    def collect(self, store: Store, paths: list[Path]) -> ImportSummary:
        """Read the box as if it were a shop's own export."""
        with self._step("Collect", "a year of purchases of a UK gift shop") as progress:
            summary = import_paths(
                paths, store=store, settings=self.settings.events, progress=progress
            )
        for name, receipt in summary.receipts.items():
            self.console.print(f"  {name}: {_told(receipt)}")
        for reason, met in summary.reasons.items():
            self.console.print(f"    {met.count:,} quarantined: {reason}, first {met.first}")
        return summary

    def prepare(self, store: Store) -> Prepared:
        """Clean and weigh; tell what was removed and why."""
        with self._step("Prepare", "clean, deduplicate, sessionise, weigh") as progress:
            prepared = prepare_store(store, self.settings, progress=progress)
        self.console.print(prepared.report.to_rich())
        return prepared

    def compare(self, data: Dataset) -> None:
        """Judge the models on the last 28 days, which they have not seen."""
        with self._step("Evaluate", "the last 28 days, all items ranked") as progress:
            report = evaluate({name: make(name) for name in LINE_UP}, data, progress=progress)
        self.console.print(report.table(SHOWN))
        page = report.write_html(self.folder / "reports" / "evaluation.html")
        self.console.print(f"  with pictures: {page}")

    def learn(self, data: Dataset) -> None:
        """Fit the default recipe on everything and let it serve."""
        with self._step("Learn", "fit the recipe of a shop, publish it") as progress:
            artefact = train(data, load_recipe(), self.folder, progress=_named(progress))
        self.console.print(f"  artefact {artefact.id} serves now")

    def answer(self) -> None:
        """Show one shopper: what they bought, what is recommended, and why."""
        self.console.rule("[bold]Recommend[/]  one shopper", align="left")
        with Shop.open(self.folder) as shop:
            bought = shop.state.history(SHOPPER).item_ids[-5:]
            facts = shop.state.facts(bought)
            titles = [str(facts.get(item, {}).get("title", item)) for item in bought]
            self.console.print(f"  Shopper {SHOPPER} last bought: {'; '.join(titles)}")
            slate = shop.recommend(SHOPPER, k=5)
            table = Table("", "item", "price", "why", title=f"For {SHOPPER} ({slate.served_by})")
            for item in slate.items:
                show = item.properties
                price = f"{show.get('price', '')} {show.get('currency', '')}"
                table.add_row(str(item.rank), str(show.get("title")), price, shop.why(item))
            self.console.print(table)

    @contextmanager
    def _step(self, name: str, what: str) -> Iterator[Progress]:
        self.console.rule(f"[bold]{name}[/]  {what}", align="left")
        start = perf_counter()
        with Bar(console=self.console, transient=True, disable=not self.console.is_terminal) as bar:
            yield _listener(bar, bar.add_task(name, total=None))
        self.console.print(f"  {perf_counter() - start:.1f} s")


def _told(receipt: Receipt) -> str:
    parts = {name: count for name, count in asdict(receipt).items() if count}
    return " = ".join(
        (
            f"{parts.pop('received', 0):,} received",
            " + ".join(f"{count:,} {name}" for name, count in parts.items()),
        )
    )


def _listener(bar: Bar, task: TaskID) -> Progress:
    def progress(done: int, total: int, note: str = "") -> None:
        bar.update(task, completed=done, total=total or None, description=note or None)

    return progress


def _named(progress: Progress) -> Callable[[str], Progress]:
    def of(name: str) -> Progress:
        progress(0, 0, name)
        return progress

    return of
