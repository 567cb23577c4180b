"""Run the steps one after the other on an engine, and keep the account."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

import ibis
import ibis.expr.types as ir
import pyarrow as pa

from endcap.prepare import bots, checks, refunds, repeats, words
from endcap.prepare.engine import Engine, Source
from endcap.prepare.report import EXAMPLES, Step
from endcap.schema.errors import DataError, nearest
from endcap.schema.progress import Progress
from endcap.schema.settings import PrepareSettings

DAY_US: Final = 86_400_000_000
STAGES: Final = 6
SHORT_CODE: Final = 3  # without a catalogue a shorter code may well be a product


@dataclass(frozen=True, slots=True)
class Clean:
    """What is left, sorted by (actor, time), and how it came to be so.

    Attributes
    ----------
    rows
        actor, item (places in `actors` and `items`), kind, time, value, quantity, basket, visit.
    actors, items
        Sorted external ids, string arrays.
    daily
        (day, kind, events) as read.
    """

    rows_in: int
    rows: pa.Table
    actors: pa.Array
    items: pa.Array
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
        actors, items = self._names(raw, catalogue)
        judged = self._judge(raw, actors, items, now)
        daily = judged.group_by(day=judged.time // DAY_US, kind=judged.kind)
        days = self.engine.arrow(daily.aggregate(events=judged.count()))
        rows_in = self._count_reasons(judged, actors, items)
        kept = self._merge(judged)
        if self.settings.drop_bots:
            kept = self._bots(kept, actors)
        kept = self._refunds(kept)
        order = ["actor", "time", "basket", "item", "kind"]
        columns = ["actor", "item", "kind", "time", "value", "quantity", "basket", "visit"]
        rows = self.engine.arrow(kept.select(*columns).order_by(order))
        self._tell("sorted")
        return Clean(
            rows_in,
            rows,
            self._ids(actors),
            self._ids(items),
            days,
            tuple(self.steps),
        )

    def _tell(self, note: str) -> None:
        self.done += 1
        self.progress(self.done, STAGES, note)

    def _ids(self, names: ir.Table) -> pa.Array:
        return self.engine.arrow(names.order_by("code").select("id"))["id"].combine_chunks()

    def _read(self, source: Source, aliases: Mapping[str, str]) -> ir.Table:
        events = self.engine.source(source)
        need(events.columns)
        alias = self.engine.source(words.alias_table(aliases)) if aliases else None
        conformed = words.turn_negatives(words.conform(events))
        raw = self.engine.keep(words.resolve(conformed, alias).drop("user_id", "visitor_id"))
        self._tell("read")
        return raw

    def _names(self, raw: ir.Table, catalogue: pa.Table | None) -> tuple[ir.Table, ir.Table]:
        """Number actors and items, and flag what stands for nobody and for no product."""
        actors = words.numbered(raw, "actor")
        nobody = actors.id.lower().isin([name.lower() for name in self.settings.ignore_actors])
        items = words.numbered(raw, "item_id")
        ignored = [code.upper() for code in self.settings.ignore_items]
        if catalogue is None or not catalogue.num_rows:
            ignored = [code for code in ignored if len(code) >= SHORT_CODE]
            known: Any = ibis.literal(False)
        else:
            listed = self.engine.source(catalogue.select(["item_id"]))
            known = items.id.isin(listed.item_id.cast("string"))
        flagged = items.mutate(pseudo=items.id.upper().strip().isin(ignored) & ~known)
        return self.engine.keep(actors.mutate(nobody=nobody)), self.engine.keep(flagged)

    def _judge(self, raw: ir.Table, actors: ir.Table, items: ir.Table, now: datetime) -> ir.Table:
        kinds = [kind for kind, weight in self.weights.items() if weight > 0]
        limits = checks.Limits.of(self.settings, [*kinds, refunds.REFUND], now)
        judged = self.engine.keep(checks.judge(words.coded(raw, actors, items), limits))
        self.engine.drop(raw)
        self._tell("checked")
        return judged

    def _count_reasons(self, judged: ir.Table, actors: ir.Table, items: ir.Table) -> int:
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
        some = some.left_join(actors.select(actor="code", actor_id="id"), "actor")
        some = some.left_join(items.select(item="code", item_id="id"), "item")
        some = some.select("actor_id", "item_id", *order)
        return tuple(
            {
                "actor": row["actor_id"],
                "item": row["item_id"],
                "kind": row["kind"],
                "time": _moment(row["time"]),
                "quantity": row["quantity"],
                "price": row["price"],
            }
            for row in self.engine.rows(some.order_by(order))
        )

    def _merge(self, judged: ir.Table) -> ir.Table:
        sound = judged.filter(judged.reason.isnull())
        before = self.engine.count(sound)
        single = self.engine.keep(repeats.once(sound))
        self.engine.drop(judged)
        between = self.engine.count(single)
        merged = self.engine.keep(repeats.one_line(single))
        self.engine.drop(single)
        after = self.engine.count(merged)
        self.steps += [
            Step("repeats", "the same event once more", before - between),
            Step("order lines", "merged with the line of the same instant", between - after),
        ]
        self._tell("merged")
        return merged

    def _bots(self, events: ir.Table, actors: ir.Table) -> ir.Table:
        hours = self.engine.keep(bots.hourly(events))
        peaks = self.engine.keep(bots.busiest(hours))
        median = self.engine.rows(bots.logs(peaks))[0]["median"] or 0.0
        mad = self.engine.rows(bots.spread(peaks, median))[0]["mad"] or 0.0
        limit = bots.rate_limit(median, mad, self.settings)
        hasty = self.engine.keep(bots.hasty(peaks, hours, events, limit, self.settings))
        regular = self.engine.keep(bots.regular(peaks, events, self.settings))
        caught = self.engine.keep(hasty.union(regular).distinct())
        notes = {
            "bots": self.engine.count(caught),
            "too quick": self.engine.count(hasty),
            "too regular": self.engine.count(regular),
        }
        self.engine.drop(hours, peaks, hasty, regular)
        if not notes["bots"]:
            self._tell("no bots")
            return events
        seen = events.anti_join(caught, "actor")
        paid = events.filter(events.kind.isin(bots.DELIBERATE)).semi_join(caught, "actor")
        kept = self.engine.keep(seen.union(paid))
        removed = self.engine.count(events) - self.engine.count(kept)
        who = caught.join(actors, caught.actor == actors.code).order_by("id").limit(EXAMPLES)
        examples = tuple({"actor": row["id"]} for row in self.engine.rows(who.select("id")))
        self.steps.append(Step("bots", "browsing by machines", removed, notes, examples))
        self.engine.drop(events, caught)
        self._tell("bots")
        return kept

    def _refunds(self, events: ir.Table) -> ir.Table:
        trade = refunds.touched(events)
        settled = self.engine.keep(refunds.settle(trade))
        if not self.engine.count(settled):
            self._tell("no refunds")
            return events
        kept = self.engine.keep(refunds.without_refunds(events, settled))
        removed = self.engine.count(events) - self.engine.count(kept)
        (notes,) = self.engine.rows(refunds.account(settled))
        self.steps.append(Step("refunds", "sent back, and what they cancel", removed, notes))
        self.engine.drop(events, settled)
        self._tell("refunds")
        return kept


def need(columns: tuple[str, ...]) -> None:
    """Refuse events without an item or an actor column."""
    for wanted in (("item_id",), ("user_id", "visitor_id"), ("time",)):
        if not set(wanted) & set(columns):
            raise DataError(
                f"The events have no column {' or '.join(wanted)}.",
                hint=nearest(wanted[0], columns),
            )


def _moment(microseconds: int | None) -> str | None:
    if microseconds is None:
        return None
    return str(pa.scalar(microseconds, pa.timestamp("us", "UTC")))
