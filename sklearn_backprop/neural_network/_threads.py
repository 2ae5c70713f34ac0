"""How many threads a computation may use, and BLAS held to one of them.

The engine shares rows out over its own threads, so each of its BLAS calls must stay
on the thread that makes it.
"""

import threading
from functools import cache
from typing import Any

from sklearn.utils._openmp_helpers import _openmp_effective_n_threads
from threadpoolctl import ThreadpoolController

from ..engine import _engine

__all__ = ["allowed_threads", "single_threaded_blas"]


def allowed_threads() -> int:
    """Threads that OMP_NUM_THREADS, threadpoolctl and the machine allow."""
    return _openmp_effective_n_threads() if _engine.openmp else 1


@cache
def _controller() -> ThreadpoolController:
    return ThreadpoolController()


class _SingleThreadedBlas:
    """A context that may be entered by several Python threads at once.

    The limit belongs to the process: the first to come sets it and the last to leave
    lifts it, or one fit would lift it under another's feet.
    """

    def __init__(self):
        self._lock = threading.Lock()
        self._n_inside = 0
        self._limiter: Any = None

    def __enter__(self):
        with self._lock:
            if self._n_inside == 0:
                self._limiter = _controller().limit(limits=1, user_api="blas")
            self._n_inside += 1

    def __exit__(self, *exc_info):
        with self._lock:
            self._n_inside -= 1
            if self._n_inside == 0:
                self._limiter.restore_original_limits()


single_threaded_blas = _SingleThreadedBlas()
