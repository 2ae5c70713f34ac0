"""How many threads a computation may use, and BLAS held to one of them.

The engine shares rows out over its own threads, so each of its BLAS calls must stay
on the thread that makes it.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

from joblib.parallel import get_active_backend
from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from threadpoolctl import LibController, ThreadpoolController

__all__ = ["allowed_threads", "one_thread", "single_threaded_blas"]


class _Fork:
    """Whether this process is a fork of one that had imported the package.

    Servers and pools that fork have a process for every core as a rule, so that a fit
    in one of them stays on one thread.
    """

    def __init__(self):
        self.is_child = False
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._begin_child)

    def _begin_child(self):
        self.is_child = True
        single_threaded_blas.forget()


_fork = _Fork()


def allowed_threads() -> int:
    """Threads that OMP_NUM_THREADS, threadpoolctl and the machine allow.

    One in a forked process, inside of `one_thread`, and in a thread of joblib's, which
    has a team of its own; its processes come with OMP_NUM_THREADS set.
    """
    if _fork.is_child or _is_thread_of_joblib() or getattr(_here, "is_alone", False):
        return 1
    return _openmp_effective_n_threads()


def _is_thread_of_joblib() -> bool:
    """Tell whether joblib's backend "threading" runs this."""
    if threading.current_thread() is threading.main_thread():
        return False
    return (get_active_backend()[0].nesting_level or 0) > 0


@cache
def _blas_libraries() -> list[LibController]:
    """Those that are loaded; a context of threadpoolctl's looks for them every time."""
    return ThreadpoolController().select(user_api="blas").lib_controllers


class _SingleThreadedBlas:
    """A context that may be entered by several Python threads at once.

    The limit belongs to the process: the first to come sets it and the last to leave
    lifts it, or one fit would lift it under another's feet.
    """

    def __init__(self):
        self._limited: list[tuple[LibController, int]] = []  # and threads before
        self.forget()

    def forget(self):
        """Begin anew in a forked process, where the threads inside do not go on."""
        self._lock = threading.Lock()
        self._n_inside = 0
        self._lift()

    def __enter__(self):
        with self._lock:
            if self._n_inside == 0:
                self._limit()
            self._n_inside += 1

    def __exit__(self, *exc_info):
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                self._lift()

    def _limit(self):
        threads = [(library, library.num_threads) for library in _blas_libraries()]
        self._limited = [(library, n) for library, n in threads if n and n > 1]
        for library, _ in self._limited:
            library.set_num_threads(1)

    def _lift(self):
        for library, n in self._limited:
            library.set_num_threads(n)
        self._limited = []


single_threaded_blas = _SingleThreadedBlas()
_here = threading.local()


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on the calling thread alone, so that no machine changes a bit."""
    before = getattr(_here, "is_alone", False)
    _here.is_alone = True
    try:
        with single_threaded_blas:
            yield
    finally:
        _here.is_alone = before
