"""The workers behind a client: tasks go to them, and every wait for one has an end."""

import time
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

from distributed import Client, Future, KilledWorker, get_client

from .._threads import one_thread
from ..exceptions import ClusterLostError

__all__ = ["Cluster"]

# How long one wait lasts before somebody looks whether there are workers.
_POLL_SECONDS = 2.0
# How long there may be none: a nanny starts a new process within some seconds.
_LONGEST_WITHOUT_WORKERS = 15.0
# Results that one task, or this process, merges.
_FAN_IN = 8


class Cluster:
    """A client's workers.

    Tasks are pure and free to run anywhere: one whose worker dies is computed again
    from what it came from, with the same bits, for each uses one thread.
    """

    def __init__(self, client: Client | None, caller: str):
        self.client = _current_client(caller) if client is None else client
        if self.client.asynchronous:
            raise ValueError(
                f"{caller} waits for results, which an asynchronous client cannot do "
                "for it. Pass a Client made without asynchronous=True."
            )

    @property
    def n_threads(self) -> int:
        """Threads of all workers together."""
        return sum(self._threads_by_worker().values())

    def submit(self, function: Callable, *args, retries=0) -> Future:
        """Let a worker compute function(*args); futures among them are awaited."""
        return self.client.submit(
            _alone, function, *args, pure=False, retries=retries, key=_key_of(function)
        )

    def compute(self, delayed: Sequence) -> list[Future]:
        """Let workers compute delayed objects, and keep the results."""
        return self.client.compute(list(delayed))

    def gather(self, futures: Sequence[Future]) -> list[Any]:
        """Fetch results, or raise what a task raised; ClusterLostError without workers.

        A wait ends as long as tasks do: where there are workers, they are at it.
        """
        return [self._result(future) for future in futures]

    def merge(self, futures: Sequence[Future], merge: Callable) -> Any:
        """Merge results two by two on the workers, in a tree that is always the same.

        What arrives here is no more than one task merges.
        """
        level = list(futures)
        while len(level) > _FAN_IN:
            level = [
                self.submit(_merged, merge, *level[start : start + _FAN_IN])
                for start in range(0, len(level), _FAN_IN)
            ]
        return reduce(merge, self.gather(level))

    def _result(self, future: Future) -> Any:
        last_seen = time.monotonic()
        while True:
            try:
                return future.result(timeout=_POLL_SECONDS)
            except TimeoutError:
                if self._threads_by_worker():
                    last_seen = time.monotonic()
                elif time.monotonic() - last_seen > _LONGEST_WITHOUT_WORKERS:
                    raise _no_workers() from None
            except KilledWorker as error:
                raise ClusterLostError(
                    f"A task was lost with every worker that tried it: {error} Most "
                    "often they run out of memory; make parts smaller, or give the "
                    "workers more."
                ) from error

    def _threads_by_worker(self) -> dict[str, int]:
        """Threads of each worker; none where the scheduler does not answer."""
        try:
            return self.client.sync(
                self.client.scheduler.ncores, callback_timeout=_POLL_SECONDS
            )
        except (TimeoutError, OSError):
            return {}


def _no_workers() -> ClusterLostError:
    return ClusterLostError(
        f"The cluster has had no worker for {_LONGEST_WITHOUT_WORKERS:g} seconds, so "
        "that nobody computes. Start workers, or make a new client and pass it; a "
        "network keeps the state after its last finished round, from which fit with "
        "warm_start=True goes on."
    )


def _current_client(caller: str) -> Client:
    try:
        return get_client()
    except ValueError:
        raise ValueError(
            f"{caller} computes on a Dask cluster, and there is no client. Make one "
            "first, such as distributed.Client() for this machine, or pass client=."
        ) from None


def _key_of(function: Callable) -> str:
    """A key of its own, which begins with a name that Dask's pages show."""
    return f"{function.__name__.strip('_')}-{time.monotonic_ns():x}"


def _alone(function: Callable, *args) -> Any:
    with one_thread():
        return function(*args)


def _merged(merge: Callable, *results) -> Any:
    return reduce(merge, results)
