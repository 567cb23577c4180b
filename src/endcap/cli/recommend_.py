"""``endcap recommend``: what to show a shopper, or next to an item, and why."""

import json
import logging
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from endcap.recommend.recipe import HOME, SIMILAR
from endcap.recommend.shop import Shop
from endcap.recommend.slate import Request, Slate
from endcap.schema.errors import RequestError
from endcap.schema.settings import load_settings
from endcap.serve.logs import configure_logs

app = typer.Typer(add_completion=False)

LATELY = 8


class Language(StrEnum):
    """Of the reasons."""

    en = "en"
    zh = "zh"


@app.command()
def recommend(  # noqa: PLR0917
    user: Annotated[str | None, typer.Option(help="Whom: a user's id.")] = None,
    visitor: Annotated[str | None, typer.Option(help="Whom: an anonymous visitor's id.")] = None,
    like: Annotated[str | None, typer.Option(help="Instead: what goes with this item.")] = None,
    k: Annotated[int, typer.Option(help="How many.", min=1, max=500)] = 10,
    placement: Annotated[str | None, typer.Option(help="A placement of the recipe.")] = None,
    exclude: Annotated[list[str] | None, typer.Option(help="Not this item (repeatable).")] = None,
    condition: Annotated[
        str, typer.Option("--filter", help="Only such items: 'price < 50 and stock > 0'.")
    ] = "",
    boost: Annotated[str, typer.Option(help="A factor for scores: '1 + (margin > 0.3)'.")] = "",
    lat: Annotated[float | None, typer.Option(help="Where they are: degrees north.")] = None,
    lon: Annotated[float | None, typer.Option(help="Where they are: degrees east.")] = None,
    folder: Annotated[Path | None, typer.Option(help="Where the shop's data lies.")] = None,
    lang: Annotated[Language, typer.Option(help="Of the reasons.")] = Language.en,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    file: Annotated[Path | None, typer.Option("--config", help="An endcap.toml.")] = None,
) -> None:
    """Recommend to a shopper, or find what goes with an item, and say why.

    Whoever is unknown is answered too, by what is popular; the table says which level answered.

    Examples:

      endcap recommend --user 12347

      endcap recommend --like 22423 --k 5 --lang zh

      endcap recommend --visitor me --json

      endcap recommend --user 12347 --filter "price < 5 and item not in user.viewed.item"
    """
    if user is None and visitor is None and like is None:
        raise RequestError(
            "Recommend to whom?", hint="Name one: --user ID, --visitor ID or --like ITEM."
        )
    configure_logs(as_json=False, level=logging.ERROR)
    settings, _ = load_settings(file, flags={"store.folder": folder})
    with Shop.open(settings=settings) as shop:
        asked = {
            "user_id": user,
            "visitor_id": visitor,
            "k": k,
            "exclude": tuple(exclude or ()),
            "filter": condition,
            "boost": boost,
            "lat": lat,
            "lon": lon,
            "context_items": (like,) if like else (),
            "placement": placement or (SIMILAR if like else HOME),
        }
        request = Request.parse(asked, where="recommend")
        slate = shop.answer([request])[0]
        if as_json:
            typer.echo(json.dumps(_plain(shop, slate, lang), ensure_ascii=False))
        else:
            _print(shop, request, slate, lang)


def _print(shop: Shop, request: Request, slate: Slate, lang: Language) -> None:
    out, aside = Console(), Console(stderr=True)
    for item_id in request.context_items:
        title = shop.state.facts([item_id]).get(item_id, {}).get("title", "not in the catalogue")
        aside.print(Text(f"What goes with {item_id}: {title}"))
    if request.user_id or request.visitor_id:
        _print_lately(aside, shop, request)
    table = Table("", "item", "title", "price", "why")
    for item in slate.items:
        price = [item.properties.get(key, "") for key in ("price", "currency")]
        cells = (item.item_id, item.properties.get("title", ""), " ".join(price).strip())
        table.add_row(str(item.rank), *map(Text, (*cells, shop.why(item, lang.value))))
    out.print(table)
    said = f"served by: {slate.served_by}" + (f" ({slate.reason})" if slate.reason else "")
    aside.print(Text(f"{said}; artefact {slate.artefact or 'none: run endcap train'}"))


def _print_lately(aside: Console, shop: Shop, request: Request) -> None:
    lately = shop.lately(request.user_id, request.visitor_id, LATELY)
    if not lately:
        who = request.user_id or request.visitor_id
        aside.print(Text(f"Nothing is known of {who!r}; a fallback answers."))
        return
    table = Table("when", "what", "item", "title", title="Lately", title_justify="left")
    for event in lately:
        when = f"{event.time:%Y-%m-%d %H:%M}"
        table.add_row(when, event.kind, *map(Text, (event.item_id, event.title)))
    aside.print(table)


def _plain(shop: Shop, slate: Slate, lang: Language) -> dict[str, Any]:
    return {
        "request_id": slate.request_id,
        "served_by": slate.served_by,
        "degraded": slate.degraded,
        "reason": slate.reason,
        "artefact": slate.artefact,
        "generated_at": slate.generated_at.isoformat(),
        "items": [
            {
                "item_id": item.item_id,
                "rank": item.rank,
                "score": item.score,
                "source": item.source,
                "why": shop.why(item, lang.value),
                "reasons": [_reason(reason) for reason in item.reasons],
                **item.properties,
            }
            for item in slate.items
        ],
    }


def _reason(reason: Any) -> dict[str, Any]:
    share = reason.share if reason.share == reason.share else None  # JSON has no NaN
    said = {"kind": reason.kind, "item_id": reason.item_id, "event": reason.event, "share": share}
    said["path"] = [
        {k: v for k, v in msgspec.structs.asdict(step).items() if v} for step in reason.path
    ]
    return {key: value for key, value in said.items() if value not in (None, "", [])}
