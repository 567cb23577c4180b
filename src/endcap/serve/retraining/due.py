"""Whether to train now, and why: a pure function of the clock and the figures."""

from datetime import datetime, timedelta
from typing import Final

from endcap.schema.settings import WorkerSettings
from endcap.serve.retraining.drift import Drift

DRIFTS: Final = (
    "new_events_share",
    "unknown_items_share",
    "fallback_share",
    "popularity_shift",
)


def due(
    trained: datetime | None, drift: Drift, settings: WorkerSettings, now: datetime
) -> str | None:
    """Return why training is due; None while it is not.

    Parameters
    ----------
    trained
        When what serves was trained; None where nothing serves.
    """
    if trained is None:
        return "first" if drift.new_events else None
    age = now - trained
    if not drift.new_events or age < timedelta(hours=settings.least_hours):
        return None
    if drift.new_events >= settings.drift_events:
        for name in DRIFTS:
            value, bar = getattr(drift, name), getattr(settings, name)
            if bar > 0 and value >= bar:
                return f"{name} {value:.3f} >= {bar:g}"
    if settings.every_hours and age >= timedelta(hours=settings.every_hours):
        return f"age {age.total_seconds() / 3600:.1f} h >= {settings.every_hours:g} h"
    return None
