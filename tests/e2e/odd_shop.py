"""Servers with a protection removed, for the twins of tests that must be able to fail.

``hasty``     acknowledges at once and commits a little later
``stalling``  commits at once and never comes to answer a request with an Idempotency-Key
``hoarding``  opens a file for each batch and keeps it open
``torn``      names the artefact that was promoted, whichever answered
``deaf``      believes what it held before it was cut off from the others
``cold``      says that it is ready before it has tried anything
``impatient`` writes when nobody else does, or says that it is busy
``learning``  trains itself, in the thread that answers, when it gets SIGUSR1
"""

import argparse
import os
import signal
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from endcap.events.store import Receipt
from endcap.recommend.artefacts import current
from endcap.recommend.recipe import load_recipe
from endcap.recommend.slate import Slate
from endcap.recommend.training import train_store
from endcap.schema.settings import Settings
from endcap.serve.http.app import create_app
from endcap.serve.http.server import Server, address, listen


class Hasty:
    """Says that events are stored before they are."""

    def __init__(self, log: Any) -> None:
        self._log = log

    def submit(self, events: Any, **more: Any) -> "Future[Receipt]":
        threading.Timer(0.3, self._log.submit, args=(events,), kwargs=more).start()
        told: Future[Receipt] = Future()
        told.set_result(Receipt(received=events.num_rows, stored=events.num_rows))
        return told

    def __getattr__(self, name: str) -> Any:
        return getattr(self._log, name)


class Stalling(Hasty):
    """Commits, and then never says so where there is a key."""

    def submit(self, events: Any, **more: Any) -> "Future[Receipt]":
        stored: Future[Receipt] = self._log.submit(events, **more)
        if not more.get("key"):
            return stored
        stored.result()
        print("committed", flush=True)
        time.sleep(600)
        return stored


class Hoarding(Hasty):
    """Stores as it should, and never lets go of a file."""

    kept: ClassVar[list[Any]] = []

    def submit(self, events: Any, **more: Any) -> "Future[Receipt]":
        self.kept.append(Path(__file__).open())  # noqa: SIM115 - that is the oddity
        stored: Future[Receipt] = self._log.submit(events, **more)
        return stored


class Torn:
    """A recommender that takes its name from one place and its answers from another."""

    def __init__(self, holder: Any, folder: Path) -> None:
        self._holder, self._folder = holder, folder

    def recommend(self, requests: Any, state: Any) -> list[Slate]:
        named = current(self._folder) or ""
        slates = self._holder.current.recommend(requests, state)
        return [replace(slate, artefact=named) for slate in slates]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._holder.current, name)


class TornHolder:
    """Holds a `Torn`."""

    def __init__(self, holder: Any, folder: Path) -> None:
        self._holder, self._torn = holder, Torn(holder, folder)

    @property
    def current(self) -> Any:
        return self._torn

    at_hand = current

    def __getattr__(self, name: str) -> Any:
        return getattr(self._holder, name)


ODDITIES = ["hasty", "stalling", "hoarding", "torn", "deaf", "cold", "impatient", "learning"]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("oddity", choices=ODDITIES)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    told = os.environ.get
    settings = Settings.parse(
        {
            "store": {"folder": given.folder, "url": told("ENDCAP_STORE__URL", "")},
            "live": {"url": told("ENDCAP_LIVE__URL", "")},
            "serve": {"timeout_ms": int(told("ENDCAP_SERVE__TIMEOUT_MS", "30000"))},
        }
    )
    app = create_app(settings)
    runtime = app.state.runtime
    if given.oddity == "torn":
        runtime.recommender = TornHolder(runtime.recommender, given.folder)
    elif given.oddity == "deaf":
        runtime.live.reload = lambda: None
    elif given.oddity == "cold":
        runtime._try_out = lambda recommender: None
    elif given.oddity == "impatient":
        runtime.store._file._turn._timeout = 0.0
    elif given.oddity == "learning":
        recipe = load_recipe("simple")
        signal.signal(signal.SIGUSR1, lambda *_: train_store(runtime.store, recipe, settings))
    else:
        odd = {"hasty": Hasty, "stalling": Stalling, "hoarding": Hoarding}[given.oddity]
        runtime.store.log = odd(runtime.store.log)
    bound = listen("127.0.0.1", 0)
    print(address(bound), flush=True)
    Server(app, drain_seconds=4, notice_seconds=0).run(sockets=[bound])


if __name__ == "__main__":
    main()
