"""
=======================================
More than one machine: a table in parts
=======================================

Makes a cluster of two processes on this machine, writes a table of numbers as
partitioned Parquet, reads it as a Dask data frame, and fits a linear regression and a
perceptron to it, part by part. Both are then compared with the fit of the same rows in
memory. On a real cluster only the line with ``LocalCluster`` changes.

The picture shows what averaging costs. Two shards make half as many steps each, and a
mean of networks moves less than any of them, so that the loss falls later than in one
process. Nesterov's steps along the mean change take some of that back.

Run it as ``python examples/compare_dask.py [--output PICTURE.png] [--rows 20000]``.
"""

import argparse
import tempfile
import time
import warnings
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import dask.dataframe as dd
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from distributed import Client, LocalCluster
from sklearn.exceptions import ConvergenceWarning

from sklearn_backprop import BackpropMLPRegressor, GDLinearRegression
from sklearn_backprop.dask import DaskBackpropMLPRegressor, DaskGDLinearRegression
from sklearn_backprop.inspection import LossCurveDisplay

FEATURES = [f"x{j}" for j in range(10)]
N_PARTS = 8
NETWORK = {
    "hidden_layer_sizes": (64,),
    "learning_rate_init": 0.01,
    "max_iter": 10,
    "random_state": 0,
}


# %%
# A table
# -------
# Friedman's first function (Friedman, 1991): sines, squares and lines of five of ten
# columns, with noise.


def make_table(n_rows: int) -> pd.DataFrame:
    """So many rows, the target in the column "y"."""
    rng = np.random.default_rng(0)
    X = rng.uniform(size=(n_rows, len(FEATURES)))
    y = (
        2 * np.sin(np.pi * X[:, 0] * X[:, 1])
        + 4 * (X[:, 2] - 0.5) ** 2
        + 2 * X[:, 3]
        + X[:, 4]
        + 0.2 * rng.normal(size=n_rows)
    )
    return pd.DataFrame(X, columns=FEATURES).assign(y=y)


def write_parts(table: pd.DataFrame, folder: Path) -> None:
    """Write it as Parquet, a file for each part."""
    for number, rows in enumerate(np.array_split(np.arange(len(table)), N_PARTS)):
        table.iloc[rows].to_parquet(folder / f"part.{number}.parquet")


# %%
# The comparison
# --------------
# Shards train apart for a round and are averaged then; ``verbose=2`` prints a line for
# each round.


def fit_and_score(name: str, model, data):
    """Print how long a fit takes, and how well it predicts."""
    start = time.perf_counter()
    model.fit(*data)
    spent = time.perf_counter() - start
    print(f"  {name:<24}{spent:8.2f} s    R² = {model.score(*data):.4f}")
    return model


def compare_linear(parts, rows) -> None:
    """Fit by the normal equation; both are the same to rounding."""
    print("\nLinear regression by the normal equation")
    in_parts = fit_and_score("in parts", DaskGDLinearRegression(solver="normal"), parts)
    in_memory = fit_and_score("in memory", GDLinearRegression(solver="normal"), rows)
    error = np.abs(in_parts.coef_ - in_memory.coef_).max()
    error /= np.abs(in_memory.coef_).max()
    print(f"  coefficients differ by {error:.1e}, relative to the largest")


def compare_networks(parts, rows) -> dict[str, BackpropMLPRegressor]:
    """Fit in rounds, with and without Nesterov's steps, and in one process."""
    shards = {**NETWORK, "n_shards": 2, "rounds_per_epoch": 2}
    nesterov = DaskBackpropMLPRegressor(**shards, outer="nesterov", verbose=2)
    print("\nPerceptron")
    return {
        name: fit_and_score(name, model, data)
        for name, model, data in [
            ("two shards, means", DaskBackpropMLPRegressor(**shards), parts),
            ("two shards, Nesterov", nesterov, parts),
            ("one process", BackpropMLPRegressor(**NETWORK), rows),
        ]
    }


# %%
# The picture
# -----------


def draw(networks: dict[str, BackpropMLPRegressor], output: Path) -> None:
    """Save the losses by epoch."""
    figure, ax = plt.subplots(figsize=(8, 4.4), layout="constrained")
    for name, network in networks.items():
        LossCurveDisplay.from_estimator(network, ax=ax, name=name)
    ax.set(yscale="log")
    ax.yaxis.set_major_formatter("{x:g}")
    ax.yaxis.set_minor_formatter("{x:g}")
    output.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(output, dpi=100)
    plt.close(figure)


# %%
# All together
# ------------


def main() -> None:
    """Make a cluster, write and read the table, compare, draw."""
    parser = argparse.ArgumentParser(description="Fit a table in parts.")
    parser.add_argument("--output", type=Path, default=Path("compare_dask.png"))
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # few epochs suffice here
    table = make_table(options.rows)
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=":0"
        ) as cluster,
        Client(cluster),
    ):
        write_parts(table, Path(folder))
        lazy = dd.read_parquet(folder)
        print(f"{len(table)} rows in {lazy.npartitions} parts, {cluster}")
        parts, rows = ((source[FEATURES], source["y"]) for source in (lazy, table))
        compare_linear(parts, rows)
        draw(compare_networks(parts, rows), options.output)
    print(f"\nThe picture is in {options.output.resolve()}")


if __name__ == "__main__":
    main()
