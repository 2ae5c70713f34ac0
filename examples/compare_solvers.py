"""
=========================================
Two roads to one answer: solvers compared
=========================================

Least squares has one answer, and there are two roads to it: solve the normal equation,
or walk downhill along the gradient. This example takes both on tables that scikit-learn
ships, beside scikit-learn's own solvers, and counts how many digits of the worst
coefficient come out right. The truth to compare with is computed in exact integer
arithmetic.

Run it as ``python examples/compare_solvers.py [--output PICTURE.png]``.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes, load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LinearRegression, Ridge, SGDRegressor
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler
from threadpoolctl import threadpool_limits

from sklearn_backprop import GDLinearRegression

# %%
# Tables
# ------
# From easy to hard: the more alike the columns are, the longer and narrower is the
# valley that descent has to walk along, and the more digits rounding destroys.


def column_of(bunch, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Predict one column of a table from all others."""
    target = list(bunch.feature_names).index(name)
    return np.delete(bunch.data, target, axis=1), bunch.data[:, target]


def diabetes_products() -> tuple[np.ndarray, np.ndarray]:
    """All products of two of the diabetes table's columns beside the columns."""
    X, y = load_diabetes(return_X_y=True, scaled=False)
    products = PolynomialFeatures(interaction_only=True, include_bias=False)
    return products.fit_transform(X), y


TABLES: dict[str, tuple[np.ndarray, np.ndarray]] = {
    "iris: petal width": column_of(load_iris(), "petal width (cm)"),
    "diabetes": load_diabetes(return_X_y=True, scaled=False),
    "breast cancer: mean radius": column_of(load_breast_cancer(), "mean radius"),
    "diabetes, with products": diabetes_products(),
}

# %%
# Solvers
# -------
# All minimise the sum of squares, without a penalty. SGDRegressor needs its columns
# scaled, the others take the tables as they are.

SOLVERS: dict[str, Callable] = {
    "GDLinearRegression normal": partial(GDLinearRegression, solver="normal"),
    "GDLinearRegression gd": partial(GDLinearRegression, solver="gd"),
    "  with momentum 0.99": partial(
        GDLinearRegression, solver="gd", momentum=0.99, nesterovs_momentum=True
    ),
    "LinearRegression": LinearRegression,
    "LinearRegression tol=0": partial(LinearRegression, tol=0),
    "Ridge alpha=0": partial(Ridge, alpha=0, solver="cholesky"),
    "SGDRegressor, scaled": lambda: make_pipeline(
        StandardScaler(), SGDRegressor(penalty=None, random_state=0)
    ),
}

# %%
# The truth
# ---------
# Floating-point numbers are fractions, so that the normal equation of a table has an
# exact solution. In integers, elimination without fractions (Bareiss, 1968) finds it.


def as_integers(column: np.ndarray) -> tuple[np.ndarray, int]:
    """Return ``column * scale`` as Python's integers, and the scale."""
    ratios = [float(value).as_integer_ratio() for value in column]
    scale = max(denominator for _, denominator in ratios)
    integers = [top * (scale // bottom) for top, bottom in ratios]
    return np.array(integers, dtype=object), scale


def solve_in_integers(system: np.ndarray) -> list[Fraction]:
    """Solve [A | b] of integers exactly."""
    size = len(system)
    pivot = 1
    for k in range(size):
        for i in range(k + 1, size):
            row = system[i, k:] * system[k, k] - system[k, k:] * system[i, k]
            system[i, k:] = row // pivot
        pivot = system[k, k]
    solution = [Fraction(0)] * size
    for k in reversed(range(size)):
        known = sum(system[k, j] * solution[j] for j in range(k + 1, size))
        solution[k] = Fraction(system[k, size] - known) / system[k, k]
    return solution


def exact_coefficients(X: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return the least-squares coefficients, correctly rounded."""
    columns = [np.ones(len(y)), *X.T, y]
    integers, scales = zip(*map(as_integers, columns), strict=True)
    Z = np.column_stack(integers)
    solution = solve_in_integers(Z[:, :-1].T @ Z)
    return np.array(
        [
            float(value * scale / scales[-1])
            for value, scale in zip(solution, scales, strict=False)
        ][1:]
    )


def correct_digits(coef: np.ndarray, exact: np.ndarray) -> np.ndarray:
    """Return the correct digits of the worst coefficient, 0 to 16, for each row."""
    error = np.max(np.abs(coef - exact) / np.abs(exact), axis=-1)
    return np.clip(-np.log10(np.maximum(error, 1e-16)), 0, 16)


# %%
# The comparison
# --------------


@dataclass
class Result:
    """What one solver did on one table."""

    table: str
    solver: str
    seconds: float
    n_iter: int | None
    r2: float
    digits: float
    converged: bool
    condition: float


def coefficients(model) -> np.ndarray:
    """Return the coefficients in the units of the table."""
    if isinstance(model, Pipeline):
        return model[-1].coef_ / model[0].scale_
    return model.coef_


def fit_and_time(model, X, y, budget: float = 0.2) -> tuple[float, bool]:
    """Return the shortest time of 3 to 20 fits, and whether they converged."""
    seconds: list[float] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConvergenceWarning)
        while len(seconds) < 3 or (len(seconds) < 20 and sum(seconds) < budget):
            start = time.perf_counter()
            model.fit(X, y)
            seconds.append(time.perf_counter() - start)
    converged = not any(issubclass(w.category, ConvergenceWarning) for w in caught)
    return min(seconds), converged


def compare(table: str, solver: str, exact: np.ndarray) -> Result:
    """Fit one solver on one table."""
    X, y = TABLES[table]
    model = SOLVERS[solver]()
    seconds, converged = fit_and_time(model, X, y)
    last = model[-1] if isinstance(model, Pipeline) else model
    n_iter = getattr(last, "n_iter_", None)
    return Result(
        table,
        solver,
        seconds,
        None if n_iter is None else int(np.max(n_iter)),
        model.score(X, y),
        float(correct_digits(coefficients(model), exact)),
        converged,
        getattr(last, "condition_number_", float("nan")),
    )


def print_results(results: list[Result]) -> None:
    """Print one block of aligned rows for each table."""
    print(f"{'solver':<28}{'time':>11}{'iterations':>12}{'R²':>12}{'digits':>9}")
    table = None
    for result in results:
        if result.table != table:
            table = result.table
            n, p = TABLES[table][0].shape
            print(f"\n{table} ({n} rows, {p} columns)")
        n_iter = "-" if result.n_iter is None else f"{result.n_iter:,}"
        mark = "" if result.converged else "  stopped early"
        print(
            f"  {result.solver:<26}{result.seconds * 1e3:8.2f} ms{n_iter:>12}"
            f"{result.r2:12.6f}{result.digits:9.1f}{mark}"
        )


# %%
# The picture
# -----------
# Descent gains digits with time, at a pace that depends on the table; the other solvers
# are one point each. Colours after Okabe and Ito, told apart also by colour-blind eyes.

DRAWN = ["diabetes", "breast cancer: mean radius"]
CURVES = {
    "GDLinearRegression gd": ("#0072B2", "ours: gradient descent"),
    "  with momentum 0.99": ("#56B4E9", "ours: with momentum"),
}
POINTS = {
    "GDLinearRegression normal": ("#D55E00", "*", 420, "ours: normal equation"),
    "LinearRegression": ("#009E73", "s", 110, "LinearRegression"),
    "Ridge alpha=0": ("#CC79A7", "D", 70, "Ridge, alpha = 0"),
    "SGDRegressor, scaled": ("#000000", "X", 130, "SGDRegressor"),
}


def descent_curve(result: Result, exact: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return milliseconds, and the digits that are right from then on.

    The first iteration takes whatever a fit takes before it descends; all others take
    the same time.
    """
    X, y = TABLES[result.table]
    model = SOLVERS[result.solver]().set_params(max_iter=1)
    first, _ = fit_and_time(model, X, y)
    with warnings.catch_warnings():  # the table tells which stopped early
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.set_params(max_iter=result.n_iter, track_path=True).fit(X, y)
    digits = correct_digits(model.coef_path_[1:], exact)
    lasting = np.minimum.accumulate(digits[::-1])[::-1]
    return np.linspace(first, max(first, result.seconds), len(digits)) * 1e3, lasting


def draw_table(ax, results: dict[str, Result], exact: np.ndarray) -> None:
    """Draw digits over time for one table."""
    for solver, (colour, label) in CURVES.items():
        milliseconds, digits = descent_curve(results[solver], exact)
        ax.plot(milliseconds, digits, color=colour, linewidth=4.5, label=label)
    for solver, (colour, marker, size, label) in POINTS.items():
        ax.scatter(
            results[solver].seconds * 1e3,
            results[solver].digits,
            color=colour,
            marker=marker,
            s=size,
            label=label,
            edgecolors="white",
            clip_on=False,
            zorder=3,
        )
    ax.set(xscale="log", ylim=(-0.3, 16.3), yticks=range(0, 17, 4))
    ax.xaxis.set_major_formatter("{x:g}")
    ax.xaxis.set_minor_formatter("")
    ax.grid(alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)


def draw(results: list[Result], truth: dict[str, np.ndarray], output: Path) -> None:
    """Save the picture."""
    with plt.rc_context({"font.size": 16, "axes.titlesize": 16}):
        figure, axes = plt.subplots(
            1,
            len(DRAWN),
            figsize=(10, 6.5),
            sharex=True,
            sharey=True,
            layout="constrained",
        )
        for ax, table in zip(axes, DRAWN, strict=True):
            rows = {row.solver: row for row in results if row.table == table}
            draw_table(ax, rows, truth[table])
            condition = rows[next(iter(CURVES))].condition
            ax.set_title(f"{table.capitalize()}\n(condition {condition:.0f})", pad=14)
        axes[0].set_ylabel("correct digits of coefficients")
        figure.supxlabel("time of the fit, milliseconds")
        figure.legend(
            *axes[0].get_legend_handles_labels(),
            loc="outside upper center",
            ncols=3,
            frameon=False,
        )
        output.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(output, dpi=120)
        plt.close(figure)


# %%
# All together
# ------------


def main() -> None:
    """Compare, print, draw."""
    parser = argparse.ArgumentParser(description="Compare solvers of least squares.")
    parser.add_argument("--output", type=Path, default=Path("compare_solvers.png"))
    output = parser.parse_args().output

    truth = {name: exact_coefficients(X, y) for name, (X, y) in TABLES.items()}
    with threadpool_limits(1):  # more would only wait for each other on small tables
        results = [
            compare(table, solver, exact)
            for table, exact in truth.items()
            for solver in SOLVERS
        ]
        print_results(results)
        draw(results, truth, output)
    print(f"\nThe picture is in {output.resolve()}")


if __name__ == "__main__":
    main()
