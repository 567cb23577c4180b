"""``endcap replay``: a past slate made again, as it was."""

import json
import logging
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from endcap.recommend.replaying.replay import Replayed
from endcap.recommend.sentences import sentence
from endcap.recommend.shop import Shop
from endcap.schema.settings import load_settings
from endcap.serve.logs import configure_logs

app = typer.Typer(add_completion=False)
UNLIKE = 1
"""Exit code where the slate is not the same."""


@app.command()
def main(
    request_id: Annotated[str, typer.Argument(help="The `request_id` of an answer.")],
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data lies.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Make a slate that a server answered again, with that moment's models, rules and events.

    Says whether every bit is the same, or what is gone. Exits with 1 where it is not the same.

    Examples:

      endcap replay 1a4264c6d9e149f8b13cce1d

      endcap replay 1a4264c6d9e149f8b13cce1d --json
    """
    configure_logs(as_json=False, level=logging.ERROR)
    settings, _ = load_settings(file, flags={"store.folder": folder})
    with Shop.open(settings=settings) as shop:
        found = shop.replay(request_id)
        if as_json:
            typer.echo(json.dumps(_plain(found), default=str))
        else:
            _print(found)
    if not found.identical:
        raise typer.Exit(UNLIKE)


def _plain(found: Replayed) -> dict[str, object]:
    asked = found.request.model_dump(mode="json", exclude_defaults=True)
    return {
        "request_id": found.request_id,
        "identical": found.identical,
        "gone": found.gone,
        "request": asked,
        "answered": found.answered,
        "slate": found.slate and found.slate.plain(),
    }


def _print(found: Replayed) -> None:
    out = Console()
    asked = found.request.model_dump_json(exclude_defaults=True)
    when = f", {found.slate.generated_at:%Y-%m-%d %H:%M:%S} UTC" if found.slate else ""
    out.print(Text(f"asked: {asked}{when}"))
    table = Table("", "answered", "again", "score", "why")
    items = () if found.slate is None else found.slate.items
    for at in range(max(len(found.answered), len(items))):
        item = items[at] if at < len(items) else None
        cells = [
            str(at + 1),
            found.answered[at] if at < len(found.answered) else "",
            item.item_id if item else "",
            f"{item.score:.6f}" if item else "",
            sentence(item.reasons, found.facts) if item else "",
        ]
        table.add_row(*map(Text, cells))
    out.print(table)
    out.print("identical" if found.identical else Text(f"not identical: {'; '.join(found.gone)}"))
