"""``endcap config``: the settings in force and where each comes from."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from endcap.schema.settings import load_settings

app = typer.Typer(add_completion=False)


@app.command()
def config(
    file: Annotated[
        Path | None, typer.Option(help="An endcap.toml; default: the one here.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show the settings in force and where each comes from.

    Precedence: default < file < ENDCAP_… environment < flag.

    Examples:

      endcap config

      ENDCAP_SERVE__PORT=9000 endcap config --json
    """
    settings, origins = load_settings(file)
    tree = settings.model_dump(mode="json")
    flat = {f"{part}.{key}": value for part, keys in tree.items() for key, value in keys.items()}
    if as_json:
        rows = {
            key: {"value": value, "origin": _origin(key, origins)} for key, value in flat.items()
        }
        typer.echo(json.dumps(rows, indent=1))
        return
    table = Table("setting", "value", "origin")
    for key, value in flat.items():
        table.add_row(key, json.dumps(value), _origin(key, origins))
    Console().print(table)


def _origin(key: str, origins: dict[str, str]) -> str:
    return next((o for k, o in origins.items() if k == key or k.startswith(f"{key}.")), "default")
