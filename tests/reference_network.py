"""An independent multilayer perceptron in plain NumPy: the oracle of the tests.

Written from the formulas, in float64, for clarity and not for speed. It shares
nothing with the package. Legend:

X, Y     rows and targets, shapes (n, p) and (n, n_outputs)
W, b     weight matrix (n_in, n_out) and bias of a layer
z, a     pre-activation z = a_in @ W + b and activation a = f(z)
delta    derivative of the objective with respect to z
theta    all parameters in one flat vector, in the order of the forward pass
running  batch normalization's running means and variances, one flat vector
"""

from dataclasses import dataclass, field
from math import prod
from typing import NamedTuple

import numpy as np
from scipy.special import erf, expit, log_softmax, softmax, xlogy

# --------------------------------------------------------------- activations
SELU_LAMBDA, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772


def softplus(z):
    return np.logaddexp(0.0, z)


def _normal_cdf(z):
    return 0.5 * (1 + erf(z / np.sqrt(2)))


def _normal_pdf(z):
    return np.exp(-(z**2) / 2) / np.sqrt(2 * np.pi)


def _elu_branch(z):
    return np.expm1(np.minimum(z, 0))


ACTIVATIONS = {
    "identity": (lambda z: z, lambda z: np.ones_like(z)),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "leaky_relu": (
        lambda z: np.where(z > 0, z, 0.01 * z),
        lambda z: np.where(z > 0, 1.0, 0.01),
    ),
    "elu": (
        lambda z: np.where(z > 0, z, _elu_branch(z)),
        lambda z: np.where(z > 0, 1.0, np.exp(np.minimum(z, 0))),
    ),
    "selu": (
        lambda z: SELU_LAMBDA * np.where(z > 0, z, SELU_ALPHA * _elu_branch(z)),
        lambda z: (
            SELU_LAMBDA * np.where(z > 0, 1.0, SELU_ALPHA * np.exp(np.minimum(z, 0)))
        ),
    ),
    "gelu": (
        lambda z: z * _normal_cdf(z),
        lambda z: _normal_cdf(z) + z * _normal_pdf(z),
    ),
    "silu": (
        lambda z: z * expit(z),
        lambda z: expit(z) + z * expit(z) * expit(-z),
    ),
    "mish": (
        lambda z: z * np.tanh(softplus(z)),
        lambda z: (
            np.tanh(softplus(z))
            + z * expit(z) / np.cosh(np.minimum(softplus(z), 350)) ** 2
        ),
    ),
    "softplus": (softplus, expit),
    "tanh": (np.tanh, lambda z: 1 / np.cosh(np.clip(z, -350, 350)) ** 2),
    "logistic": (expit, lambda z: expit(z) * expit(-z)),
}


# ------------------------------------------- losses of the raw output f, by row
# each entry: (f, y) -> (loss of shape (n,), derivative of shape (n, K))
def _mean_over_outputs(loss, derivative):
    return loss.mean(axis=1), derivative / loss.shape[1]


def squared_error(f, y):
    return _mean_over_outputs((f - y) ** 2 / 2, f - y)


def absolute_error(f, y):
    return _mean_over_outputs(np.abs(f - y), np.sign(f - y))


def huber(f, y, threshold):
    r = f - y
    inside = np.abs(r) <= threshold
    loss = np.where(inside, r**2 / 2, threshold * (np.abs(r) - threshold / 2))
    return _mean_over_outputs(loss, np.clip(r, -threshold, threshold))


def pinball(f, y, q):
    r = y - f
    loss = np.maximum(q * r, (q - 1) * r)
    return _mean_over_outputs(loss, np.where(r > 0, -q, 0.0) + (r < 0) * (1 - q))


def poisson(f, y):
    """Half the deviance of McCullagh & Nelder (1989)."""
    deviance = xlogy(y, y) - y * f - y + np.exp(f)
    return _mean_over_outputs(deviance, np.exp(f) - y)


def softmax_log_loss(f, y):
    return -(y * log_softmax(f, axis=1)).sum(axis=1), softmax(f, axis=1) - y


def sigmoid_log_loss(f, y):
    return (softplus(f) - y * f).sum(axis=1), expit(f) - y


def softmax_squared_error(f, y):
    p = softmax(f, axis=1)
    loss, dp = squared_error(p, y)
    return loss, p * (dp - (dp * p).sum(axis=1, keepdims=True))


def sigmoid_squared_error(f, y):
    p = expit(f)
    loss, dp = squared_error(p, y)
    return loss, dp * p * expit(-f)


LOSSES = {  # (loss, link) -> function
    ("squared_error", "identity"): squared_error,
    ("absolute_error", "identity"): absolute_error,
    ("huber", "identity"): huber,
    ("quantile", "identity"): pinball,
    ("poisson", "exp"): poisson,
    ("log_loss", "softmax"): softmax_log_loss,
    ("log_loss", "logistic"): sigmoid_log_loss,
    ("squared_error", "softmax"): softmax_squared_error,
    ("squared_error", "logistic"): sigmoid_squared_error,
}
LINKS = {
    "identity": lambda f: f,
    "exp": np.exp,
    "softmax": lambda f: softmax(f, axis=1),
    "logistic": expit,
}


# ------------------------------------------------------------- normalization
EPS, RUNNING_MOMENTUM = 1e-5, 0.9


def batch_norm_forward(x, w, running_mean, running_var, training):
    """Standardize columns by weighted statistics of the batch or by running ones."""
    mean, var = running_mean, running_var
    if training:
        mean = w @ x / w.sum()
        var = w @ (x - mean) ** 2 / w.sum()
    sigma = np.sqrt(var + EPS)
    return (x - mean) / sigma, sigma, mean, var


def batch_norm_backward(dxhat, xhat, sigma, w):
    share = (w / w.sum())[:, None]
    d_sigma = -(dxhat * xhat).sum(axis=0) / sigma
    d_mean = -dxhat.sum(axis=0) / sigma
    return dxhat / sigma + share * (d_sigma * xhat + d_mean)


def layer_norm_forward(x):
    sigma = np.sqrt(x.var(axis=1, keepdims=True) + EPS)
    return (x - x.mean(axis=1, keepdims=True)) / sigma, sigma


def layer_norm_backward(dxhat, xhat, sigma):
    centred = dxhat - dxhat.mean(axis=1, keepdims=True)
    return (centred - xhat * (dxhat * xhat).mean(axis=1, keepdims=True)) / sigma


# ------------------------------------------------------------------- network
@dataclass
class ReferenceNetwork:
    n_features: int
    hidden_layer_sizes: tuple
    n_outputs: int
    activation: object = "relu"  # one name or one per hidden layer
    loss: str = "squared_error"
    link: str = "identity"
    loss_parameter: float | None = None  # threshold of huber, q of quantile
    normalization: str | None = None
    residual: str | None = None
    residual_block_size: int = 1
    alpha: float = 0.0
    shapes: dict = field(init=False)  # name -> shape, in the order of theta

    def __post_init__(self):
        sizes = list(self.hidden_layer_sizes)
        self.activations = (
            [self.activation] * len(sizes)
            if isinstance(self.activation, str)
            else list(self.activation)
        )
        hidden = list(range(len(sizes)))
        if self.residual is None:
            self.blocks = [hidden] if sizes else []
        else:
            if self.residual == "add":
                hidden = hidden[1:]  # the first one makes the stream
            step = self.residual_block_size
            self.blocks = [hidden[i : i + step] for i in range(0, len(hidden), step)]
        self.branch_scale = 1 / np.sqrt(max(len(self.blocks), 1))
        self._lay_out(sizes)

    def _lay_out(self, sizes):
        self.shapes = {}
        stream = self.n_features
        if self.residual == "add" and sizes:
            stream = self._lay_out_add(sizes)
        else:
            for block in self.blocks:
                width = stream
                for h in block:
                    self._lay_out_dense(h, width, sizes[h])
                    self._lay_out_norm(h, sizes[h])
                    width = sizes[h]
                stream = stream + width if self.residual == "concat" else width
        self.shapes["W_out"] = (stream, self.n_outputs)
        self.shapes["b_out"] = (self.n_outputs,)
        self.n_theta = sum(prod(shape) for shape in self.shapes.values())
        self.n_running = 2 * sum(sizes) if self.normalization == "batch" else 0

    def _lay_out_add(self, sizes):
        self._lay_out_dense(0, self.n_features, sizes[0])
        for number, block in enumerate(self.blocks):
            for h in block:
                self._lay_out_norm(h - 1, sizes[h - 1])
                self._lay_out_dense(h, sizes[h - 1], sizes[h])
            before, behind = sizes[block[0] - 1], sizes[block[-1]]
            if before != behind:
                self.shapes[f"P{number}"] = (before, behind)
        self._lay_out_norm(len(sizes) - 1, sizes[-1])
        return sizes[-1]

    def _lay_out_dense(self, h, n_in, n_out):
        self.shapes[f"W{h}"] = (n_in, n_out)
        self.shapes[f"b{h}"] = (n_out,)

    def _lay_out_norm(self, h, width):
        if self.normalization:
            self.shapes[f"gamma{h}"] = self.shapes[f"beta{h}"] = (width,)

    # --- the flat vectors
    def unpack(self, theta):
        ends = np.cumsum([prod(shape) for shape in self.shapes.values()])
        pieces = np.split(np.asarray(theta, dtype=float), ends[:-1])
        return {
            name: piece.reshape(shape)
            for (name, shape), piece in zip(self.shapes.items(), pieces, strict=True)
        }

    def pack(self, named):
        return np.concatenate([np.ravel(named[name]) for name in self.shapes])

    def is_weight(self):
        """Say for every element of theta whether it belongs to a weight matrix."""
        return self.pack(
            {name: np.full(s, name[0] in "WP") for name, s in self.shapes.items()}
        ).astype(bool)

    def places(self):
        """Say where in theta weights lie, and matrices of hidden layers."""
        starts = np.cumsum([0, *(prod(shape) for shape in self.shapes.values())])
        matrices = [
            (start, shape)
            for (name, shape), start in zip(self.shapes.items(), starts, strict=False)
            if name[0] in "WP" and name != "W_out"
        ]
        return Places(self.is_weight(), matrices)

    def weight_matrices(self, theta):
        """List the W of every layer from input to output, projections left out."""
        return [v for name, v in self.unpack(theta).items() if name[0] == "W"]

    def start_theta(self, rng, scale=0.5):
        """Draw all parameters at random, gamma around 1."""
        theta = self.unpack(scale * rng.standard_normal(self.n_theta))
        return self.pack({k: v + k.startswith("gamma") for k, v in theta.items()})

    def start_running(self):
        halves = [np.repeat([0.0, 1.0], n) for n in self.hidden_layer_sizes]
        return np.concatenate(halves) if self.n_running else np.zeros(0)

    def _running_of(self, running, h):
        start = 2 * sum(self.hidden_layer_sizes[:h])
        return running[start : start + 2 * self.hidden_layer_sizes[h]].reshape(2, -1)

    # --- forward
    def _dense_forward(self, named, h, a_in, caches):
        caches["a_in", h] = a_in
        return a_in @ named[f"W{h}"] + named[f"b{h}"]

    def _behind_forward(self, named, h, x, w, running, training, masks):
        cache = {"w": w}
        if self.normalization == "batch":
            mean, var = self._running_of(running, h)
            x, cache["sigma"], *cache["statistics"] = batch_norm_forward(
                x, w, mean, var, training
            )
        elif self.normalization == "layer":
            x, cache["sigma"] = layer_norm_forward(x)
        if self.normalization:
            cache["xhat"] = x
            x = named[f"gamma{h}"] * x + named[f"beta{h}"]
        cache["z"] = x
        cache["mask"] = 1.0 if masks is None else masks[h]
        cache["a"] = ACTIVATIONS[self.activations[h]][0](x)
        return cache["a"] * cache["mask"], cache

    def forward(self, theta, X, w=None, running=None, training=True, masks=None):
        """Give the raw outputs f and what the backward pass needs.

        `masks` are the (already scaled) dropout masks, one per hidden layer.
        """
        w = np.ones(len(X)) if w is None else np.asarray(w, dtype=float)
        running = self.start_running() if running is None else running
        named = self.unpack(theta)
        caches = {}
        stream = np.asarray(X, dtype=float)

        def behind(h, x):
            out, caches[h] = self._behind_forward(
                named, h, x, w, running, training, masks
            )
            return out

        def dense(h, a_in):
            return self._dense_forward(named, h, a_in, caches)

        if self.residual == "add" and self.hidden_layer_sizes:
            stream = self._add_forward(named, stream, dense, behind, caches)
        else:
            for block in self.blocks:
                a = stream
                for h in block:
                    a = behind(h, dense(h, a))
                stream = np.hstack([stream, a]) if self.residual == "concat" else a
        caches["out"] = stream
        return stream @ named["W_out"] + named["b_out"], caches

    def _add_forward(self, named, X, dense, behind, caches):
        stream = dense(0, X)
        for number, block in enumerate(self.blocks):
            branch = stream
            for h in block:
                branch = dense(h, behind(h - 1, branch))
            caches["stream", number] = stream
            P = named.get(f"P{number}")
            skip = stream if P is None else stream @ P
            stream = skip + self.branch_scale * branch
        return behind(len(self.hidden_layer_sizes) - 1, stream)

    def predict(self, theta, X, running=None):
        f, _ = self.forward(theta, X, running=running, training=False)
        return LINKS[self.link](f)

    # --- objective and gradient
    def _rows(self, f, Y):
        extra = () if self.loss_parameter is None else (self.loss_parameter,)
        return LOSSES[self.loss, self.link](f, np.asarray(Y, dtype=float), *extra)

    def penalty(self, theta, total_weight):
        squares = (theta[self.is_weight()] ** 2).sum()
        return self.alpha / (2 * total_weight) * squares

    def objective(
        self, theta, X, Y, w=None, total_weight=None, running=None, training=True,
        masks=None, mean_weight=None,
    ):  # fmt: skip
        """Give the objective of these rows, expected to weigh `mean_weight` each."""
        w = np.ones(len(X)) if w is None else np.asarray(w, dtype=float)
        total_weight = w.sum() if total_weight is None else total_weight
        expected = w.sum() if mean_weight is None else len(X) * mean_weight
        f, _ = self.forward(theta, X, w, running, training, masks)
        rows, _ = self._rows(f, Y)
        return w @ rows / expected + self.penalty(theta, total_weight)

    def gradient(
        self, theta, X, Y, w=None, total_weight=None, masks=None, mean_weight=None
    ):
        """Differentiate the training objective by hand, layer by layer backwards."""
        w = np.ones(len(X)) if w is None else np.asarray(w, dtype=float)
        total_weight = w.sum() if total_weight is None else total_weight
        expected = w.sum() if mean_weight is None else len(X) * mean_weight
        f, caches = self.forward(theta, X, w, masks=masks)
        named = self.unpack(theta)
        grad = {}

        delta = self._rows(f, Y)[1] * (w / expected)[:, None]
        grad["W_out"] = caches["out"].T @ delta
        grad["b_out"] = delta.sum(axis=0)
        d_stream = delta @ named["W_out"].T

        def behind(h, d_a):
            return self._behind_backward(named, h, d_a, caches[h], grad)

        def dense(h, d_z):
            grad[f"W{h}"] = caches["a_in", h].T @ d_z
            grad[f"b{h}"] = d_z.sum(axis=0)
            return d_z @ named[f"W{h}"].T

        if self.residual == "add" and self.hidden_layer_sizes:
            self._add_backward(named, d_stream, dense, behind, caches, grad)
        else:
            for block in reversed(self.blocks):
                d_a, d_skip = d_stream, 0.0
                if self.residual == "concat":
                    width = caches["a_in", block[0]].shape[1]
                    d_skip, d_a = np.split(d_stream, [width], axis=1)
                for h in reversed(block):
                    d_a = dense(h, behind(h, d_a))
                d_stream = d_skip + d_a

        for name in self.shapes:
            if name[0] in "WP":
                grad[name] = grad[name] + self.alpha / total_weight * named[name]
        return self.pack(grad)

    def _add_backward(self, named, d_out, dense, behind, caches, grad):
        d_stream = behind(len(self.hidden_layer_sizes) - 1, d_out)
        for number in reversed(range(len(self.blocks))):
            d_branch, d_skip = self.branch_scale * d_stream, d_stream
            if f"P{number}" in named:
                grad[f"P{number}"] = caches["stream", number].T @ d_stream
                d_skip = d_stream @ named[f"P{number}"].T
            for h in reversed(self.blocks[number]):
                d_branch = behind(h - 1, dense(h, d_branch))
            d_stream = d_skip + d_branch
        dense(0, d_stream)

    def _behind_backward(self, named, h, d_a, cache, grad):
        derivative = ACTIVATIONS[self.activations[h]][1](cache["z"])
        delta = d_a * cache["mask"] * derivative
        if self.normalization:
            grad[f"gamma{h}"] = (delta * cache["xhat"]).sum(axis=0)
            grad[f"beta{h}"] = delta.sum(axis=0)
            delta = delta * named[f"gamma{h}"]
        if self.normalization == "batch":
            delta = batch_norm_backward(
                delta, cache["xhat"], cache["sigma"], cache["w"]
            )
        elif self.normalization == "layer":
            delta = layer_norm_backward(delta, cache["xhat"], cache["sigma"])
        return delta

    def next_running(self, running, caches):
        """Mix the batch's (biased) statistics into the running ones."""
        running = running.copy()
        if self.normalization == "batch":
            for h in range(len(self.hidden_layer_sizes)):
                mixed = self._running_of(running, h)
                mixed *= RUNNING_MOMENTUM
                mixed += (1 - RUNNING_MOMENTUM) * np.array(caches[h]["statistics"])
        return running

    # --- one epoch
    def train_epoch(self, state, X, Y, *, order, batch_size, w=None, clip=None,
                    clip_mode="norm", step=None, rate=0.1):  # fmt: skip
        """Go over the rows once; `state` holds theta, running and the optimizer's.

        `step` is one of OPTIMIZERS with its hyper-parameters bound; `rate` is one
        number or one for each step. Returns the epoch's loss and its records.
        """
        w = np.ones(len(X)) if w is None else np.asarray(w, dtype=float)
        total, loss, records = w.sum(), 0.0, []
        counts = {"total_weight": total, "mean_weight": total / len(order)}
        starts = range(0, len(order), batch_size)
        rates = np.broadcast_to(rate, len(starts))
        for start, rate_of_step in zip(starts, rates, strict=True):
            rows = order[start : start + batch_size]
            batch = X[rows], Y[rows], w[rows]
            if batch[2].sum() == 0:
                continue
            objective = self.objective(state["theta"], *batch, **counts)
            loss += len(rows) / len(order) * objective
            gradient = self.gradient(state["theta"], *batch, **counts)
            _, caches = self.forward(state["theta"], batch[0], batch[2])
            state["running"] = self.next_running(state["running"], caches)
            clipped = CLIPS[clip_mode](gradient, clip) if clip else gradient
            before = state["theta"]
            step(state, clipped, rate_of_step, self.places())
            records.append(self._record(before, gradient, clipped, state["theta"]))
        return loss, summarize(records)

    def _record(self, before, gradient, clipped, after):
        def norms(v):
            return np.array([np.linalg.norm(W) for W in self.weight_matrices(v)])

        return {
            "gradient_norm": norms(gradient),
            "update_ratio": norms(after - before) / norms(after),
            "global_norm": np.linalg.norm(gradient),
            "clipped": float(not np.array_equal(gradient, clipped)),
        }


def summarize(records):
    """Aggregate the steps of one epoch."""

    def column(name):
        return np.array([record[name] for record in records])

    def root_mean_square(name):
        return np.sqrt((column(name) ** 2).mean(axis=0))

    return {
        "gradient_norm": root_mean_square("gradient_norm"),
        "gradient_norm_max": column("gradient_norm").max(axis=0),
        "update_ratio": column("update_ratio").mean(axis=0),
        "clipped_fraction": column("clipped").mean(),
        "global_norm": root_mean_square("global_norm"),
    }


# --------------------------------------------------------------- clipping
def clip_norm(gradient, threshold):
    norm = np.linalg.norm(gradient)
    return gradient * (threshold / norm) if norm > threshold else gradient


def clip_value(gradient, threshold):
    return np.clip(gradient, -threshold, threshold)


CLIPS = {"norm": clip_norm, "value": clip_value}


# --------------------------------------------------------------- optimizers
# each: (state, g, rate, places, hyper-parameters), replacing state["theta"]
class Places(NamedTuple):
    """Where in theta there is what some optimizers treat in another way."""

    is_weight: np.ndarray  # (n_theta,), of a weight matrix
    matrices: list = []  # start and shape of each matrix of a hidden layer


def sgd(state, g, rate, places, momentum=0.9, nesterov=True):
    v = momentum * state.get("v", 0.0) - rate * g
    state["v"] = v
    state["theta"] = state["theta"] + (momentum * v - rate * g if nesterov else v)


def adam(
    state, g, rate, places, beta_1=0.9, beta_2=0.999, epsilon=1e-8, weight_decay=0.0
):
    t = state["t"] = state.get("t", 0) + 1
    m = state["m"] = beta_1 * state.get("m", 0.0) + (1 - beta_1) * g
    v = state["v"] = beta_2 * state.get("v", 0.0) + (1 - beta_2) * g**2
    step = rate * np.sqrt(1 - beta_2**t) / (1 - beta_1**t) * m / (np.sqrt(v) + epsilon)
    decay = rate * weight_decay * state["theta"] * places.is_weight
    state["theta"] = state["theta"] - step - decay


def orthogonalized(G):
    """Move singular values near to one: three times a s + b s^3 + c s^5."""
    U, s, Vt = np.linalg.svd(G, full_matrices=False)
    s = s / np.linalg.norm(G)
    for _ in range(3):
        s = 3.4445 * s - 4.7750 * s**3 + 2.0315 * s**5
    return U * s @ Vt


def muon(
    state, g, rate, places, momentum=0.9, nesterov=True, weight_decay=0.0, **of_adam
):
    before = state["theta"]
    m = np.array(state.get("m", np.zeros_like(g)))
    adam(state, g, rate, places, weight_decay=weight_decay, **of_adam)
    for start, shape in places.matrices:
        part = slice(start, start + prod(shape))
        m[part] = momentum * m[part] + g[part]
        ahead = g[part] + momentum * m[part] if nesterov else m[part]
        step = 0.2 * max(shape) ** 0.5 * orthogonalized(ahead.reshape(shape)).ravel()
        state["theta"][part] = before[part] * (1 - rate * weight_decay) - rate * step
        state["m"][part], state["v"][part] = m[part], 0.0


def adagrad(state, g, rate, places, epsilon=1e-8):
    s = state["s"] = state.get("s", 0.0) + g**2
    state["theta"] = state["theta"] - rate * g / (np.sqrt(s) + epsilon)


def rmsprop(state, g, rate, places, epsilon=1e-8):
    s = state["s"] = 0.9 * state.get("s", 0.0) + 0.1 * g**2
    state["theta"] = state["theta"] - rate * g / (np.sqrt(s) + epsilon)


OPTIMIZERS = {
    "sgd": sgd,
    "adam": adam,
    "adamw": adam,
    "muon": muon,
    "adagrad": adagrad,
    "rmsprop": rmsprop,
}


# --------------------------------------------------------------- schedules
def rate_of_epoch(
    schedule, epoch, learning_rate_init, *, max_iter=200, rows_seen=0, power_t=0.5,
    decay=0.95, stalls=0, warmup_epochs=0, n_steps=1,
):  # fmt: skip
    """Give the learning rate of an epoch (counted from 0), or of each of its steps."""
    rate = learning_rate_init
    if schedule == "coslog":
        epoch = epoch + np.arange(n_steps) / n_steps
        rate = rate * np.sin(np.pi * np.log2(1 + 15 * epoch / max_iter)) ** 2
        return rate * np.minimum(1, (epoch + 1) / (warmup_epochs + 1))
    if schedule == "invscaling" and rows_seen > 0:
        rate = learning_rate_init / (rows_seen + 1) ** power_t
    elif schedule == "adaptive":
        rate = learning_rate_init / 5**stalls
    elif schedule == "exponential":
        rate = learning_rate_init * decay**epoch
    elif schedule == "cosine":
        rate = learning_rate_init / 2 * (1 + np.cos(np.pi * epoch / max_iter))
    if epoch < warmup_epochs:
        rate *= (epoch + 1) / (warmup_epochs + 1)
    return rate
