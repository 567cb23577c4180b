"""Is it alive, should it be sent work, what runs, and the figures."""

import asyncio
from typing import Final

from prometheus_client import CONTENT_TYPE_LATEST

from endcap.schema.errors import EndcapError
from endcap.schema.version import __version__
from endcap.serve.http.calls import Answer, Call
from endcap.serve.http.shapes import CheckResult, Live, Ready, Version
from endcap.serve.retraining import runs
from endcap.serve.runtime import Runtime

UNKEPT: Final = {"cache-control": "no-store"}
PATIENCE_SECONDS: Final = 2.0


async def livez(call: Call) -> Answer:
    """Say that the process runs; asks nobody, so that trouble elsewhere restarts nothing here."""
    return Answer(200, Live("ok"), UNKEPT)


async def readyz(call: Call) -> Answer:
    """Say whether to send requests here.

    503 when draining or when the store takes no writes; 200 and ``degraded`` when only a fallback
    can recommend. A store that says nothing is not asked again before it has answered, and nobody
    waits for it longer than `PATIENCE_SECONDS`.
    """
    runtime = call.runtime
    asked = runtime.store_check
    if asked is None or asked.done():
        asked = runtime.store_check = asyncio.ensure_future(runtime.run(_store, runtime))
    try:
        store = await asyncio.wait_for(asyncio.shield(asked), PATIENCE_SECONDS)
    except TimeoutError:
        store = CheckResult(False, f"The store has not answered for {PATIENCE_SECONDS:g} s.")
    checks = _checks(runtime, store)
    needed = ("store", "serving")
    if not all(checks[name].ok for name in needed):
        return Answer(503, Ready("unavailable", checks), {**UNKEPT, "retry-after": "5"})
    sound = all(check.ok for check in checks.values())
    return Answer(200, Ready("ok" if sound else "degraded", checks), UNKEPT)


async def version(call: Call) -> Answer:
    """Say what runs."""
    return Answer(200, Version(__version__, call.runtime.recommender.current.artefact))


async def metrics(call: Call) -> Answer:
    """Return all metrics in the text format of Prometheus."""
    runtime = call.runtime
    runtime.metrics.model_age.set(runtime.recommender.age_seconds(runtime.live.now))
    runtime.metrics.bus_up.set(runtime.live.sharing[0])
    runtime.stage_times.settle()
    trained = runs.metrics(runtime.settings.store.folder)
    return Answer(200, runtime.metrics.text() + trained, UNKEPT, CONTENT_TYPE_LATEST)


def _checks(runtime: Runtime, store: CheckResult) -> dict[str, CheckResult]:
    recommender = runtime.recommender.current
    trouble = recommender.trouble or runtime.recommender.unshared
    return {
        "serving": CheckResult(not runtime.draining, "draining" if runtime.draining else ""),
        "store": store,
        "replicas": CheckResult(*runtime.live.sharing),
        "artefact": CheckResult(
            bool(recommender.artefact) and not trouble,
            trouble or recommender.artefact or "none; the catalogue alone answers",
        ),
    }


def _store(runtime: Runtime) -> CheckResult:
    try:
        return CheckResult(*runtime.store.healthy())
    except EndcapError as error:
        return CheckResult(False, error.message)
