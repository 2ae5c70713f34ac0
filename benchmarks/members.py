"""Networks for tables: a step of members beside its matrix products and PyTorch."""

import argparse
import warnings

import numpy as np
from measuring import interleaved, seconds_of_training
from network import torch
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklearn_backprop.neural_network import (
    BackpropMLPRegressor,
    PiecewiseLinearEmbedding,
)

MEMBERS, FEATURES, BATCH = 16, 8, 256
HIDDEN = (256, 256)
SIZE, BINS = 16, 48  # of an embedding
STEPS = 48  # of a round
SETTINGS = {"learning_rate_init": 2e-3, "weight_decay": 3e-4}


def table(dtype) -> tuple[np.ndarray, np.ndarray]:
    """Return X and y of as many rows as the steps pass."""
    rng = np.random.default_rng(0)
    X = rng.standard_normal((STEPS * BATCH, FEATURES))
    y = np.sin(3 * X[:, 0]) + X[:, 1] * X[:, 2] + 0.1 * rng.standard_normal(len(X))
    return X.astype(dtype), y.astype(dtype)


# The matrix-multiply limit ---------------------------------------------------------


class Products:
    """The matrix products of so many steps, each in the form that BLAS likes best.

    `matmul` multiplies, by NumPy's BLAS or by PyTorch's.

    Of the first layer the products e_f W_f are formed once for all members, and its
    sums over features are one product with the members' factors. Those with the output
    layer, matrices of one column, are left out.
    """

    def __init__(self, dtype, matmul=np.matmul, as_factor=np.asarray):
        self.matmul = matmul
        factors = [
            *_dense(BATCH, SIZE, HIDDEN[0], dtype) * FEATURES,
            *_dense(MEMBERS, FEATURES, BATCH * HIDDEN[0], dtype),
            *_dense(MEMBERS * BATCH, *HIDDEN, dtype),
        ]
        self.pairs = [tuple(map(as_factor, each)) for each in factors]

    def prepare(self) -> None:
        """Nothing changes."""

    def train(self) -> None:
        """Multiply."""
        for _ in range(STEPS):
            for a, b, out in self.pairs:
                self.matmul(a, b, out=out)

    loss = float("nan")


def _dense(n: int, n_in: int, n_out: int, dtype) -> list[tuple[np.ndarray, ...]]:
    """Operands of x W, x' delta and delta W' with x (n, n_in), and room for them."""
    x, W = np.ones((n, n_in), dtype), np.ones((n_in, n_out), dtype)
    delta = np.ones((n, n_out), dtype)
    return [
        (x, W, np.empty_like(delta)),
        (x.T, delta, np.empty_like(W)),
        (delta, W.T, np.empty_like(x)),
    ]


# Contestants -----------------------------------------------------------------------


class Ours:
    """An estimator that goes on for an epoch, always from the same weights."""

    def __init__(self, dtype, **params):
        self.X, self.y = table(dtype)
        self.model = BackpropMLPRegressor(
            HIDDEN,
            numerical_embedding=PiecewiseLinearEmbedding(BINS, SIZE),
            n_members=MEMBERS,
            batch_size=BATCH,
            solver="adamw",
            alpha=0.0,
            shuffle=False,
            max_iter=1,
            tol=0.0,
            random_state=0,
            **SETTINGS,
            **params,
        )
        self.prepare()

    def prepare(self) -> None:
        """Start anew, by a first epoch whose steps have no length."""
        self.model.set_params(warm_start=False, learning_rate_init=1e-30)
        self.model.fit(self.X, self.y)
        self.start = self.arrays()
        self.edges = self.model._training.network.architecture.inputs.edges
        self.model._training.optimizer = None
        self.model.set_params(warm_start=True, **SETTINGS)

    def arrays(self) -> dict[str, np.ndarray]:
        """Copy the arrays of theta, by their names."""
        network = self.model._training.network
        return {
            f"{row.role}{row.layer}": row.view(network.theta).copy()
            for row in network.architecture.parameters
        }

    def train(self) -> None:
        """Train for an epoch."""
        self.model.fit(self.X, self.y)

    @property
    def loss(self) -> float:
        return self.model.loss_curve_[-1]


class Torch:
    """The same network in PyTorch's eager loop, from the same weights."""

    def __init__(self, ours: Ours, dropout: float = 0.0):
        self.dropout = dropout
        X, y = table(np.float32)
        self.X, self.y = torch.from_numpy(X), torch.from_numpy(y)
        self.ours = ours
        edges = ours.edges
        self.n_bins = [len(e) - 1 for e in edges]
        most = max(self.n_bins)
        # Bins that a feature lacks lie at infinity and have width one: shares of 0.
        left, width = np.full((2, FEATURES, most), np.inf), np.ones((FEATURES, most))
        low, high = np.zeros((FEATURES, most)), np.ones((FEATURES, most))
        for f, e in enumerate(edges):
            n = len(e) - 1
            left[0, f, :n], width[f, :n] = e[:-1], np.diff(e)
            low[f, 0], high[f, n - 1] = -np.inf, np.inf
        self.left, self.width, self.low, self.high = (
            torch.tensor(a, dtype=torch.float32) for a in (left[0], width, low, high)
        )
        self.loss = float("nan")

    def prepare(self) -> None:
        """Start from the weights that ours starts from."""
        start = self.ours.start
        V = np.zeros((FEATURES, max(self.n_bins), SIZE), np.float32)
        cuts = np.split(start["V-1"], np.cumsum(self.n_bins)[:-1])
        for own, cut in zip(V, cuts, strict=True):
            own[: len(cut)] = cut
        arrays = {**start, "V-1": V}
        self.theta = {
            name: torch.nn.Parameter(torch.tensor(array))
            for name, array in arrays.items()
        }
        decays = [p for name, p in self.theta.items() if name[0] in "WV"]
        others = [p for name, p in self.theta.items() if name[0] not in "WV"]
        self.optimizer = torch.optim.AdamW(
            [
                {"params": decays},
                {"params": others, "weight_decay": 0.0},
            ],
            lr=SETTINGS["learning_rate_init"],
            weight_decay=SETTINGS["weight_decay"],
        )

    def forward(self, x):
        """Outputs (n, members) of rows x (n, features)."""
        theta = self.theta
        share = (x[:, :, None] - self.left) / self.width
        share = torch.minimum(torch.maximum(share, self.low), self.high)
        line = x[:, :, None] * theta["u-1"] + theta["v-1"]
        e = line + torch.einsum("nft,fts->nfs", share, theta["V-1"])
        a = (e[:, None] * theta["r0"][:, :, None]).flatten(2)
        for layer in range(len(HIDDEN)):
            a = torch.relu(a @ theta[f"W{layer}"] + theta[f"b{layer}"])
            if self.dropout:
                a = torch.nn.functional.dropout(a, self.dropout)
        last = len(HIDDEN)
        f = torch.einsum("nkh,kho->nko", a, theta[f"W{last}"]) + theta[f"b{last}"]
        return f[:, :, 0]

    def train(self) -> None:
        """Train for an epoch."""
        total = 0.0
        for start in range(0, len(self.X), BATCH):
            rows = slice(start, start + BATCH)
            self.optimizer.zero_grad()
            error = self.forward(self.X[rows]) - self.y[rows, None]
            loss = 0.5 * (error**2).mean()
            loss.backward()
            self.optimizer.step()
            total += loss.item()
        self.loss = total / STEPS


def contestants() -> dict[str, Products | Ours | Torch]:
    """All that take the same steps."""
    entrants: dict[str, Products | Ours | Torch] = {}
    for dtype in (np.float32, np.float64):
        name = dtype.__name__
        entrants[f"matrix products {name}"] = Products(dtype)
        entrants[f"ours {name}"] = Ours(dtype)
        entrants[f"ours {name}, dropout 0.1"] = Ours(dtype, dropout=0.1)
    if torch is not None:
        plain = entrants["ours float32"]
        entrants["PyTorch's products float32"] = Products(
            np.float32, torch.matmul, torch.from_numpy
        )
        entrants["PyTorch float32"] = Torch(plain)
        entrants["PyTorch float32, dropout 0.1"] = Torch(plain, 0.1)
    return entrants


def run_tables(options: argparse.Namespace) -> None:
    """Compare a step of a network for tables with its products and with PyTorch."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    if torch is not None:
        torch.set_num_threads(options.jobs)

    with threadpool_limits(options.jobs):
        entrants = contestants()
        measured = interleaved(
            {name: seconds_of_training(entrant) for name, entrant in entrants.items()},
            options.repeat,
            options.budget,
            times_itself=True,
        )
    print(f"{'contestant':<28}{'ms/step':>10}{'x limit':>9}{'of PyTorch':>12}  loss")
    for name, rounds in measured.items():
        dtype = "float64" if "float64" in name else "float32"
        limit = measured[f"matrix products {dtype}"].best
        dropout = ", dropout 0.1" if "dropout" in name else ""
        peer = measured.get(f"PyTorch float32{dropout}")
        of_peer = f"{rounds.best / peer.best:12.2f}" if peer else f"{'':12}"
        print(
            f"{name:<28}{rounds.best / STEPS * 1e3:10.2f}{rounds.best / limit:9.2f}"
            f"{of_peer}  {entrants[name].loss:.6g}"
        )
