"""Who takes part, from what a person writes."""

import pytest
from evaluate_worlds import power_law, shop

from endcap import plugins
from endcap.evaluate.entrants import every, named
from endcap.schema.errors import ConfigError, PluginError


def test_settings_stand_behind_the_name() -> None:
    found = named(["popular", "popular:count=events", "item-knn:neighbours=7, shrink=2.5"])
    assert [spec.model_dump().get("count") for spec in found.values()] == ["users", "events", None]
    assert list(found)[1] == "popular:count=events"
    knn = found["item-knn:neighbours=7, shrink=2.5"].model_dump()
    assert (knn["neighbours"], knn["shrink"]) == (7, 2.5)


@pytest.mark.parametrize(
    ("entrant", "error", "match"),
    [
        ("popula", PluginError, "popular"),
        ("popular:cuont=events", ConfigError, "count"),
        ("popular:events", ConfigError, "key=value"),
    ],
)
def test_mistakes_are_named(entrant: str, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        named([entrant])


def test_every_model_that_the_data_can_feed(monkeypatch: pytest.MonkeyPatch) -> None:
    everything = set(plugins.names("endcap.models"))
    bare = shop([("u", "a", 0), ("v", "b", 1)])
    assert not {"content", "biased-mf", "fm"} & set(every(bare))
    assert "content" in every(power_law())
    rated = shop([("u", "a", 0), ("v", "b", 1)], values=[5.0, 4.0])
    assert set(every(rated)) | {"content"} == everything
    assert set(every(bare)) == everything - {"content", "biased-mf", "fm"}
