"""The workers behind a client: tasks go to them, and every wait for one has an end."""

import asyncio
import concurrent.futures
import time
import warnings
from collections.abc import Awaitable, Callable, Sequence
from functools import reduce
from typing import Any

from distributed import Client, Future, KilledWorker, get_client
from sklearn.utils import gen_batches

from .._threads import one_thread
from ..exceptions import ClusterLostError

__all__ = ["Cluster"]

# How long one wait lasts before somebody looks whether there are workers.
_POLL_SECONDS = 2.0
# How long there may be none: a nanny starts a new process within some seconds.
_LONGEST_WITHOUT_WORKERS = 15.0
_STAYS = (
    "A network keeps the state after its last finished round, from which fit with "
    "warm_start=True goes on."
)
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

    def submit_each(
        self, function: Callable, *columns: Sequence, common: Sequence = (), retries=0
    ) -> list[Future]:
        """Let workers compute function(*row, *common) for each row of the columns.

        The scheduler hears of all of them at once: a message for each takes it longer
        than many a task.
        """
        return self.client.map(
            _alone,
            [function] * len(columns[0]),
            *columns,
            *([value] * len(columns[0]) for value in common),
            pure=False,
            retries=retries,
            key=_key_of(function),
        )

    def send(self, value: Any) -> Future:
        """Put a value where tasks are computed, once for all of them.

        As the argument of a task it is not lost with a worker.
        """
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Sending large graph")
            return self.submit(_itself, value)

    def compute(self, delayed: Sequence) -> list[Future]:
        """Let workers compute delayed objects, and keep the results."""
        return self.client.compute(list(delayed))

    def gather(self, futures: Sequence[Future]) -> list[Any]:
        """Fetch results, or raise what the first failing task raised.

        ClusterLostError without workers: a wait ends as long as tasks do, for where
        there are workers, they are at it.
        """
        results = self._wait_for_workers(
            self.client.gather(list(futures), errors="skip", asynchronous=True)
        )
        for future in futures:
            if future.status != "finished":
                _raise_error_of(future)
        return results

    def merge(self, futures: Sequence[Future], merge: Callable) -> Any:
        """Merge results two by two on the workers, in a tree that is always the same.

        What arrives here is no more than one task merges.
        """
        level = list(futures)
        while len(level) > _FAN_IN:
            groups = [level[group] for group in gen_batches(len(level), _FAN_IN)]
            level = self.submit_each(_merged, groups, common=[merge])
        return reduce(merge, self.gather(level))

    def _wait_for_workers(self, coroutine: Awaitable) -> Any:
        """Wait for what workers do, as long as there are some.

        It runs on in the client's loop while this thread looks after them: to call it
        off and begin anew would never end where results take long to arrive.
        """
        waiting = self._begin(coroutine)
        last_seen = time.monotonic()
        while True:
            try:
                return waiting.result(timeout=_POLL_SECONDS)
            except TimeoutError:
                if self._threads_by_worker():
                    last_seen = time.monotonic()
                elif time.monotonic() - last_seen > _LONGEST_WITHOUT_WORKERS:
                    waiting.cancel()
                    raise _no_workers() from None
            except BaseException:
                waiting.cancel()
                raise

    def _threads_by_worker(self) -> dict[str, int]:
        """Threads of each worker; none where the scheduler does not answer."""
        asked = self._begin(self.client.scheduler.ncores())
        try:
            return asked.result(timeout=_POLL_SECONDS)
        except (TimeoutError, OSError):
            asked.cancel()
            return {}

    def _begin(self, coroutine: Awaitable) -> "concurrent.futures.Future":
        async def run():
            return await coroutine

        return asyncio.run_coroutine_threadsafe(run(), self.client.loop.asyncio_loop)


def _raise_error_of(future: Future) -> None:
    """Raise why a future has no result."""
    try:
        future.result(timeout=_POLL_SECONDS)
    except KilledWorker as error:
        raise ClusterLostError(
            f"A task was lost with every worker that tried it: {error} Most often "
            "they run out of memory; make parts smaller, or give the workers more."
        ) from error
    except (concurrent.futures.CancelledError, asyncio.CancelledError) as error:
        raise ClusterLostError(
            "The scheduler has been lost, and with it all that was computed. Make a "
            f"new client and pass it. {_STAYS}"
        ) from error


def _no_workers() -> ClusterLostError:
    return ClusterLostError(
        f"The cluster has had no worker for {_LONGEST_WITHOUT_WORKERS:g} seconds, so "
        "that nobody computes. Start workers, or make a new client and pass it. "
        f"{_STAYS}"
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


def _itself(value: Any) -> Any:
    return value


def _merged(results: Sequence, merge: Callable) -> Any:
    return reduce(merge, results)
