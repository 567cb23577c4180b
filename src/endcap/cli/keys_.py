"""``endcap keys``: who may talk to the server."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from endcap.schema.settings import load_settings
from endcap.serve.keys import KeyRing

app = typer.Typer(add_completion=False, no_args_is_help=True)
Folder = Annotated[Path | None, typer.Option(help="Where the shop's data lies.")]
File = Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")]


@app.callback()
def keys() -> None:
    """Make, list and revoke the keys of the HTTP API.

    A public key (pk_…) is for browsers: it writes events and reads slates. A secret key (sk_…)
    does everything. To rotate: create a new one, hand it out, revoke the old one.

    Examples:

      endcap keys create --name backend

      endcap keys create --public --name "web shop"

      endcap keys revoke 1f0c9a3e
    """


@app.command()
def create(
    public: Annotated[bool, typer.Option("--public", help="For browsers.")] = False,
    name: Annotated[str, typer.Option(help="What it is for.")] = "",
    folder: Folder = None,
    file: File = None,
) -> None:
    """Make a key. It is printed this once: only its hash is kept."""
    shown, key = _ring(folder, file).create("public" if public else "secret", name)
    typer.echo(shown)
    typer.echo(f"Keep it now: it is not shown again. Revoke: endcap keys revoke {key.id}", err=True)


@app.command("list")
def show(folder: Folder = None, file: File = None) -> None:
    """List the living keys."""
    found = _ring(folder, file).all()
    table = Table("id", "kind", "name", "created")
    for key in found:
        table.add_row(key.id, key.kind, escape(key.name), key.created)
    Console().print(table if found else "There are no keys.")


@app.command()
def revoke(
    key_id: Annotated[str, typer.Argument(metavar="ID", help="As `endcap keys list` shows it.")],
    folder: Folder = None,
    file: File = None,
) -> None:
    """End a key; the next request with it is refused, at every worker."""
    key = _ring(folder, file).revoke(key_id)
    typer.echo(f"The {key.kind} key {key.id} is revoked.", err=True)


def _ring(folder: Path | None, file: Path | None) -> KeyRing:
    settings, _ = load_settings(file, flags={"store.folder": folder})
    return KeyRing(settings.store.folder)
