"""``endcap erase``: what is known of a person, gone."""

import json
from pathlib import Path
from typing import Annotated

import typer

from endcap.schema.actors import actor
from endcap.schema.errors import ConfigError
from endcap.schema.settings import load_settings
from endcap.serve.erasing import people
from endcap.serve.telling import open_telling

app = typer.Typer(add_completion=False)


@app.command()
def erase(
    user: Annotated[str | None, typer.Option(help="An account, and its visitors.")] = None,
    visitor: Annotated[str | None, typer.Option(help="A browser.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data lies.")] = None,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Erase a person: events, slates, attributes, aliases, and what names them elsewhere.

    Running servers forget them at once. Models that were trained before still count what they did,
    without a name in any answer, until the next training.

    Examples:

      endcap erase --user 12347

      endcap erase --visitor v-81
    """
    who = actor(user, visitor)
    if who is None or (user and visitor):
        raise ConfigError("One person, please.", hint="endcap erase --user ID, or --visitor ID")
    settings, _ = load_settings(file, flags={"store.folder": folder})
    store = open_telling(settings)
    try:
        typer.echo(json.dumps(store.erase(people(store, who))._asdict()))
    finally:
        store.close()
