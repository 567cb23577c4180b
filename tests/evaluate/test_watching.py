"""A fit that would outlast its time is ended; what it had begun stops, and the others go on."""

import threading
from typing import Any

import numpy as np
import pytest

from endcap.evaluate import tuning
from endcap.evaluate.choosing import choose
from endcap.evaluate.lineup import Entrant
from endcap.evaluate.tuning import Trial, Tuner
from endcap.evaluate.watching import OutOfTimeError, Watch
from endcap.models import specs
from endcap.models.parallel import over_blocks
from endcap.models.popular import Popular
from endcap.prepare.dataset import Dataset
from endcap.prepare.split import DAY_US, Temporal
from endcap.schema.progress import Progress, silent


class Hands:
    """A clock that stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


class Slow(Popular):
    """Popular, ten seconds for each of a hundred steps."""

    def fit(self, data: Dataset, rng: Any = 0, progress: Progress = silent) -> Any:
        for step in range(100):
            HANDS.now += 10
            progress(step + 1, 100, "steps")
        return super().fit(data, rng)


HANDS = Hands()


@pytest.fixture
def trial(monkeypatch: pytest.MonkeyPatch) -> Trial:
    known = specs.make

    def make(name: str, settings: Any = None) -> Any:
        return Slow() if name == "slow" else known(name, settings)

    monkeypatch.setattr(tuning.specs, "make", make)
    users = [f"u{n % 90}" for n in range(900)]
    items = [f"i{n * n % 31}" for n in range(900)]
    times = np.arange(900, dtype=np.int64) * DAY_US // 4
    return Trial.of(Temporal(days=40).apply(Dataset.of(users, items, times=times)))


def test_even_steps_are_foreseen() -> None:
    clock = Hands()
    watch = Watch(100.0, clock)
    clock.now = 30
    watch(1, 2, "a stage: nothing follows from it")
    clock.now = 31
    watch(1, 100)
    watch(2, 100)
    clock.now = 32
    watch(3, 100)  # 30 + 2 * 100 / 3 = 97 s
    clock.now = 36
    with pytest.raises(OutOfTimeError, match="would take"):
        watch(4, 100)  # 30 + 6 * 100 / 4 = 180 s


def test_a_limit_holds_where_nothing_can_be_foreseen() -> None:
    clock = Hands()
    watch = Watch(10.0, clock)
    clock.now = 9
    watch(1, 3)
    clock.now = 11
    with pytest.raises(OutOfTimeError, match="not done"):
        watch(2, 3)


def test_a_slow_model_is_ended_and_the_others_take_part(trial: Trial) -> None:
    HANDS.now = 0.0
    entrants = {"popular": Entrant("popular"), "slow": Entrant("slow"), "knn": Entrant("item-knn")}
    found = choose(entrants, trial, budget_s=600, clock=HANDS)
    assert list(found.choices) == ["popular", "knn"]
    assert found.skipped["slow"].startswith("no time: 510 s left, a fit would take")
    assert HANDS.now <= 30  # of a thousand seconds


def test_settings_that_take_too_long_are_given_up(trial: Trial) -> None:
    HANDS.now = 0.0
    tuner = Tuner(Entrant("slow", {"count": ("users", "events")}), trial, HANDS)
    first = tuner.first()
    assert first.fit_s == 1000
    best = tuner.climb(first, deadline=HANDS.now + 1200)
    assert (best.trials, HANDS.now) == (2, 2000.0)
    HANDS.now = 0.0
    quick = Tuner(Entrant("popular", {"count": ("users", "events")}), trial, HANDS)
    first = quick.first()
    quick._entrant = Entrant("slow", quick._entrant.axes)
    best = quick.climb(first, deadline=100.0)
    assert best.settings == first.settings
    assert HANDS.now <= 30


def test_an_error_of_who_listens_ends_the_blocks_that_wait() -> None:
    worked, gate = [], threading.Event()

    def work(start: int, stop: int) -> int:
        if start:
            gate.wait(10)
        worked.append(start)
        return start

    def stop(done: int, total: int, note: str = "") -> None:
        threading.Timer(0.1, gate.set).start()
        raise OutOfTimeError

    with pytest.raises(OutOfTimeError):
        over_blocks(1000, 10, work, stop)
    assert len(worked) < 20
