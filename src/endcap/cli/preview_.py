"""``endcap preview``: what rules would change and cost, before anybody sees them."""

import json
import logging
from collections.abc import Sequence
from dataclasses import asdict
from math import isfinite
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from endcap.recommend.artefacts import load_serving
from endcap.recommend.recipe import HOME
from endcap.recommend.shop import Shop
from endcap.recommend.slates.objective import WEIGHTS
from endcap.recommend.slates.preview import Before, outcome, preview, prices
from endcap.recommend.slates.rules import load_rules
from endcap.schema.errors import ArtefactError
from endcap.schema.settings import load_settings
from endcap.serve.logs import configure_logs

app = typer.Typer(add_completion=False)

LISTED = 3
"""Users whose slates are printed in full."""


@app.command()
def main(  # noqa: PLR0917
    rules: Annotated[Path, typer.Argument(help="A .toml file of rules.")],
    users: Annotated[int, typer.Option(help="How many shoppers are drawn.", min=1)] = 20,
    user: Annotated[list[str] | None, typer.Option(help="Instead: this one (repeatable).")] = None,
    k: Annotated[int, typer.Option(help="Positions of a slate.", min=1, max=50)] = 10,
    placement: Annotated[str, typer.Option(help="A placement of the recipe.")] = HOME,
    seed: Annotated[int, typer.Option(help="Draws the shoppers.")] = 0,
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data lies.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Show slates before and after rules, and the price of each rule.

    A price is the share of expected relevance that a slate loses by the rule, against the best
    slate without it. Nothing is changed and nobody is shown anything.

    Examples:

      endcap preview rules.toml

      endcap preview rules.toml --user 12347 --json
    """
    configure_logs(as_json=False, level=logging.ERROR)
    asked = load_rules(rules)
    settings, _ = load_settings(file, flags={"store.folder": folder})
    artefact, trouble = load_serving(settings.store.folder)
    if artefact is None:
        raise ArtefactError(f"Nothing to preview with: {trouble}.", hint="Run: endcap train.")
    with Shop.open(settings=settings) as shop:
        drawn = np.random.default_rng(seed).permutation(len(artefact.users))[:users]
        chosen = list(user or artefact.users.ids(np.sort(drawn)))
        compared = preview(shop.recommender, shop.state, asked, chosen, k=k, placement=placement)
        if as_json:
            said = {"users": [asdict(one) for one in compared]}
            rows = [asdict(price) for price in prices(compared)]
            typer.echo(json.dumps({"rules": rows, "expected": _expected(compared), **said}))
        else:
            _print(shop, compared)


def _print(shop: Shop, compared: Sequence[Before]) -> None:
    out = Console()
    for one in compared[:LISTED]:
        facts = shop.state.facts([*one.before, *one.after])
        table = Table("", "before", "after", title=f"shopper {one.user_id}", title_justify="left")
        for at in range(max(len(one.before), len(one.after))):
            sides = (side[at] if at < len(side) else "" for side in (one.before, one.after))
            cells = (f"{i} {facts.get(i, {}).get('title', '')}".strip() for i in sides)
            table.add_row(str(at + 1), *map(Text, cells))
        out.print(table)
    table = Table("rule", "met", "items moved", "price", title=f"{len(compared)} shoppers")
    for line in prices(compared):
        table.add_row(Text(line.name), f"{line.met:.0%}", f"{line.moved:.1f}", f"{line.price:.2%}")
    cost = float(np.mean([one.cost for one in compared])) if compared else 0.0
    table.add_row("all together", "", "", f"{cost:.2%}")
    out.print(table)
    _print_expected(out, compared)
    for one in compared:
        relaxed = [f"{effect.name}: {effect.relaxed}" for effect in one.effects if effect.relaxed]
        relaxed += [f"pin of {item_id}: not on offer" for item_id in one.unset]
        if relaxed:
            out.print(Text(f"shopper {one.user_id}: {'; '.join(relaxed)}"))


def _expected(compared: Sequence[Before]) -> dict[str, dict[str, float | None]] | None:
    """Return what slates are expected to bring, as JSON-ready values; null where untold."""
    sides = outcome(compared)
    if sides is None:
        return None
    return {
        name: {key: value if isfinite(value) else None for key, value in asdict(side).items()}
        for name, side in zip(("before", "after"), sides, strict=True)
    }


def _print_expected(out: Console, compared: Sequence[Before]) -> None:
    told = _expected(compared)
    if told is None:
        return
    table = Table("expected of a slate", "before", "after", "change")
    for name in WEIGHTS:
        before, after = told["before"][name], told["after"][name]
        if before is None or after is None:
            continue
        change = f"{after / before - 1:+.1%}" if before > 0 else ""
        table.add_row(name, f"{before:.3f}", f"{after:.3f}", change)
    out.print(table)
