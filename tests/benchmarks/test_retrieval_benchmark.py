"""The benchmark of retrieval at a small size: exact ways agree, and what they cost is told."""

from benchmarks import retrieval


def test_exact_ways_find_the_same() -> None:
    found = retrieval.main(["--quick", "--items", "2000"])
    assert found["figures"]["choice"] in {"index", "exact"}
    for share in retrieval.SHARES:
        row = found["models"][f"{share:g} all items"]
        assert row["recall@20"] > 0.999
        assert row["ms"] > 0
