"""How time and memory are measured.

Time
    All solvers run in this process, in turns (one round of every solver, then the next
    round), so that a busy moment of the machine hits them alike.
Memory
    Peak of the resident memory during a call above what was resident before it, in a
    fresh process for each call. Resident memory counts what NumPy, BLAS and compiled
    code allocate; Python's own tracer would miss the latter two.
"""

import contextlib
import multiprocessing
import os
import resource
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from threadpoolctl import threadpool_limits

MEGABYTE = 2**20
# Threads of BLAS and OpenMP keep spinning for some time after their last work, which
# would take the processor from the next solver.
PAUSE = 0.05


@dataclass
class Measured:
    """What one solver did on one table."""

    seconds: list[float] = field(default_factory=list)
    memory: float = float("nan")
    remark: str = ""

    @property
    def best(self) -> float:
        return min(self.seconds)

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def seconds_of(call: Callable[[], object]) -> float:
    time.sleep(PAUSE)
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def seconds_of_training(entrant) -> Callable[[], float]:
    """Return what makes a contestant anew and times its training alone."""

    def run() -> float:
        entrant.prepare()
        start = time.perf_counter()
        entrant.train()
        return time.perf_counter() - start

    return run


def best_of(call: Callable[[], object], budget: float) -> float:
    """Shortest time of a call that is repeated for about ``budget`` seconds."""
    seconds = [seconds_of(call)]
    end = time.perf_counter() + budget
    while time.perf_counter() < end:
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return min(seconds)


def interleaved(
    calls: dict[str, Callable], repeat: int, budget: float, times_itself: bool = False
) -> dict[str, Measured]:
    """Time each call ``repeat`` times, in turns, or until it has spent its budget.

    A call that ``times_itself`` returns its seconds.
    """
    measured = {name: Measured() for name in calls}
    for _ in range(repeat):
        for name, call in calls.items():
            if sum(measured[name].seconds) < budget:
                seconds = call() if times_itself else seconds_of(call)
                measured[name].seconds.append(seconds)
    return measured


def resident_bytes() -> int:
    """Return what this process has in memory now (Linux; elsewhere the peak so far)."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except FileNotFoundError:
        return peak_bytes()
    return pages * resource.getpagesize()


def forget_peak() -> None:
    """Start a new peak here, where the system can (Linux)."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def peak_bytes() -> int:
    """Return the largest amount of memory this process ever had."""
    try:
        status = Path("/proc/self/status").read_text()
    except FileNotFoundError:
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    line = next(line for line in status.splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def report_peak(connection, prepare: Callable, arguments: tuple, jobs: int) -> None:
    """Run the call that ``prepare`` returns and send its peak above the start."""
    warnings.simplefilter("ignore")
    with threadpool_limits(jobs):
        call = prepare(*arguments)
        before = resident_bytes()
        forget_peak()
        call()
    connection.send(peak_bytes() - before)


def peak_memory(prepare: Callable, arguments: tuple, jobs: int) -> float:
    """Peak memory of a call in a fresh process, which inherits nothing of this one."""
    # Freed memory goes back to the system at once, so that no later allocation hides
    # in what an earlier one left.
    os.environ["MALLOC_MMAP_THRESHOLD_"] = str(2**16)
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=report_peak, args=(sender, prepare, arguments, jobs))
    child.start()
    sender.close()
    try:
        return receiver.recv()
    except EOFError:
        return float("nan")
    finally:
        child.join()
