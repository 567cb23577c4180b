"""The worker: one at a time, patient after failures, gone when told; what serves is safe."""

import os
import subprocess
import sys
import threading
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from retraining_shop import NOW, learn, settings, shop, shopping

from endcap.recommend.artefacts import current, ids, training_lock
from endcap.schema.errors import BusyError
from endcap.serve.retraining import runs
from endcap.serve.retraining.child import command, train
from endcap.serve.retraining.loop import Retrainer, only_worker
from endcap.testing.servers import until

FAILING = [sys.executable, "-c", "import sys; sys.exit('endcap: the disk is tired')"]
REFUSING = [sys.executable, "-c", "import sys; sys.stderr.write('too little'); sys.exit(3)"]
ENDLESS = [sys.executable, "-c", "import time; print('on', flush=True); time.sleep(600)"]


def test_it_trains_when_due_and_says_what_came_of_it(tmp_path: Path) -> None:
    with shop(tmp_path) as store:
        asked = settings(tmp_path, drift_events=50, least_hours=0)
        worker = Retrainer(asked, store, command(asked))
        assert worker.once(threading.Event()) == "not due"
        assert current(tmp_path) is None
        store.log.append(shopping(0, 200))
        first = worker.once(threading.Event())
        assert isinstance(first, runs.Run)
        assert (first.reason, first.result) == ("first", "promoted")
        assert current(tmp_path) == first.artefact
        assert worker.once(threading.Event()) == "not due"
        store.log.append(shopping(200, 300))
        second = worker.once(threading.Event())
        assert isinstance(second, runs.Run)
        assert second.reason.startswith("new_events_share")
        assert ids(tmp_path) == [first.artefact, second.artefact]
    told = runs.metrics(tmp_path).decode()
    assert 'endcap_train_runs_total{result="promoted"} 2.0' in told
    assert 'endcap_drift{figure="new_events"} 100.0' in told


@pytest.mark.parametrize(("words", "result"), [(FAILING, "failed"), (REFUSING, "nothing")])
def test_after_a_failure_it_waits_twice_as_long_each_time(
    tmp_path: Path, words: list[str], result: str
) -> None:
    moment = [NOW]
    with shop(tmp_path) as store:
        store.log.append(shopping(0, 20))
        worker = Retrainer(
            settings(tmp_path, retry_minutes=5), store, words, clock=lambda: moment[0]
        )

        def look() -> runs.Run | str:
            return worker.once(threading.Event())

        first = look()
        assert isinstance(first, runs.Run)
        assert first.result == result
        assert first.why
        moment[0] += timedelta(minutes=4)
        assert "after a failure" in str(look())
        moment[0] += timedelta(minutes=2)
        assert isinstance(look(), runs.Run)
        moment[0] += timedelta(minutes=9)
        assert "after a failure" in str(look())
        moment[0] += timedelta(minutes=2)
        assert isinstance(look(), runs.Run)
    record = runs.read(tmp_path)
    assert (record.failures, record.counts) == (3, {result: 3})
    assert record.next_try(timedelta(minutes=5)) == _end(record) + timedelta(minutes=20)


def _end(record: runs.Record) -> datetime:
    return record.runs[-1].began + timedelta(seconds=record.runs[-1].seconds)


def test_a_success_forgets_the_failures_and_the_wait_is_bounded() -> None:
    failed = runs.Run(NOW, "first", "failed", 1.0)
    record = runs.Record()
    for _ in range(50):
        record = record.after(failed)
    assert record.next_try(timedelta(minutes=5)) == NOW + timedelta(days=1, seconds=1)
    assert len(record.runs) == runs.KEPT
    record = record.after(runs.Run(NOW, "age", "kept", 1.0, "a"))
    assert record.next_try(timedelta(minutes=5)) is None
    assert record.counts == {"failed": 50, "kept": 1}


def test_one_worker_looks_after_a_folder_and_another_stands_by(tmp_path: Path) -> None:
    with shop(tmp_path) as store:
        asked = settings(tmp_path, look_seconds=0.05)
        worker, end = Retrainer(asked, store, FAILING), threading.Event()
        store.log.append(shopping(0, 20))
        thread = threading.Thread(target=worker.run, args=(end,))
        with only_worker(tmp_path):
            with pytest.raises(BusyError, match="Another worker"):
                worker.once(end)
            thread.start()
            time.sleep(0.3)
            assert runs.read(tmp_path) == runs.Record()
        until(lambda: runs.read(tmp_path).failures == 1)
        end.set()
        thread.join()


def test_it_does_not_train_while_somebody_else_does(tmp_path: Path) -> None:
    with shop(tmp_path) as store:
        store.log.append(shopping(0, 20))
        worker = Retrainer(settings(tmp_path), store, FAILING)
        with training_lock(tmp_path):
            assert "another training runs" in str(worker.once(threading.Event()))
        assert isinstance(worker.once(threading.Event()), runs.Run)


def test_told_to_stop_it_ends_the_training_and_what_serves_stays(tmp_path: Path) -> None:
    with shop(tmp_path) as store:
        store.log.append(shopping(0, 100))
        before = learn(store, tmp_path).id
        end = threading.Event()
        threading.Timer(0.5, end.set).start()
        began = time.monotonic()
        assert train(ENDLESS, end, nice=10, threads=1).result == "stopped"
        assert time.monotonic() - began < 60
        assert current(tmp_path) == before


def test_training_runs_below_everything_else_and_on_one_thread() -> None:
    asks = "import json, os; print(json.dumps({'artefact': f\"{os.nice(0)} "
    asks += "{os.environ['OPENBLAS_NUM_THREADS']} {os.environ['ENDCAP_PREPARE__THREADS']}\"}))"
    wait = "import time; time.sleep(0.3); "  # the priority is set from outside
    words = [sys.executable, "-c", wait + asks]
    outcome = train(words, threading.Event(), nice=17, threads=1)
    assert outcome.artefact == f"{max(17, os.nice(0))} 1 1"


def test_the_command_line_looks_once_for_cron(tmp_path: Path) -> None:
    with shop(tmp_path / "shop") as store:
        store.log.append(shopping(0, 100))
    config = tmp_path / "endcap.toml"
    config.write_text('[worker]\nrecipe = "simple"\nnice = 0\n', encoding="utf-8")
    words = [sys.executable, "-m", "endcap", "worker", "--once", "--config", str(config)]
    words += ["--folder", str(tmp_path / "shop")]
    said = [subprocess.run(words, capture_output=True, text=True, check=True) for _ in range(2)]
    assert '"result":"promoted"' in said[0].stdout
    assert "training ended" in said[0].stderr
    assert '"result": "idle"' in said[1].stdout
