"""Every registered model keeps every promise of the contract; what it skips has a reason."""

from typing import ClassVar

import numpy as np
import pytest

from endcap import plugins
from endcap.models import specs
from endcap.models.base import Model, Spec
from endcap.models.popular import Popular, PopularModel
from endcap.models.queries import Queries
from endcap.testing.contracts.models import CHECKS, run

NAMES = plugins.names(specs.GROUP)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", NAMES)
def test_contract(name: str, check: str) -> None:
    spec = specs.make(name)
    if check in spec.contract_skips:
        pytest.skip(spec.contract_skips[check])
    run(check, spec)


@pytest.mark.parametrize("name", NAMES)
def test_a_skipped_check_exists_and_has_a_reason(name: str) -> None:
    for check, reason in specs.make(name).contract_skips.items():
        assert check in CHECKS
        assert len(reason) > 20


class Careless(Popular):
    """A twin that breaks promises: it grows with what it is asked and ignores exclusions."""

    asked: ClassVar[list[int]] = []

    def fit(self, data, rng=0, progress=None) -> Model:  # type: ignore[no-untyped-def]
        fitted = super().fit(data)
        counts = fitted.counts + np.random.default_rng().random(len(data.items), np.float32)
        return CarelessModel(self, data.users, data.items, counts)


class CarelessModel(PopularModel):
    def scores(self, queries: Queries) -> np.ndarray:
        self.counts[:1] += 1
        return super().scores(queries)

    def retrieve(self, queries: Queries, k: int) -> object:
        return super().retrieve(queries.without_exclusions(), k + 1)


@pytest.mark.parametrize(
    "check",
    [
        "same_seed_same_model",
        "reads_do_not_write",
        "exclusions_and_allowed_hold",
        "answers_are_well_formed",
        "renaming_permutes_the_answer",
        "saved_and_loaded_it_is_the_same",
    ],
)
def test_a_careless_model_is_found_out(check: str) -> None:
    with pytest.raises(Exception):  # noqa: B017, PT011
        run(check, Careless())


def test_a_skip_skips() -> None:
    class Excused(Careless):
        contract_skips: ClassVar[dict[str, str]] = {"reads_do_not_write": "it is careless"}

    run("reads_do_not_write", Excused())


def test_specs_are_found_by_name() -> None:
    assert isinstance(specs.make("ease", {"l2": 3}), Spec)
    assert specs.make("ease", {"l2": 3}) == specs.make("ease", {"l2": 3.0})
