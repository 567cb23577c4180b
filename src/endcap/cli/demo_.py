"""``endcap demo``: the shop in the box."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

app = typer.Typer(add_completion=False)


@app.command()
def demo(
    folder: Annotated[Path, typer.Option(help="Where its data goes.")] = Path("demo-data"),
    once: Annotated[bool, typer.Option("--once", help="Do not serve afterwards.")] = False,
    limit: Annotated[int | None, typer.Option(help="Only so many of the first events.")] = None,
    port: Annotated[int | None, typer.Option(help="Where to serve.")] = None,
) -> None:
    """Go the whole way on a year of real purchases, then serve the page to try it.

    Imports, prepares, evaluates, trains, and shows one shopper's purchases, recommendations and
    reasons. Running it again adds nothing to the data.

    Examples:

      endcap demo

      endcap demo --once --limit 50000
    """
    from endcap.testing.demo import Demo

    Demo(folder, Console(), limit).run()
    if not once:
        from endcap.cli.serve_ import serve

        serve(folder=folder, port=port)
