"""Artefacts: whole or not there, damaged or not, promoted, undone, pruned."""

import dataclasses
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from datetime import timedelta
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from recommend_worlds import NOW, MemoryState, artefact, catalogue_of, checkerboard, recipe

from endcap.models.popular import Popular, PopularModel
from endcap.models.store import read_manifest
from endcap.prepare.dataset import Dataset
from endcap.prepare.vocabulary import Vocabulary
from endcap.recommend.artefacts import (
    Artefact,
    current,
    ids,
    listing,
    load_artefact,
    load_serving,
    new_id,
    promote,
    prune,
    publish,
    rollback,
    training_lock,
)
from endcap.recommend.recommender import Recommender
from endcap.recommend.slate import Request
from endcap.recommend.training import train
from endcap.schema.errors import ArtefactError, BusyError, DataError
from endcap.schema.settings import EventSettings, PrepareSettings, Settings
from rounds import sized

OFFSETS = sized(1, 200)
"""Places at which each file of an artefact is damaged."""
ASKED = Request(user_id="u01", k=5)


def trained(folder: Path, n: int, **about) -> str:
    """Train the nth artefact of a folder, n days after the first."""
    made = train(checkerboard(), recipe(), folder, now=NOW + n * timedelta(days=1), **about)
    return made.id


def shop() -> MemoryState:
    state = MemoryState(catalogue_of([f"i{i:02}" for i in range(13)]))
    state.add("u01", "i01")
    state.add("u01", "i03")
    return state


def test_what_is_read_back_answers_the_same_bit_for_bit(tmp_path):
    made = artefact(checkerboard(), recipe(**{"ease": 0.6, "ials": 0.4}), id=new_id(NOW, "x"))
    publish(tmp_path, made)
    assert current(tmp_path) is None  # published is not promoted
    back = load_artefact(tmp_path, made.id)
    assert back.recipe == made.recipe
    assert list(back.models) == list(made.models)
    answers = [Recommender(a).recommend([ASKED], shop()) for a in (made, back)]
    assert answers[0] == answers[1]


def test_training_promotes_and_says_what_it_made(tmp_path):
    settings = Settings(
        prepare=PrepareSettings(half_life_days=7), events=EventSettings(kinds={"view": 0.5})
    )
    told = {}

    def progress(name):
        return lambda done, total, note="": told.setdefault(name, []).append((done, total))

    made = train(
        checkerboard(), recipe(), tmp_path, now=NOW, seed=3, settings=settings, progress=progress,
        facts={"metrics": {"ndcg@10": 0.5}},
    )  # fmt: skip
    assert current(tmp_path) == made.id == ids(tmp_path)[0]
    assert made.facts["dataset"] == checkerboard().fingerprint
    assert made.facts["seed"] == 3
    assert made.facts["metrics"] == {"ndcg@10": 0.5}
    assert set(made.facts["seconds"]) == set(recipe().models)
    assert (made.weigh.half_life_days, made.weigh.kinds["view"]) == (7, 0.5)
    assert made.weigh.end == checkerboard().end
    assert "ease" in told
    line = listing(tmp_path)[0]
    assert (line.id, line.current, line.recipe, line.created) == (made.id, True, "test", NOW)
    assert line.bytes == sum(p.stat().st_size for p in (tmp_path / "models" / made.id).rglob("*.*"))


def test_same_data_and_seed_give_the_same_files(tmp_path):
    folders = [tmp_path / name for name in ("one", "two")]
    made = [trained(folder, 0) for folder in folders]
    assert made[0] == made[1]
    hashes = [
        {k: v for k, v in _manifest(folder)["files"].items() if not k.endswith("manifest.json")}
        for folder in folders
    ]
    assert hashes[0] == hashes[1]


def _manifest(folder: Path) -> dict:
    return read_manifest(folder / "models" / ids(folder)[0])


def test_nothing_to_learn_from_is_said(tmp_path):
    with pytest.raises(DataError, match="nothing to learn from"):
        train(Dataset.of([], []), recipe(), tmp_path)
    assert Recommender.load(tmp_path).trouble == "no model was trained yet"


def files_of(folder: Path) -> list[Path]:
    return sorted(p for p in (folder / "models").glob("2*/**/*") if p.is_file())


@pytest.mark.torture
def test_each_damaged_file_is_noticed_and_the_older_artefact_answers(tmp_path):
    """Row 32: a bit is flipped in one place of each file here, in 200 in the long form."""
    older, newer = trained(tmp_path, 0), trained(tmp_path, 1)
    rng = np.random.default_rng(2)
    files = [path for path in files_of(tmp_path) if newer in str(path)]
    assert len(files) > 20
    for path in files:
        sound = path.read_bytes()
        for _ in range(OFFSETS):
            spoilt = bytearray(sound)
            spoilt[rng.integers(len(spoilt))] ^= 1 << rng.integers(8)
            path.write_bytes(spoilt)
            with pytest.raises(ArtefactError):
                load_artefact(tmp_path, newer)
        path.write_bytes(sound[: len(sound) // 2])
        with pytest.raises(ArtefactError):
            promote(tmp_path, newer)
        path.unlink()
        recommender = Recommender.load(tmp_path)
        assert (recommender.artefact, newer in recommender.trouble) == (older, True), path
        path.write_bytes(sound)
    slate = recommender.recommend([ASKED], shop())[0]
    assert (slate.served_by, slate.degraded) == ("personal", True)
    assert "was refused" in slate.reason
    assert Recommender.load(tmp_path).artefact == newer


def test_when_all_are_damaged_the_catalogue_answers(tmp_path):
    trained(tmp_path, 0)
    for path in files_of(tmp_path):
        path.write_bytes(b"\0")
    recommender = Recommender.load(tmp_path)
    slate = recommender.recommend([ASKED], shop())[0]
    assert (recommender.artefact, slate.served_by, len(slate.items)) == ("", "catalogue", 5)
    assert listing(tmp_path) == []


@pytest.mark.parametrize("text", [b"", b"\xff\0", b"../../etc", b"20260101T000000000-00000000"])
def test_a_damaged_pointer_leads_to_the_newest_sound_artefact(tmp_path, text):
    made = trained(tmp_path, 0)
    (tmp_path / "models" / "current").write_bytes(text)
    found, trouble = load_serving(tmp_path)
    assert found is not None
    assert found.id == made
    assert "refused" in trouble


def test_a_model_that_answers_nonsense_never_goes_live(tmp_path):
    good = trained(tmp_path, 0)
    data = checkerboard()
    for wrong in (np.nan, np.inf):
        counts = np.full(len(data.items), wrong, np.float32)
        model = PopularModel(Popular(), data.users, data.items, counts)
        bad = dataclasses.replace(artefact(data), models={"popular": model})
        bad = dataclasses.replace(bad, id=new_id(NOW, str(wrong)))
        publish(tmp_path, bad)
        with pytest.raises(ArtefactError, match="no numbers"):
            promote(tmp_path, bad.id)
    short = PopularModel(Popular(), data.users, data.items, np.ones(3, np.float32))
    shapeless = Artefact.of(recipe(), {"popular": short}, id=new_id(NOW, "short"))
    publish(tmp_path, shapeless)
    with pytest.raises(ArtefactError, match="scores as float32"):
        promote(tmp_path, shapeless.id)
    assert current(tmp_path) == good


def test_models_of_different_data_do_not_mix():
    one, two = artefact(), artefact(checkerboard(items=11))
    with pytest.raises(ArtefactError, match="another data set"):
        Artefact.of(recipe(), {"a": one.models["ease"], "b": two.models["ease"]})


def test_rollback_goes_back_one_by_one_and_training_forward_again(tmp_path):
    first, second, third = (trained(tmp_path, n) for n in range(3))
    assert rollback(tmp_path) == second == current(tmp_path)
    assert rollback(tmp_path) == first == current(tmp_path)
    with pytest.raises(ArtefactError, match="no sound artefact before"):
        rollback(tmp_path)
    assert current(tmp_path) == first
    assert rollback(tmp_path, third) == third == current(tmp_path)
    with pytest.raises(ArtefactError, match="Did you mean"):
        rollback(tmp_path, third[:-1])
    (tmp_path / "models" / second / "ease" / "effects.npy").unlink()
    assert rollback(tmp_path) == first


def test_the_newest_five_are_kept_and_the_one_that_serves(tmp_path):
    made = [trained(tmp_path, n) for n in range(6)]
    assert ids(tmp_path) == made[1:]
    rollback(tmp_path, made[1])
    publish(tmp_path, artefact(id=new_id(NOW + timedelta(days=9), "x")))
    assert prune(tmp_path, keep=2) == made[2:5]
    assert current(tmp_path) == made[1]
    assert ids(tmp_path)[0] == made[1]


def test_twin_where_only_the_newest_is_kept_nothing_can_be_taken_back(tmp_path):
    trained(tmp_path, 0)
    newest = trained(tmp_path, 1)
    assert len(prune(tmp_path, keep=1)) == 1
    with pytest.raises(ArtefactError, match="no sound artefact before"):
        rollback(tmp_path)
    assert current(tmp_path) == newest


def test_rolling_back_waits_for_no_trainer(tmp_path):
    """Row 33: one that hangs, or has died, holds nobody up."""
    first, _ = trained(tmp_path, 0), trained(tmp_path, 1)
    with training_lock(tmp_path):
        began = time.monotonic()
        assert rollback(tmp_path) == first == current(tmp_path)
        assert time.monotonic() - began < 10  # 2 s are promised; machines may be busy


@pytest.mark.torture
def test_twin_a_store_that_checks_no_hash_serves_what_is_damaged(tmp_path, monkeypatch):
    older, newer = trained(tmp_path, 0), trained(tmp_path, 1)
    promote(tmp_path, older)
    (effects,) = (tmp_path / "models" / newer).rglob("effects.npy")
    spoilt = bytearray(effects.read_bytes())
    spoilt[-1] ^= 1
    effects.write_bytes(spoilt)
    with pytest.raises(ArtefactError):
        promote(tmp_path, newer)
    monkeypatch.setattr("endcap.models.store.read_manifest", partial(read_manifest, verify=False))
    promote(tmp_path, newer)
    assert current(tmp_path) == newer


def test_one_trainer_at_a_time(tmp_path):
    with training_lock(tmp_path):
        asked = multiprocessing.get_context("spawn").Process(target=_try_lock, args=(tmp_path,))
        asked.start()
        asked.join()
        assert asked.exitcode == 7
    asked = multiprocessing.get_context("spawn").Process(target=_try_lock, args=(tmp_path,))
    asked.start()
    asked.join()
    assert asked.exitcode == 0


def _try_lock(folder: Path) -> None:
    try:
        with training_lock(folder):
            os._exit(0)
    except BusyError:
        os._exit(7)


KILLED = """
    import os, sys
    sys.path.insert(0, {tests!r})
    from datetime import timedelta
    from pathlib import Path
    from recommend_worlds import NOW, checkerboard, recipe
    from endcap.recommend.training import train
    suffix, after = sys.argv[2], sys.argv[3] == "after"
    def deadly(move):
        def moved(source, target, **other):
            if str(target).endswith(suffix):
                if after:
                    move(source, target, **other)
                os.kill(os.getpid(), {signal})
            return move(source, target, **other)
        return moved
    os.rename, os.replace = deadly(os.rename), deadly(os.replace)
    train(checkerboard(), recipe(popular=1.0), Path(sys.argv[1]), now=NOW + timedelta(days=1))
"""


@pytest.mark.parametrize(
    ("suffix", "when", "serves_old", "named"),
    [
        ("/item-knn", "before", True, 1),  # some models are written
        ("-{id}", "before", True, 1),  # all are, the folder has no name yet
        ("/current", "before", True, 2),  # it has, but does not serve
        ("/current", "after", False, 2),  # it serves
    ],
)
def test_kill_9_in_the_middle_leaves_no_half_artefact(tmp_path, suffix, when, serves_old, named):
    old = trained(tmp_path, 0)
    new = new_id(
        NOW + timedelta(days=1),
        checkerboard().fingerprint,
        recipe(popular=1.0).model_dump_json(),
        "0",
    )
    script = textwrap.dedent(KILLED).format(tests=str(Path(__file__).parent), signal=signal.SIGKILL)
    where = suffix.format(id=new.partition("-")[2])
    command = [sys.executable, "-c", script, str(tmp_path), where, when]
    assert subprocess.run(command, check=False, timeout=60).returncode == -signal.SIGKILL
    assert len(ids(tmp_path)) == named
    for found in ids(tmp_path):
        load_artefact(tmp_path, found)  # whatever has a name is whole
    serving = Recommender.load(tmp_path)
    assert (serving.artefact, serving.trouble) == (old if serves_old else new, "")
    assert trained(tmp_path, 2) == current(tmp_path)  # the next run starts clean
    assert not list((tmp_path / "models").glob(".*-*"))


def test_readers_never_see_half_a_change(tmp_path):
    first = trained(tmp_path, 0)
    stop, wrong = threading.Event(), []

    def read():
        while not stop.is_set():
            slate = Recommender.load(tmp_path).recommend([ASKED], shop())[0]
            if slate.degraded and "refused" in slate.reason:
                wrong.append(slate.reason)

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    made = [trained(tmp_path, n) for n in range(1, 4)]
    rollback(tmp_path)
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong
    assert current(tmp_path) == made[-2] != first


def test_vocabularies_of_a_loaded_artefact_are_those_of_its_data(tmp_path):
    made = load_artefact(tmp_path, trained(tmp_path, 0))
    assert made.items == checkerboard().items == Vocabulary(made.items.array)
