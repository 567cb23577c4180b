"""Requests are what a server does in parallel: its arithmetic keeps to one thread for each."""

from threadpoolctl import threadpool_limits


def one_for_each_request() -> None:
    """Let no product of matrices start threads of its own, from now on in this process.

    Several requests that each call for all cores only wait for each other.
    """
    threadpool_limits(1, "blas")
