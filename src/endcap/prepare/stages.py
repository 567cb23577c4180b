"""Run the steps one after the other on an engine, and keep the account."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from endcap.prepare import bots, bulk, checks, refunds, repeats, words
from endcap.prepare.engine import Engine, Source
from endcap.prepare.report import EXAMPLES, Step
from endcap.schema.actors import PROBE, VISITOR_PREFIX
from endcap.schema.errors import DataError, nearest
from endcap.schema.progress import Progress
from endcap.schema.settings import PrepareSettings

DAY_US: Final = 86_400_000_000
STAGES: Final = 6
SHORT_CODE: Final = 3
"""Without a catalogue a shorter code may well be a product."""
COLUMNS: Final = ("actor", "item", "kind", "time", "value", "quantity", "basket", "visit")
ORDER: Final = ("actor", "time", "basket", "item", "kind")


@dataclass(frozen=True, slots=True)
class Clean:
    """What is left, sorted by (actor, time), and how it came to be so.

    Attributes
    ----------
    rows
        `COLUMNS`: actor and item are places in `actors` and `items`, kind one in `kinds`.
    actors, items
        Sorted external ids, string arrays.
    kinds
        Names of the kinds by number.
    daily
        (day, kind, events) as read; kind -1 is one that nobody defined.
    """

    rows_in: int
    rows: pa.Table
    actors: pa.Array
    items: pa.Array
    kinds: tuple[str, ...]
    daily: pa.Table
    steps: tuple[Step, ...]


@dataclass
class Cleaner:
    """The steps of one run."""

    engine: Engine
    settings: PrepareSettings
    weights: Mapping[str, float]
    progress: Progress
    steps: list[Step] = field(default_factory=list)
    done: int = 0

    def clean(
        self, source: Source, catalogue: pa.Table | None, aliases: Mapping[str, str], now: datetime
    ) -> Clean:
        """Run all steps."""
        raw = self._read(source, aliases)
        actors, items = self._actors(raw), self._items(raw, catalogue)
        judged = self._judge(raw, actors, items, now)
        daily = judged.group_by(day=judged.time // DAY_US, kind=judged.kind)
        daily = self.engine.arrow(daily.aggregate(events=judged.count()))
        rows_in = self._account(judged, actors, items)
        sound = rows_in - sum(step.removed for step in self.steps)
        kept = self._merge(judged, sound)
        kept = self._bots(kept, actors) if self.settings.drop_bots else kept
        kept = self._refunds(kept)
        self._bulk(kept)
        rows = self.engine.arrow(kept.select(*COLUMNS).order_by(list(ORDER)))
        self._tell("sorted")
        kinds = tuple(words.kind_codes(self.weights))
        steps = tuple(self.steps)
        return Clean(rows_in, rows, self._ids(actors), self._ids(items), kinds, daily, steps)

    def _tell(self, note: str) -> None:
        self.done += 1
        self.progress(self.done, STAGES, note)

    def _ids(self, names: ir.Table) -> pa.Array:
        ids = self.engine.arrow(names.order_by("code").select("id"))["id"]
        return pa.concat_arrays(ids.chunks) if ids.num_chunks else pa.array([], pa.string())

    def _read(self, source: Source, aliases: Mapping[str, str]) -> ir.Table:
        events = self.engine.source(source)
        need(events.columns)
        conformed = words.doubt(words.conform(events))
        if not isinstance(source, pa.Table | Path | str):  # batches pass by only once
            conformed = self.engine.keep(conformed)
        alias = self.engine.source(words.alias_table(aliases)) if aliases else None
        self._tell("read")
        return words.resolve(words.turn_negatives(conformed), alias)

    def _actors(self, raw: ir.Table) -> ir.Table:
        """Number the actors and flag those that stand for nobody."""
        actors = words.numbered(raw, "actor")
        nobody = actors.id.lower().isin([name.lower() for name in self.settings.ignore_actors])
        probing = actors.id.startswith(f"{VISITOR_PREFIX}{PROBE}-")
        return self.engine.keep(actors.mutate(nobody=nobody | probing))

    def _items(self, raw: ir.Table, catalogue: pa.Table | None) -> ir.Table:
        """Number the items and flag those that are no products."""
        items = words.numbered(raw, "item_id")
        ignored = [code.upper() for code in self.settings.ignore_items]
        listed: Any = ibis.literal(False)
        if catalogue is None or not catalogue.num_rows:
            ignored = [code for code in ignored if len(code) >= SHORT_CODE]
        else:
            known = self.engine.source(catalogue.select(["item_id"]))
            listed = items.id.isin(known.item_id.cast("string"))
        pseudo = items.id.upper().strip().isin(ignored) & ~listed
        return self.engine.keep(items.mutate(pseudo=pseudo))

    def _judge(self, raw: ir.Table, actors: ir.Table, items: ir.Table, now: datetime) -> ir.Table:
        codes = words.kind_codes(self.weights)
        wanted = [code for kind, code in codes.items() if self.weights.get(kind, 0.0) > 0]
        limits = checks.Limits.of(self.settings, [*wanted, refunds.REFUND], now)
        judged = self.engine.keep(checks.judge(words.coded(raw, actors, items, codes), limits))
        self._tell("checked")
        return judged

    def _account(self, judged: ir.Table, actors: ir.Table, items: ir.Table) -> int:
        """Add a step for each rule that removed something; return how many rows there were."""
        counted = judged.group_by("reason").aggregate(n=judged.count())
        found = {row["reason"]: row["n"] for row in self.engine.rows(counted)}
        for number, rule in enumerate(checks.RULES):
            if number in found:
                examples = self._examples(judged.filter(judged.reason == number), actors, items)
                self.steps.append(Step(rule.name, rule.why, found[number], {}, examples))
        return sum(found.values())

    def _examples(
        self, rows: ir.Table, actors: ir.Table, items: ir.Table
    ) -> tuple[dict[str, Any], ...]:
        order = ["time", "actor", "item", "kind", "quantity", "price"]
        some = rows.order_by(order).limit(EXAMPLES)
        named = some.left_join(actors.select(actor="code", actor_id="id"), "actor")
        named = named.left_join(items.select(item="code", item_id="id"), "item")
        kinds = [*words.kind_codes(self.weights), "(unknown)"]
        return tuple(
            {
                "actor": row["actor_id"],
                "item": row["item_id"],
                "kind": kinds[row["kind"]],
                "time": moment(row["time"]),
                "quantity": row["quantity"],
                "price": None if row["price"] is None else round(row["price"], 4),
            }
            for row in self.engine.rows(named.order_by(order))
        )

    def _merge(self, judged: ir.Table, before: int) -> ir.Table:
        sound = judged.filter(judged.reason.isnull())
        single = self.engine.keep(repeats.once(sound))
        between = self.engine.count(single)
        self.engine.drop(judged)
        merged = self.engine.keep(repeats.one_line(single))
        after = self.engine.count(merged)
        self.engine.drop(single)
        self.steps += [
            Step("repeats", "the same event once more", before - between),
            Step("order lines", "merged with the line of the same instant", between - after),
        ]
        self._tell("merged")
        return merged

    def _bots(self, events: ir.Table, actors: ir.Table) -> ir.Table:
        caught, notes = self._caught(events)
        if not notes["bots"]:
            self._tell("no bots")
            return events
        kept = self.engine.keep(bots.without(events, caught))
        removed = self.engine.count(events) - self.engine.count(kept)
        named = caught.join(actors, caught.actor == actors.code).select(actor="id")
        some = tuple(self.engine.rows(named.order_by("actor").limit(EXAMPLES)))
        self.steps.append(Step("bots", "browsing by machines", removed, notes, some))
        self.engine.drop(events, caught)
        self._tell("bots")
        return kept

    def _caught(self, events: ir.Table) -> tuple[ir.Table, dict[str, int]]:
        """Return (actor) of the bots, and how many each rule found."""
        hours = self.engine.keep(bots.hourly(events))
        peaks = self.engine.keep(bots.busiest(hours))
        limit = self._outlier(peaks, self.settings.bot_spread)
        hasty = self.engine.keep(bots.hasty(peaks, hours, events, limit, self.settings))
        even = self.engine.keep(bots.regular(peaks, events, self.settings))
        caught = self.engine.keep(hasty.union(even).distinct())
        found = {"bots": caught, "too quick": hasty, "too regular": even}
        notes = {name: self.engine.count(table) for name, table in found.items()}
        self.engine.drop(hours, peaks, hasty, even)
        return caught, notes

    def _outlier(self, actors: ir.Table, sigmas: float) -> float:
        """Return what is too much for the ``peak`` of an actor, by this shop's own measure."""
        median = self.engine.rows(bots.logs(actors))[0]["median"] or 0.0
        mad = self.engine.rows(bots.spread(actors, median))[0]["mad"] or 0.0
        return bots.outlier(median, mad, sigmas)

    def _bulk(self, events: ir.Table) -> None:
        """Name the buyers in bulk; they stay."""
        buyers = self.engine.keep(bulk.buyers(events))
        usual = self._outlier(buyers, self.settings.bulk_spread)
        limit = max(usual, self.settings.bulk_units - 1)
        (counts,) = self.engine.rows(bulk.account(buyers, limit))
        notes = {name: round(count or 0) for name, count in counts.items()}
        if notes["buyers"]:
            why = "kept: a line counts once, however many units"
            self.steps.append(Step("bulk buyers", why, 0, notes))
        self.engine.drop(buyers)

    def _refunds(self, events: ir.Table) -> ir.Table:
        settled = self.engine.keep(refunds.settle(refunds.touched(events)))
        (counts,) = self.engine.rows(refunds.account(settled))
        notes = {name: int(count or 0) for name, count in counts.items()}
        if not notes["refunds"]:
            self._tell("no refunds")
            return events
        kept = self.engine.keep(refunds.without(events, settled))
        removed = self.engine.count(events) - self.engine.count(kept)
        self.steps.append(Step("refunds", "sent back, and what they cancel", removed, notes))
        self.engine.drop(events, settled)
        self._tell("refunds")
        return kept


def need(columns: tuple[str, ...]) -> None:
    """Refuse events that do not say who did what when."""
    for wanted in (("item_id",), ("user_id", "visitor_id"), ("time",)):
        if not set(wanted) & set(columns):
            raise DataError(
                f"The events have no column {' or '.join(wanted)}.",
                hint=nearest(wanted[0], columns),
            )


def moment(microseconds: int | None) -> str | None:
    """Return a time for people, ``2011-12-09 12:50:00Z``; None stays None."""
    return None if microseconds is None else str(pa.scalar(microseconds, pa.timestamp("us", "UTC")))
