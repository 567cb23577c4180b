"""Work that waits a moment for company."""

import time
from collections.abc import Sequence

from endcap.serve.behind import CROWDED, FEW_AT_ONCE, Behind

LONG = 30.0


def test_what_comes_together_is_written_together_and_a_flush_waits_for_nobody() -> None:
    written: list[list[int]] = []

    def write(batch: Sequence[int]) -> None:
        written.append(list(batch))

    behind = Behind("test", write, room=100, linger_seconds=LONG)
    began = time.monotonic()
    for n in range(10):
        behind.put(n)
        time.sleep(0.001)  # without lingering, the first would be written by itself
    behind.flush()
    assert written == [list(range(10))]
    behind.put(10)
    behind.close()
    assert written[1:] == [[10]]
    assert time.monotonic() - began < LONG / 2


def test_a_burst_is_written_a_few_at_a_time_and_a_crowd_all_at_once() -> None:
    written: list[list[int]] = []

    def write(batch: Sequence[int]) -> None:
        written.append(list(batch))

    behind = Behind("test", write, room=1_000, linger_seconds=LONG)
    for n in range(CROWDED // 2):
        behind.put(n)
    behind.flush()
    assert max(map(len, written)) <= FEW_AT_ONCE
    for n in range(CROWDED // 2, 5 * CROWDED):
        behind.put(n)
    behind.flush()
    behind.close()
    assert max(map(len, written)) > FEW_AT_ONCE
    assert [one for batch in written for one in batch] == list(range(5 * CROWDED))
