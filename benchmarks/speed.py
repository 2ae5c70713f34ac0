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


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
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
    subjects = parser.add_subparsers(required=True, metavar="SUBJECT")
    linear = subjects.add_parser("linear", parents=[common], help=run_linear.__doc__)
    linear.add_argument(
        "--shapes",
        nargs="+",
        choices=LINEAR_SHAPES,
        default=list(LINEAR_SHAPES),
        metavar="ROWSxCOLUMNS",
        help=f"some of {', '.join(LINEAR_SHAPES)} (default: all)",
    )
    linear.set_defaults(run=run_linear)
    network = subjects.add_parser("network", parents=[common], help=run_network.__doc__)
    network.add_argument(
        "--networks",
        nargs="+",
        choices=JOBS,
        default=list(JOBS),
        metavar="NETWORK",
        help=f"some of {', '.join(map(repr, JOBS))} (default: all)",
    )
    network.set_defaults(run=run_network)
    threads = subjects.add_parser("threads", parents=[common], help=run_threads.__doc__)
    threads.add_argument(
        "--subjects",
        nargs="+",
        choices=SUBJECTS,
        default=list(SUBJECTS),
        metavar="SUBJECT",
        help=f"some of {', '.join(map(repr, SUBJECTS))} (default: all)",
    )
    threads.add_argument(
        "--teams",
        nargs="+",
        type=int,
        default=[2, 4, 8, 16],
        help="numbers of threads (default: 2 4 8 16, as far as --jobs allows)",
    )
    threads.add_argument(
        "--dtypes",
        nargs="+",
        choices=["float32", "float64"],
        default=["float32", "float64"],
        help="precisions (default: both)",
    )
    threads.set_defaults(run=run_threads)
    tables = subjects.add_parser("tables", parents=[common], help=run_tables.__doc__)
    tables.set_defaults(run=run_tables)
    search = subjects.add_parser("search", parents=[common], help=run_search.__doc__)
    search.add_argument(
        "--epochs", type=int, default=50, help="of every fit (default: 50)"
    )
    search.set_defaults(run=run_search)
    frozen = subjects.add_parser("frozen", parents=[common], help=run_frozen.__doc__)
    frozen.set_defaults(run=run_frozen)
    roads = subjects.add_parser("roads", parents=[common], help=run_roads.__doc__)
    roads.add_argument(
        "--shapes",
        nargs="+",
        choices=ROADS_SHAPES,
        default=list(ROADS_SHAPES),
        metavar="ROWSxCOLUMNS",
        help=f"some of {', '.join(ROADS_SHAPES)} (default: all)",
    )
    roads.add_argument(
        "--rho", type=float, nargs="+", default=[0.0, 0.9], help="default: 0 and 0.9"
    )
    roads.set_defaults(run=run_roads)
    fixed = subjects.add_parser("fixed", parents=[common], help=run_fixed.__doc__)
    fixed.set_defaults(run=run_fixed)
    sequences = subjects.add_parser(
        "sequences", parents=[common], help=run_recurrent.__doc__
    )
    sequences.add_argument(
        "--threads",
        nargs="+",
        type=int,
        default=[1, 2],
        help="numbers of threads (default: 1 2)",
    )
    sequences.set_defaults(run=run_recurrent)
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
