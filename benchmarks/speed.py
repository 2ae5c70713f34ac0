"""Time and memory beside the peers, in one run.

``python benchmarks/speed.py linear`` fits the same tables with every solver of linear
regression, ``python benchmarks/speed.py network`` trains the same networks with this
package, scikit-learn and, where they are installed, PyTorch and JAX, ``threads``
compares one thread with several, ``search`` the ways to search a grid, ``frozen``
networks some of whose layers are frozen, ``fixed`` tells what calls cost besides the
arithmetic, ``tables`` compares a step of an ensemble with its matrix products and
PyTorch, ``sequences`` recurrent networks with PyTorch's, and ``roads`` the normal
equation with descent. How to read what they print is told in ``benchmarks/README.md``.
"""

import argparse
import os
import platform
from collections.abc import Iterable

import numpy as np
import scipy
import sklearn
from fixed import run_fixed
from frozen import run_frozen
from linear import LINEAR_SHAPES, run_linear
from members import run_tables
from network import JOBS, run_network
from recurrent import run_recurrent
from roads import ROADS_SHAPES, run_roads
from search import run_search
from threads import SUBJECTS, run_threads

SUBCOMMANDS = {
    "linear": run_linear,
    "network": run_network,
    "threads": run_threads,
    "search": run_search,
    "frozen": run_frozen,
    "fixed": run_fixed,
    "tables": run_tables,
    "sequences": run_recurrent,
    "roads": run_roads,
}


def common_arguments() -> argparse.ArgumentParser:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument(
        "--jobs", type=int, default=os.cpu_count(), help="threads (default: all)"
    )
    common.add_argument(
        "--repeat", type=int, default=5, help="rounds of timing (default: 5)"
    )
    common.add_argument(
        "--budget",
        type=float,
        default=30.0,
        help="no further round for a solver that took so many seconds (default: 30)",
    )
    common.add_argument(
        "--no-memory", action="store_true", help="leave out the measuring of memory"
    )
    return common


def add_choice(parser, option: str, choices: Iterable[str], metavar: str) -> None:
    """Let a user take some of the choices; all by default."""
    names = list(choices)
    parser.add_argument(
        option,
        nargs="+",
        choices=names,
        default=names,
        metavar=metavar,
        help=f"some of {', '.join(map(repr, names))} (default: all)",
    )


def add_numbers(parser, option: str, kind: type, default: list, text: str) -> None:
    parser.add_argument(option, nargs="+", type=kind, default=default, help=text)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parents = [common_arguments()]
    subjects = parser.add_subparsers(required=True, metavar="SUBJECT")
    commands = {}
    for name, run in SUBCOMMANDS.items():
        commands[name] = subjects.add_parser(name, parents=parents, help=run.__doc__)
        commands[name].set_defaults(run=run)
    add_choice(commands["linear"], "--shapes", LINEAR_SHAPES, "ROWSxCOLUMNS")
    add_choice(commands["network"], "--networks", JOBS, "NETWORK")
    threads = commands["threads"]
    add_choice(threads, "--subjects", SUBJECTS, "SUBJECT")
    add_choice(threads, "--dtypes", ["float32", "float64"], "DTYPE")
    text = "numbers of threads (default: 2 4 8 16, as far as --jobs allows)"
    add_numbers(threads, "--teams", int, [2, 4, 8, 16], text)
    add_choice(commands["roads"], "--shapes", ROADS_SHAPES, "ROWSxCOLUMNS")
    add_numbers(commands["roads"], "--rho", float, [0.0, 0.9], "default: 0 and 0.9")
    text = "numbers of threads (default: 1 2)"
    add_numbers(commands["sequences"], "--threads", int, [1, 2], text)
    commands["search"].add_argument(
        "--epochs", type=int, default=50, help="of every fit (default: 50)"
    )
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    print(
        f"scikit-learn {sklearn.__version__}, numpy {np.__version__}, "
        f"scipy {scipy.__version__}, Python {platform.python_version()}, "
        f"{options.jobs} threads"
    )
    options.run(options)


if __name__ == "__main__":
    main()
