"""Recurrent networks in plain NumPy, one sequence at a time: an oracle of the tests.

Written from the formulas, in float64, for clarity and not for speed. It shares nothing
with the package. Legend:

x, h       inputs and states of one sequence, (steps, channels) and (steps, width)
z          what the gates of one step see, before their functions
d_         derivative of the objective with respect to what follows
W, U, b    weights of inputs, weights of states, and biases, gate beside gate

Gates stand in the order i, f, o, g in an LSTM. In a GRU they are n, r, u in W and r, u,
n in U; its biases are those of n, r, u, and of the state's part of n.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit


# ---------------------------------------------------------------- one step
def tanh_step(named, x, h, c):
    h_new = np.tanh(x @ named["W"] + h @ named["U"] + named["b"])
    return h_new, c, h_new


def tanh_step_backward(named, x, h, c, h_new, d_h, d_c):
    d_z = d_h * (1 - h_new**2)
    return d_z, d_z, d_z, d_z @ named["U"].T, d_c


def lstm_step(named, x, h, c):
    """Hochreiter & Schmidhuber (1997), forget gate by Gers et al. (2000)."""
    z = x @ named["W"] + h @ named["U"] + named["b"]
    i, f, o, g = np.split(z, 4)
    i, f, o, g = expit(i), expit(f), expit(o), np.tanh(g)
    c_new = f * c + i * g
    return o * np.tanh(c_new), c_new, (i, f, o, g, np.tanh(c_new))


def lstm_step_backward(named, x, h, c, cache, d_h, d_c):
    i, f, o, g, tanh_c = cache
    d_c = d_c + d_h * o * (1 - tanh_c**2)
    slopes = i * (1 - i), f * (1 - f), o * (1 - o), 1 - g**2
    d_gates = d_c * g, d_c * c, d_h * tanh_c, d_c * i
    d_z = np.concatenate([d * s for d, s in zip(d_gates, slopes, strict=True)])
    return d_z, d_z, d_z, d_z @ named["U"].T, d_c * f


def gru_step(named, x, h, c):
    """Cho et al. (2014), the reset gate behind the product of the state."""
    b_n, b_r, b_u, b_s = np.split(named["b"], 4)
    x_n, x_r, x_u = np.split(x @ named["W"], 3)
    h_r, h_u, h_n = np.split(h @ named["U"], 3)
    r, u, s = expit(x_r + h_r + b_r), expit(x_u + h_u + b_u), h_n + b_s
    n = np.tanh(x_n + b_n + r * s)
    return (1 - u) * n + u * h, c, (n, r, u, s)


def gru_step_backward(named, x, h, c, cache, d_h, d_c):
    n, r, u, s = cache
    d_n = d_h * (1 - u) * (1 - n**2)
    d_r, d_u, d_s = d_n * s * r * (1 - r), d_h * (h - n) * u * (1 - u), d_n * r
    of_input, of_state = np.hstack([d_n, d_r, d_u]), np.hstack([d_r, d_u, d_s])
    biases = np.hstack([d_n, d_r, d_u, d_s])
    return of_input, of_state, biases, d_h * u + of_state @ named["U"].T, d_c


CELLS = {  # name -> step, its derivative, gates in W, U and b
    "tanh": (tanh_step, tanh_step_backward, (1, 1, 1)),
    "lstm": (lstm_step, lstm_step_backward, (4, 4, 4)),
    "gru": (gru_step, gru_step_backward, (3, 3, 4)),
}


# ---------------------------------------------------------------- one layer
@dataclass
class Recurrent:
    """All states of a sequence, from the first step on or from the last one."""

    cell: str
    n_in: int
    width: int
    reverse: bool = False

    @property
    def shapes(self):
        of_input, of_state, biases = (n * self.width for n in CELLS[self.cell][2])
        return {
            "W": (self.n_in, of_input),
            "U": (self.width, of_state),
            "b": (biases,),
        }

    def forward(self, named, x):
        step = CELLS[self.cell][0]
        h = c = np.zeros(self.width)
        states, cache = np.zeros((len(x), self.width)), []
        for t in self._times(x):
            before = h, c
            h, c, kept = step(named, x[t], h, c)
            states[t] = h
            cache.append((t, before, kept))
        return states, cache

    def backward(self, named, x, cache, d_states):
        """dJ/dx, gradients by name, and dJ/dh of every step by all roads."""
        step_backward = CELLS[self.cell][1]
        grad = {name: np.zeros_like(value) for name, value in named.items()}
        d_x, of_states = np.zeros_like(x), np.zeros_like(d_states)
        d_h = d_c = np.zeros(self.width)
        for t, (h, c), kept in reversed(cache):
            d_h = of_states[t] = d_h + d_states[t]
            of_input, of_state, biases, d_h, d_c = step_backward(
                named, x[t], h, c, kept, d_h, d_c
            )
            grad["W"] += np.outer(x[t], of_input)
            grad["U"] += np.outer(h, of_state)
            grad["b"] += biases
            d_x[t] = of_input @ named["W"].T
        return d_x, grad, of_states

    def _times(self, x):
        return range(len(x))[:: -1 if self.reverse else 1]


@dataclass
class Directions:
    """Recurrent layers that read the same sequence, states side by side."""

    parts: list
    scale: float | None = None  # x + scale * states, or states alone

    def forward(self, named, x):
        made = [p.forward(own, x) for p, own in zip(self.parts, named, strict=True)]
        states = np.hstack([states for states, _ in made])
        cache = [cache for _, cache in made]
        return (states if self.scale is None else x + self.scale * states), cache

    def backward(self, named, x, cache, d_y):
        d_states = d_y if self.scale is None else self.scale * d_y
        pieces = np.split(d_states, len(self.parts), axis=1)
        made = [
            part.backward(own, x, own_cache, piece)
            for part, own, own_cache, piece in zip(
                self.parts, named, cache, pieces, strict=True
            )
        ]
        d_x = sum(made_x for made_x, _, _ in made)
        if self.scale is not None:
            d_x = d_x + d_y
        return d_x, [grad for _, grad, _ in made], [states for *_, states in made]


# ---------------------------------------------------------------- the network
@dataclass
class SequenceNetwork:
    """Layers of `Directions`, a pooling and a dense output; rows (n, steps, channels).

    Parameters are a list of dicts, one for each recurrent layer and one for the output.
    """

    layers: list
    n_outputs: int
    pooling: str
    loss: object  # (f, y) -> losses (n,) and derivatives (n, K)

    @property
    def shapes(self):
        parts = [part.shapes for layer in self.layers for part in layer.parts]
        width = sum(part.width for part in self.layers[-1].parts)
        return [*parts, {"W": (width, self.n_outputs), "b": (self.n_outputs,)}]

    def _cut(self, named):
        named = iter(named[:-1])
        return [[next(named) for _ in layer.parts] for layer in self.layers]

    def _row_forward(self, named, x):
        caches, inputs = [], []
        for layer, own in zip(self.layers, self._cut(named), strict=True):
            inputs.append(x)
            x, cache = layer.forward(own, x)
            caches.append(cache)
        return self._pool(x), (inputs, caches, x)

    def _ends(self, states):
        """The column's own last step: the first one of those that go backwards."""
        parts = self.layers[-1].parts
        last = [0 if part.reverse else len(states) - 1 for part in parts]
        return np.repeat(last, [part.width for part in parts])

    def _pool(self, states):
        if self.pooling == "mean":
            return states.mean(axis=0)
        return states[self._ends(states), np.arange(states.shape[1])]

    def _pool_backward(self, states, d_pooled):
        if self.pooling == "mean":
            return np.tile(d_pooled / len(states), (len(states), 1))
        d_states = np.zeros_like(states)
        d_states[self._ends(states), np.arange(states.shape[1])] = d_pooled
        return d_states

    def forward(self, named, rows):
        """Raw outputs (n, K); rows end behind their last step that is no NaN."""
        made = [self._row_forward(named, trimmed(row)) for row in rows]
        pooled = np.array([p for p, _ in made])
        return pooled @ named[-1]["W"] + named[-1]["b"], pooled, [c for _, c in made]

    def value_and_gradient(self, named, rows, Y, w):
        """Weighted mean loss, gradients, dJ/dX, and norms of dJ/dh by part and step."""
        f, pooled, caches = self.forward(named, rows)
        losses, d_f = self.loss(f, Y)
        d_f = d_f * (w / w.sum())[:, None]
        grad = [{k: np.zeros_like(v) for k, v in own.items()} for own in named]
        grad[-1] = {"W": pooled.T @ d_f, "b": d_f.sum(axis=0)}
        d_rows = np.zeros_like(rows)
        squares = np.zeros((len(named) - 1, rows.shape[1]))
        for row, (inputs, kept, states) in enumerate(caches):
            d_x = self._pool_backward(states, d_f[row] @ named[-1]["W"].T)
            at = len(named) - 1
            for layer, own, x, cache in zip(
                self.layers[::-1], self._cut(named)[::-1], inputs[::-1], kept[::-1],
                strict=True,
            ):  # fmt: skip
                at -= len(layer.parts)
                d_x, grads, of_states = layer.backward(own, x, cache, d_x)
                for k, (of_part, d_h) in enumerate(zip(grads, of_states, strict=True)):
                    for name, value in of_part.items():
                        grad[at + k][name] += value
                    squares[at + k, : len(d_h)] += (d_h**2).sum(axis=1)
            d_rows[row, : len(d_x)] = d_x
        return w @ losses / w.sum(), grad, d_rows, np.sqrt(squares)


def trimmed(row):
    """Cut off the steps behind the end, which are NaN."""
    return row[: np.flatnonzero(~np.isnan(row).all(axis=1))[-1] + 1]
