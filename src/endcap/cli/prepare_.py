"""``endcap prepare``: clean what was collected, and say what was removed and why."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import Progress

from endcap.events.opening import open_store
from endcap.prepare.run import prepare_store
from endcap.schema.settings import load_settings

app = typer.Typer(add_completion=False)


@app.command()
def prepare(
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data lies.")] = None,
    html: Annotated[Path | None, typer.Option(help="Write a page with plots here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Clean what was collected, and report what each step removed and why.

    Nothing in the store changes: training does the same again by itself.

    Examples:

      endcap prepare

      endcap prepare --folder shop --html prepared.html

      endcap prepare --json
    """
    settings, _ = load_settings(file, flags={"store.folder": folder})
    store = open_store(settings.store)
    try:
        with Progress(console=Console(stderr=True), disable=as_json, transient=True) as bars:
            task = bars.add_task("prepare", total=None)
            prepared = prepare_store(
                store,
                settings,
                progress=lambda done, total, note="": bars.update(
                    task, completed=done, total=total, description=note
                ),
            )
    finally:
        store.close()
    if html is not None:
        prepared.report.write_html(html)
        typer.echo(f"wrote {html}", err=True)
    if as_json:
        typer.echo(json.dumps(prepared.report.to_dict(), ensure_ascii=False))
    else:
        Console().print(prepared.report.to_rich())
