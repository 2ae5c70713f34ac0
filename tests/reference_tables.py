"""Embeddings of numbers and ensembles that share weights, in plain NumPy: an oracle.

Written from the formulas, in float64, for clarity and not for speed. Legend:

X          rows, (n, p), or (n, k, p) where every member has rows of its own
e          share of each bin that a number has passed, (n, T)
a          what a layer reads; behind the split always (n, k, width)
named      parameters by name; a gradient has the same names and shapes

Layers have `forward(named, a)` and `backward(named, a, delta)`, which gives dJ/da and
the gradients of the layer's own parameters.
"""

from dataclasses import dataclass

import numpy as np


# ---------------------------------------------------------------- bins
def passed_shares(x, edges):
    """Say how much of each bin between edges (T + 1,) lies below x (n,): (n, T)."""
    shares = (x[:, None] - edges[:-1]) / (edges[1:] - edges[:-1])
    lower = np.full(shares.shape[1], 0.0)
    upper = np.full(shares.shape[1], 1.0)
    lower[0], upper[-1] = -np.inf, np.inf
    return np.clip(shares, lower, upper)


def slopes_of_shares(x, edges):
    """Differentiate `passed_shares` by x, (n, T), away from the edges."""
    shares = passed_shares(x, edges)
    raw = (x[:, None] - edges[:-1]) / (edges[1:] - edges[:-1])
    return (shares == raw) / (edges[1:] - edges[:-1])


# ---------------------------------------------------------------- embeddings
@dataclass
class PiecewiseLinear:
    """(u x + v) + e V per column, by Gorishniy, Rubachev and Babenko (2022).

    Names: u, v (columns, size), V (all bins, size), missing (columns that may lack
    values, size).
    """

    columns: list
    edges: list  # of each column
    missing: list = ()  # places in `columns`

    def _per_column(self, named):
        ends = np.cumsum([len(edges) - 1 for edges in self.edges])[:-1]
        return np.split(named["V"], ends)

    def forward(self, named, X):
        pieces = []
        for f, (column, edges) in enumerate(zip(self.columns, self.edges, strict=True)):
            x, V = X[..., column], self._per_column(named)[f]
            flat = np.nan_to_num(x.ravel())
            y = flat[:, None] * named["u"][f] + named["v"][f]
            y = y + passed_shares(flat, edges) @ V
            lost = np.isnan(x.ravel())
            y[lost] = 0.0
            if f in self.missing:
                y[lost] = named["missing"][list(self.missing).index(f)]
            pieces.append(y.reshape(*x.shape, -1))
        return np.concatenate(pieces, axis=-1)

    def backward(self, named, X, delta):
        size = named["u"].shape[1]
        grad = {name: np.zeros_like(value) for name, value in named.items()}
        d_X, d_V = np.zeros_like(X), []
        for f, (column, edges) in enumerate(zip(self.columns, self.edges, strict=True)):
            x = X[..., column].ravel()
            d = delta[..., f * size : (f + 1) * size].reshape(len(x), size)
            lost = np.isnan(x)
            if f in self.missing:
                at = list(self.missing).index(f)
                grad["missing"][at] = d[lost].sum(axis=0)
            x, d = x[~lost], d[~lost]
            grad["u"][f], grad["v"][f] = x @ d, d.sum(axis=0)
            d_V.append(passed_shares(x, edges).T @ d)
            slope = (
                named["u"][f] + slopes_of_shares(x, edges) @ self._per_column(named)[f]
            )
            d_x = np.zeros(len(lost))
            d_x[~lost] = (d * slope).sum(axis=1)
            d_X[..., column] += d_x.reshape(X.shape[:-1])
        grad["V"] = np.concatenate(d_V)
        return d_X, grad


@dataclass
class Periodic:
    """relu([cos 2 pi w x, sin 2 pi w x] W + b) per column, same source.

    Names: w (columns, F), W (2F, size) and b (size,), or one of each per column,
    missing as above.
    """

    columns: list
    missing: list = ()

    @staticmethod
    def _linear(named, f):
        W, b = named["W"], named["b"]
        return (W, b) if W.ndim == 2 else (W[f], b[f])

    def _waves(self, named, f, x):
        phase = 2 * np.pi * np.nan_to_num(x.ravel())[:, None] * named["w"][f]
        return np.hstack([np.cos(phase), np.sin(phase)])

    def forward(self, named, X):
        pieces = []
        for f, column in enumerate(self.columns):
            x = X[..., column]
            W, b = self._linear(named, f)
            y = np.maximum(self._waves(named, f, x) @ W + b, 0)
            lost = np.isnan(x.ravel())
            y[lost] = 0.0
            if f in self.missing:
                y[lost] = named["missing"][list(self.missing).index(f)]
            pieces.append(y.reshape(*x.shape, -1))
        return np.concatenate(pieces, axis=-1)

    def backward(self, named, X, delta):
        size = named["b"].shape[-1]
        grad = {name: np.zeros_like(value) for name, value in named.items()}
        d_X = np.zeros_like(X)
        for f, column in enumerate(self.columns):
            x = X[..., column].ravel()
            d = delta[..., f * size : (f + 1) * size].reshape(len(x), size)
            lost = np.isnan(x)
            if f in self.missing:
                at = list(self.missing).index(f)
                grad["missing"][at] = d[lost].sum(axis=0)
            x, d = x[~lost], d[~lost]
            W, b = self._linear(named, f)
            waves = self._waves(named, f, x)
            d = d * (waves @ W + b > 0)
            if named["W"].ndim == 2:
                grad["W"] += waves.T @ d
                grad["b"] += d.sum(axis=0)
            else:
                grad["W"][f], grad["b"][f] = waves.T @ d, d.sum(axis=0)
            d_cos, d_sin = np.split(d @ W.T, 2, axis=1)
            cos, sin = np.split(waves, 2, axis=1)
            d_phase = 2 * np.pi * (cos * d_sin - sin * d_cos)
            grad["w"][f] = x @ d_phase
            d_x = np.zeros(len(lost))
            d_x[~lost] = d_phase @ named["w"][f]
            d_X[..., column] += d_x.reshape(X.shape[:-1])
        return d_X, grad


@dataclass
class OneHot:
    """Codes 0, 1, ... of some columns as indicators; other codes give zeros."""

    columns: list
    n_levels: list

    def forward(self, named, X):
        pieces = [
            (X[..., [column]] == np.arange(n)).astype(float)
            for column, n in zip(self.columns, self.n_levels, strict=True)
        ]
        return np.concatenate(pieces, axis=-1)

    def backward(self, named, X, delta):
        return np.zeros_like(X), {}


@dataclass
class Select:
    """Some columns as they are."""

    columns: list

    def forward(self, named, X):
        return X[..., self.columns]

    def backward(self, named, X, delta):
        d_X = np.zeros_like(X)
        d_X[..., self.columns] = delta
        return d_X, {}


# ---------------------------------------------------------------- members
def over_members(a, k):
    """Give every member the same rows, (n, width) -> (n, k, width)."""
    return a if a.ndim == 3 else np.repeat(a[:, None], k, axis=1)


@dataclass
class MemberScale:
    """a r_m; r (k, groups) has one number for a group of columns."""

    widths: list  # of the groups

    def forward(self, named, a):
        r = np.repeat(named["r"], self.widths, axis=1)
        return over_members(a, len(r)) * r

    def backward(self, named, a, delta):
        r = np.repeat(named["r"], self.widths, axis=1)
        d_r = (over_members(a, len(r)) * delta).sum(axis=0)
        starts = np.cumsum([0, *self.widths[:-1]])
        d_a = delta * r
        if a.ndim == 2:
            d_a = d_a.sum(axis=1)
        return d_a, {"r": np.add.reduceat(d_r, starts, axis=1)}


@dataclass
class Dense:
    """a W + b; W (n_in, n_out) shared, or (k, n_in, n_out), a matrix per member."""

    def forward(self, named, a):
        W = named["W"]
        if W.ndim == 3:
            return np.einsum("nki,kij->nkj", over_members(a, len(W)), W) + named["b"]
        return a @ W + named["b"]

    def backward(self, named, a, delta):
        W, b = named["W"], named["b"]
        d_b = delta.reshape(-1, *b.shape).sum(axis=0)
        if W.ndim == 2:
            flat = a.reshape(-1, len(W)), delta.reshape(-1, W.shape[1])
            return delta @ W.T, {"W": flat[0].T @ flat[1], "b": d_b}
        d_W = np.einsum("nki,nkj->kij", over_members(a, len(W)), delta)
        d_a = np.einsum("nkj,kij->nki", delta, W)
        return d_a.sum(axis=1) if a.ndim == 2 else d_a, {"W": d_W, "b": d_b}


@dataclass
class MemberAffine:
    """a s_m + b_m"""

    def forward(self, named, a):
        return a * named["s"] + named["b"]

    def backward(self, named, a, delta):
        return delta * named["s"], {
            "s": (a * delta).sum(axis=0),
            "b": delta.sum(axis=0),
        }


@dataclass
class Activation:
    """f(a), with its derivative."""

    value: object
    derivative: object

    def forward(self, named, a):
        return self.value(a)

    def backward(self, named, a, delta):
        return delta * self.derivative(a), {}


@dataclass
class Beside:
    """What several layers make of the same columns, side by side.

    Names of the parts' parameters begin with their number and a dot.
    """

    parts: list

    def _own(self, named, number):
        start = f"{number}."
        return {
            name.removeprefix(start): value
            for name, value in named.items()
            if name.startswith(start)
        }

    def forward(self, named, X):
        return np.concatenate(
            [
                part.forward(self._own(named, number), X)
                for number, part in enumerate(self.parts)
            ],
            axis=-1,
        )

    def backward(self, named, X, delta):
        d_X, grad, first = np.zeros_like(X), {}, 0
        for number, part in enumerate(self.parts):
            own = self._own(named, number)
            width = part.forward(own, X).shape[-1]
            d_part, g = part.backward(own, X, delta[..., first : first + width])
            d_X += d_part
            grad |= {f"{number}.{name}": value for name, value in g.items()}
            first += width
        return d_X, grad


@dataclass
class TableNetwork:
    """Layers one after the other; the loss of a row is the mean of its members'."""

    layers: list
    loss: object  # (f, y) -> (loss (n,), derivative (n, outputs))

    def forward(self, parameters, X):
        """Give what every layer reads, and outputs (n, outputs) or (n, k, outputs)."""
        read = []
        a = np.asarray(X, dtype=float)
        for layer, named in zip(self.layers, parameters, strict=True):
            read.append(a)
            a = layer.forward(named, a)
        return read, a

    def value_and_gradient(self, parameters, X, Y, w):
        """Mean over rows of weight w (n,) or (n, k), and over members, of the loss.

        Also its derivatives by all parameters and by X. Y is (n, outputs), or
        (n, k, outputs) where members have rows of their own.
        """
        read, f = self.forward(parameters, X)
        if f.ndim == 3:
            Y = over_members(np.asarray(Y, dtype=float), f.shape[1])
            w = np.repeat(w[:, None], f.shape[1], axis=1) if w.ndim == 1 else w
        loss, d = self.loss(f.reshape(-1, f.shape[-1]), Y.reshape(-1, f.shape[-1]))
        share = (w / w.sum()).ravel()
        delta = (share[:, None] * d).reshape(f.shape)
        gradient = []
        for layer, named, a in zip(
            reversed(self.layers), reversed(parameters), reversed(read), strict=True
        ):
            delta, own = layer.backward(named, a, delta)
            gradient.insert(0, own)
        return share @ loss, gradient, delta
