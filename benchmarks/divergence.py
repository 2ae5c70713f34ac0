"""What mini-batch descent calls divergence, beside the growth of its errors.

Run ``python benchmarks/divergence.py [--problems 1000] [--limits 60] [--seed 0]``.

Problems: random tables and targets, many of weak signal, fitted in random mini-batches
with all defaults. None may be called diverging.

Limits: for others, at rest, with momentum and with Nesterov's, the limit of the step is
looked for: where the top Lyapunov exponent of the random products of I - rate H, which
carry the errors from epoch to epoch, becomes positive. It is the mean growth of their
logarithm over 64 products in plain NumPy, with a standard error, since the products are
independent. Steps at factors of the limit, where the exponent is clear of zero by five
standard errors, are then fitted: those that grow must be called diverging, the others
not. A row is printed for each factor, and what went wrong with what brings it back; the
exit status is 1 then.
"""

import argparse
import sys
import warnings
from collections import Counter
from dataclasses import dataclass

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from sklearn_backprop import GDLinearRegression
from sklearn_backprop.exceptions import DivergenceError

FACTORS = (0.5, 0.8, 0.9, 0.95, 0.98, 1.02, 1.05, 1.1, 1.25, 2.0)
MOMENTA = {"none": {}, "classical": {"momentum": 0.7}}
MOMENTA["nesterov"] = {"momentum": 0.7, "nesterovs_momentum": True}
N_PRODUCTS = 64
CLEAR = 5.0  # standard errors


def draw_problem(seed):
    """A table, weak or strong in signal, and the size of its mini-batches."""
    rng = np.random.default_rng(seed)
    n, p = int(rng.integers(20, 200)), int(rng.integers(1, 8))
    X = rng.normal(size=(n, p)) @ rng.normal(size=(p, p))
    if seed % 5 == 0:
        X[:, 0] = 1.0
    if seed % 7 == 0:
        X = X**3  # heavy tails: few rows have most of the curvature
    y = rng.choice([0.0, 0.3, 3.0]) * (X @ rng.normal(size=p)) + rng.normal(size=n)
    return X, y, int(rng.integers(1, n // 2))


@dataclass
class Products:
    """Products of the matrices that carry errors through epochs of mini-batches."""

    X: np.ndarray  # (n, p)
    batch_size: int
    momentum: float = 0.0
    nesterovs_momentum: bool = False

    def __post_init__(self):
        spread = self.X.std(axis=0)
        Z = (self.X - self.X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
        self.Z = np.column_stack([Z, np.ones(len(Z))])

    def growth(self, rate, n_epochs, n_products=N_PRODUCTS):
        """Lyapunov exponent per epoch and its standard error, without transients."""
        rng = np.random.default_rng(1)
        # What no row sees neither grows nor vanishes.
        error = rng.normal(size=(n_products, len(self.Z))) @ self.Z
        velocity = np.zeros_like(error)
        logarithms = []
        for _ in range(n_epochs):
            orders = rng.permuted(
                np.tile(np.arange(len(self.Z)), (n_products, 1)), axis=1
            )
            for start in range(0, len(self.Z), self.batch_size):
                rows = self.Z[orders[:, start : start + self.batch_size]]
                error, velocity = self.step(rows, rate, error, velocity)
            size = np.linalg.norm(np.hstack([error, velocity]), axis=1, keepdims=True)
            logarithms.append(np.log(size[:, 0]))
            error, velocity = error / size, velocity / size
        of_products = np.mean(logarithms[n_epochs // 4 :], axis=0)
        return of_products.mean(), of_products.std(ddof=1) / n_products**0.5

    def step(self, rows, rate, error, velocity):
        """One mini-batch (n_products, size, m) of each product."""
        residual = np.einsum("kbi,ki->kb", rows, error)
        step = -rate * np.einsum("kbi,kb->ki", rows, residual) / rows.shape[1]
        velocity = self.momentum * velocity + step
        if self.nesterovs_momentum:
            return error + self.momentum * velocity + step, velocity
        return error + velocity, velocity

    def limit(self):
        """The shortest step that lets errors grow, to a hundredth or so."""
        rate = 0.05
        while self.growth(rate, 16, 8)[0] < 0:
            rate *= 1.25
        low, high = rate / 1.5, rate * 1.25
        for _ in range(7):
            rate = (low * high) ** 0.5
            low, high = (rate, high) if self.growth(rate, 60)[0] < 0 else (low, rate)
        return (low * high) ** 0.5


def diverges(X, y, batch_size, seed, **settings):
    """Whether a fit says that it diverges."""
    model = GDLinearRegression(batch_size=batch_size, random_state=seed, **settings)
    try:
        model.fit(X, y)
    except DivergenceError:
        return True
    return False


def false_alarms(seeds):
    """Seeds of the problems whose fit with all defaults is said to diverge."""
    return [s for s in seeds if diverges(*draw_problem(s), s, max_iter=200)]


def judge_limit(seed, momentum):
    """For each factor of the limit: how the fit is judged, and its settings."""
    X, y, batch_size = draw_problem(seed)
    products = Products(X, batch_size, **MOMENTA[momentum])
    limit = products.limit()
    for factor in FACTORS:
        rate = factor * limit
        growth, error = products.growth(rate, 200)
        settings = {"learning_rate_init": rate, **MOMENTA[momentum]}
        if abs(growth) < CLEAR * error:
            yield factor, "unclear", settings
            continue
        is_called = diverges(X, y, batch_size, seed, max_iter=300, **settings)
        names = ("missed", "found") if growth > 0 else ("quiet", "false alarm")
        yield factor, names[is_called], settings | {"growth": f"{growth:.3f}"}


def judge_limits(seeds):
    """Count the judgements of each factor and print the wrong ones."""
    counts = {factor: Counter() for factor in FACTORS}
    for seed in seeds:
        momentum = list(MOMENTA)[seed % len(MOMENTA)]
        for factor, judgement, settings in judge_limit(seed, momentum):
            counts[factor][judgement] += 1
            if judgement in ("missed", "false alarm"):
                print(f"draw_problem({seed}): {judgement} at {settings}", flush=True)
    return counts


def main():
    """Fit, judge, count."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--problems", type=int, default=1000)
    parser.add_argument("--limits", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)  # fits may hover
    first = arguments.seed
    alarms = false_alarms(range(first, first + arguments.problems))
    print(f"default step: {len(alarms)} false alarms in {arguments.problems} {alarms}")
    counts = judge_limits(range(first, first + arguments.limits))
    names = ("quiet", "false alarm", "found", "missed", "unclear")
    print("of limit" + "".join(f"{name:>13}" for name in names))
    for factor, of_factor in counts.items():
        print(f"{factor:8}" + "".join(f"{of_factor[name]:13}" for name in names))
    wrong = sum(c["missed"] + c["false alarm"] for c in counts.values())
    sys.exit(bool(alarms) or wrong > 0)


if __name__ == "__main__":
    main()
