"""Layers and tables of parameters for the engine's tests, written out by hand."""

import numpy as np

from sklearn_backprop.engine import _engine

PARAMETERS = {"huber": 0.8, "quantile": 0.3}


def parameter(role, start, size, rate=1.0):
    """One row of the table."""
    return {
        "name": f"{role} at {start}",
        "start": start,
        "size": size,
        "penalty": float(role in "WP"),
        "rate": rate,
        "recorded": role == "W",
    }


class Builder:
    """Appends layers and lays their parameters out one after the other."""

    def __init__(self):
        self.table = []
        self.n_parameters = 0
        self.n_running = 0

    def take(self, role, n):
        """Append a row to the table and return its number."""
        self.table.append(parameter(role, self.n_parameters, n))
        self.n_parameters += n
        return len(self.table) - 1

    def dense(self, n_in, n_out):
        W, b = self.take("W", n_in * n_out), self.take("b", n_out)
        return {"kind": "dense", "n_in": n_in, "n_out": n_out, "W": W, "b": b}

    def hidden(self, n_in, width, activation, normalization=None, dropout=0.0):
        layers = [self.dense(n_in, width)]
        if normalization is not None:
            gamma, beta = self.take("gamma", width), self.take("beta", width)
            norm = {"kind": f"{normalization}_norm", "width": width}
            norm |= {"gamma": gamma, "beta": beta}
            if normalization == "batch":
                norm["running"] = self.n_running
                self.n_running += 2 * width
            layers.append(norm)
        layers.append({"kind": "activation", "name": activation, "width": width})
        if dropout:
            layers.append({"kind": "dropout", "width": width, "rate": dropout})
        return layers


def make_layers(
    n_in,
    widths,
    n_out,
    activation,
    *,
    residual=None,
    block_size=1,
    normalization=None,
    dropout=0.0,
):
    """Return ((table, layers), n_parameters, n_running)."""
    builder = Builder()
    layers = []
    width = n_in
    for start in range(0, len(widths), block_size):
        block, block_in = [], width
        for n_units in widths[start : start + block_size]:
            block += builder.hidden(width, n_units, activation, normalization, dropout)
            width = n_units
        if residual is None:
            layers += block
            continue
        entry = {"kind": residual, "n_in": block_in, "layers": block}
        if residual == "add":
            entry |= {"n_out": width, "scale": 0.7}
            if block_in != width:
                entry["P"] = builder.take("P", block_in * width)
        else:
            width = entry["n_out"] = block_in + width
        layers.append(entry)
    layers.append(builder.dense(width, n_out))
    return (builder.table, layers), builder.n_parameters, builder.n_running


def start(n_parameters, n_running, *, scale=0.5, seed=0, dtype=np.float64):
    """Return random theta and the running statistics of standardised data."""
    theta = np.random.default_rng(seed).normal(scale=scale, size=n_parameters)
    running = np.zeros(n_running)
    return theta.astype(dtype), running.astype(dtype)


def make_network(layers, loss, link, dtype="64", **settings):
    """Return the engine's network of (table, layers)."""
    cls = {"64": _engine.NetworkFloat64, "32": _engine.NetworkFloat32}[dtype]
    parameter = PARAMETERS.get(loss, 0.0)
    return cls(*layers, loss=loss, link=link, loss_parameter=parameter, **settings)
