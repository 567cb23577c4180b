"""What our own storages for the library `limits` have in common."""

from abc import abstractmethod

from limits.storage import SlidingWindowCounterSupport, Storage

Windows = tuple[int, float, int, float]
"""Of the previous and of the current window: count, and seconds until it counts no more."""


class SlidingCounts(Storage, SlidingWindowCounterSupport):
    """A storage of `limits` that has sliding windows and nothing else."""

    STORAGE_SCHEME = None
    base_exceptions = ()

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """See `Storage`: of another strategy, as all that follows."""
        raise NotImplementedError

    def get(self, key: str) -> int:
        """See `incr`."""
        raise NotImplementedError

    def get_expiry(self, key: str) -> float:
        """See `incr`."""
        raise NotImplementedError

    def check(self) -> bool:
        """See `incr`."""
        raise NotImplementedError

    def reset(self) -> int | None:
        """See `incr`."""
        raise NotImplementedError

    def clear(self, key: str) -> None:
        """See `incr`."""
        raise NotImplementedError

    @abstractmethod
    def close(self) -> None:
        """Let go of where the counts are."""
