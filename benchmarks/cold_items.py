"""Cold items: a tenth of the items is unknown in training, and ranks among all items when asked.

A share of the items (drawn by ``--seed``) loses every interaction in train and in histories; then
all items are ranked for each user's last item. *cold* are users whose target was held out, *warm*
all others. Warm loss compares the same system with new items admitted and kept out. How strongly
new items are admitted is chosen on the validation items, with another share of the known items
held out in pretence: the strength with the best cold recall whose warm loss stays within bounds.

A list by popularity cannot hold an item that nobody has touched, so four priors are printed:
``random`` (10 of all unseen items, expected), ``popular`` (as trained: 0), ``popular, told``
(popularity counted with the held-out interactions: more than anybody could know) and ``category``
(10 random items of a category drawn from the history, expected). The ratio is to the best of the
first three; the category is a use of content, and stands beside it.

    python -m benchmarks cold_items                                 (Amazon Beauty)
    python -m benchmarks cold_items --share 0.2 --base slit --data DIR
    python -m benchmarks cold_items --deep                          (two-tower too)
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from benchmarks import data, report
from benchmarks.leave_one_out import labels_of
from endcap.evaluate.exam import Exam
from endcap.evaluate.intervals import bootstrap, percentile
from endcap.evaluate.meter import Meter
from endcap.evaluate.metrics import hits, ndcg, recall
from endcap.models.aligned import Aligned
from endcap.models.base import Model
from endcap.models.content import Content
from endcap.models.popular import Popular
from endcap.models.two_tower import TwoTower
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import Fixed, Split, Targets

K: Final = 10
QUICK_USERS: Final = 500
TRIAL_USERS: Final = 50_000
STRENGTHS: Final = (1.0, 1.5, 2.0, 2.25, 2.5, 3.0, 4.0)
ADMITTED: Final = (0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 2.0)
"""Odds of new items by which the two towers are tried."""
BOUND: Final = 0.007
"""Warm loss that validation may show: below the 1 % that is asked, for validation errs."""
Mask = npt.NDArray[np.bool_]
Values = npt.NDArray[np.float64]


def main(argv: list[str]) -> dict[str, Any]:
    """Run on ``--data``, by default Amazon Beauty."""
    parser = report.parser(__doc__)
    parser.add_argument("--share", type=float, default=0.1, help="of the items held out")
    parser.add_argument("--base", help="linear model of known items (default by the data)")
    parser.add_argument("--deep", action="store_true", help="train two towers too: minutes")
    args = parser.parse_args(argv)
    source = data.load(data.find(args.data, "beauty"))
    rule = Fixed.model_validate({"labels": labels_of(source), "refit": False})
    whole = rule.apply(source.data)
    random = np.random.default_rng(args.seed)
    cold = drawn(source.data, args.share, random)
    pretence = cold | drawn(source.data, args.share, random, cold)
    most = QUICK_USERS if args.quick else None
    base = args.base or ("transitions" if source.ordered else "item-knn")
    with Meter() as meter:
        exam = Exam.of(without(whole, cold), max_users=most, seed=args.seed)
        trial = Exam.of(
            without(whole.validation(), pretence), max_users=most or TRIAL_USERS, seed=args.seed
        )
        held = pretence & ~cold
        known = Aligned(base=base).fit(trial.split.train, rng=args.seed)
        tried = try_out(known, "strength", STRENGTHS, trial, (held, pretence))
        strength = chosen(tried)
        with Meter() as fitting:
            model = Aligned(base=base, strength=strength).fit(exam.split.train, rng=args.seed)
        rows = {
            "aligned": marks(model, exam, cold),
            f"aligned, known items only ({base})": marks(model, exam, cold, ~cold),
            "content": marks(_content(exam), exam, cold),
            "popular": marks(Popular().fit(exam.split.train), exam, cold),
            "popular, told": marks(Popular().fit(whole.train), exam, cold),
        }
        if args.deep:
            rows |= _towers(args, exam, trial, (cold, held, pretence))
    ours, kept_out = rows["aligned"], rows[f"aligned, known items only ({base})"]
    priors = {
        "random": chance(exam, cold),
        "popular": _mean(rows["popular"].cold),
        "popular, told": _mean(rows["popular, told"].cold),
        "category": category(exam, cold),
    }
    prior = max(value for name, value in priors.items() if name != "category")
    figures = {
        f"cold_recall@{K}": _mean(ours.cold),
        "popularity_prior": prior,
        "times_prior": _mean(ours.cold) / prior if prior else float("inf"),
        f"warm_recall_loss@{K}": loss(ours.recall, kept_out.recall),
        f"warm_ndcg_loss@{K}": loss(ours.ndcg, kept_out.ndcg),
        "strength": strength,
        "fit_cpu_s": fitting.cpu_s,
    }
    report.show(f"cold items ({source.name})", {name: row.means() for name, row in rows.items()})
    report.show("recall of cold targets by priors", {n: {"recall": v} for n, v in priors.items()})
    report.show("chosen system", {"aligned": figures})
    return report.outcome(
        meter,
        protocol=(
            f"{int(cold.sum()):,} of {len(cold):,} items ({args.share:.0%}, drawn) without "
            f"interactions in train and histories; {whole.protocol}; full ranking of all items, "
            f"seen excluded; {len(ours.cold):,} users with a cold target, {len(ours.ndcg):,} with "
            f"a warm one, all with a history; strength chosen on validation with "
            f"{int((pretence & ~cold).sum()):,} known items held out, warm loss within {BOUND:.1%}"
        ),
        figures=figures,
        intervals={f"cold_recall@{K}": _interval(ours.cold, args.seed)},
        models={name: row.means() for name, row in rows.items()},
        seed=args.seed,
        fingerprint=source.data.fingerprint,
        data=source.name,
        priors=priors,
        validation={str(s): row for s, row in tried.items()},
    )


class Marks(NamedTuple):
    """Of each user with a history: recall of cold targets; recall and NDCG of warm ones."""

    cold: Values
    recall: Values
    ndcg: Values

    def means(self) -> dict[str, float]:
        """Return the means by name."""
        names = (f"cold recall@{K}", f"warm recall@{K}", f"warm ndcg@{K}")
        return dict(zip(names, map(_mean, self), strict=True))


def drawn(
    source: Dataset, share: float, random: np.random.Generator, besides: Mask | None = None
) -> Mask:
    """Return bool (n_items,): a share of the items that anybody took, none of those `besides`."""
    taken = np.bincount(source.column("item"), minlength=len(source.items)) > 0
    among = np.flatnonzero(taken if besides is None else taken & ~besides)
    out = np.zeros(len(source.items), dtype=bool)
    out[random.choice(among, int(share * len(among)), replace=False)] = True
    return out


def without(split: Split, cold: Mask) -> Split:
    """Take items out of what is learnt from and what is known of users; targets stay."""
    train, history = (
        part.where(~cold[part.column("item")]) for part in (split.train, split.history)
    )
    return replace(split, train=train, history=history)


def try_out(
    model: Model, setting: str, values: Sequence[float], trial: Exam, masks: tuple[Mask, Mask]
) -> dict[float, dict[str, float]]:
    """Return cold recall and warm losses on validation for each value of a setting.

    Parameters
    ----------
    masks
        Items held out in pretence; and those with the ones held out in earnest, of which nothing
        may be learnt here.
    """
    cold, hidden = masks
    real = hidden & ~cold
    kept_out = marks(model, trial, cold, ~hidden, real)
    out = {}
    for value in values:
        spec = model.spec.model_copy(update={setting: value})
        row = marks(replace(model, spec=spec), trial, cold, ~real, real)
        out[value] = {
            "cold_recall": _mean(row.cold),
            "recall_loss": loss(row.recall, kept_out.recall),
            "ndcg_loss": loss(row.ndcg, kept_out.ndcg),
        }
        report.say(f"{setting} {value}: {out[value]}")
    return out


def _towers(
    args: Any, exam: Exam, trial: Exam, masks: tuple[Mask, Mask, Mask]
) -> dict[str, "Marks"]:
    """Mark the two towers, which admit new items as strongly as validation lets them."""
    cold, held, pretence = masks
    spec = TwoTower(**({"epochs": 1} if args.quick else {}))
    tried = try_out(
        spec.fit(trial.split.train, rng=args.seed), "admit", ADMITTED, trial, (held, pretence)
    )
    model = spec.model_copy(update={"admit": chosen(tried)}).fit(exam.split.train, rng=args.seed)
    return {
        f"two-tower (admit {chosen(tried)})": marks(model, exam, cold),
        "two-tower, known items only": marks(model, exam, cold, ~cold),
    }


def chosen(tried: Mapping[float, Mapping[str, float]]) -> float:
    """Return the strength with the best cold recall whose losses are within `BOUND`, else 0."""
    able = {
        strength: row["cold_recall"]
        for strength, row in tried.items()
        if max(row["recall_loss"], row["ndcg_loss"]) <= BOUND
    }
    return max(able, key=lambda strength: able[strength]) if able else 0.0


def marks(
    model: Model, exam: Exam, cold: Mask, allowed: Mask | None = None, left_out: Mask | None = None
) -> Marks:
    """Mark a model apart on cold and on warm targets; targets `left_out` are in neither."""
    rows = None if allowed is None else np.flatnonzero(allowed).astype(np.int32)
    lists = model.retrieve(replace(exam.queries, allowed=rows), K)
    warm = ~cold if left_out is None else ~(cold | left_out)
    found = {}
    for name, mask in (("cold", cold), ("warm", warm)):
        targets = _only(exam, mask)
        asked = exam.warm & (targets.counts > 0)
        hit, relevant = hits(lists, targets, K)[asked], targets.counts[asked]
        found[name] = recall(hit, relevant, K), ndcg(hit, relevant, K)
    return Marks(found["cold"][0], *found["warm"])


def loss(ours: Values, kept_out: Values) -> float:
    """Return the relative loss of a mean; below 0 it is a gain."""
    before = _mean(kept_out)
    return 1 - _mean(ours) / before if before else 0.0


def chance(exam: Exam, cold: Mask) -> float:
    """Return the expected recall of cold targets by `K` random unseen items."""
    asked = exam.warm & (_only(exam, cold).counts > 0)
    return float((K / (len(cold) - np.diff(exam.queries.exclude_indptr)[asked])).mean())


def category(exam: Exam, cold: Mask) -> float:
    """Return the expected recall of cold targets by random items of a category of the history."""
    paths = exam.split.train.item_table["categories"].to_pylist()
    names = ["" if not path else path[-1] for path in paths]
    codes = np.unique(names, return_inverse=True)[1]
    sizes = np.bincount(codes)
    targets = _only(exam, cold)
    lengths = np.diff(exam.queries.indptr)
    found = []
    for q in np.flatnonzero(exam.warm & (targets.counts > 0)):
        history = codes[exam.queries[q : q + 1].items]
        wanted = codes[targets.items[targets.indptr[q] : targets.indptr[q + 1]]]
        share = (history[:, None] == wanted).sum(axis=0) / lengths[q]
        found.append(float((share * np.minimum(1, K / sizes[wanted])).mean()))
    return float(np.mean(found)) if found else float("nan")


def _content(exam: Exam) -> Model:
    spec = Content.parse(
        {
            "dimensions": 0,
            "decay_events": 2.5,
            "text": {"bits": 18, "ngram_share": 0.0},
        }
    )
    return spec.fit(exam.split.train, rng=exam.seed)


def _only(exam: Exam, mask: Mask) -> Targets:
    kept = mask[exam.targets.items]
    counts = np.bincount(exam.targets.owner[kept], minlength=len(exam))
    return Targets(np.concatenate(([0], np.cumsum(counts))), exam.targets.items[kept])


def _mean(values: Values) -> float:
    return float(values.mean()) if len(values) else float("nan")


def _interval(values: Values, seed: int) -> list[float]:
    (interval,) = percentile(bootstrap(values[:, None], seed=seed))
    return list(interval)
