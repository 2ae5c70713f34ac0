"""Recurrent networks, twice: as the engine reads them and as the reference does."""

import numpy as np
from architectures import parameter
from reference_sequences import Directions, Recurrent, SequenceNetwork

from sklearn_backprop.engine import _engine

N_ROWS, N_STEPS, N_CHANNELS = 13, 7, 3


def recurrent_layers(cell, widths, *, bidirectional=False, residual=False):
    """Give the reference's layers; a residual block where the width stays."""
    layers, n_in = [], N_CHANNELS
    for width in widths:
        ways = (False, True) if bidirectional else (False,)
        parts = [Recurrent(cell, n_in, width, way) for way in ways]
        n_out = width * len(parts)
        layers.append(Directions(parts, 0.7 if residual and n_in == n_out else None))
        n_in = n_out
    return layers


def as_engine_reads(network, n_steps=N_STEPS, dropout=0.0):
    """Give (table, layers) of the reference's network."""
    table, n_theta = [], 0

    def place(shapes):
        nonlocal n_theta
        rows = {}
        for name, shape in shapes.items():
            row = parameter(name, n_theta, int(np.prod(shape)))
            rows[name] = len(table)
            table.append(row)
            n_theta += row["size"]
        return rows

    inner = []
    for layer in network.layers:
        parts = [
            {
                "kind": "recurrent", "cell": part.cell, "n_in": part.n_in,
                "width": part.width, "reverse": int(part.reverse), **place(part.shapes),
            }
            for part in layer.parts
        ]  # fmt: skip
        n_in = parts[0]["n_in"]
        n_out = sum(part["width"] for part in parts)
        block = {"n_in": n_in, "n_out": n_out}
        if len(parts) > 1:
            parts = [{"kind": "beside", **block, "layers": parts}]
        if dropout and inner:
            inner.append({"kind": "dropout", "width": n_in, "rate": dropout})
        if layer.scale is not None:
            parts = [{"kind": "add", **block, "scale": layer.scale, "layers": parts}]
        inner += parts
    first = network.layers[-1].parts[0]
    layers = [
        {
            "kind": "sequence", "n_steps": n_steps, "n_channels": N_CHANNELS,
            "n_out": n_out, "pooling": network.pooling, "n_forward": first.width,
            "layers": inner,
        },
        {
            "kind": "dense", "n_in": n_out, "n_out": network.n_outputs, "row_by_row": 1,
            **place(network.shapes[-1]),
        },
    ]  # fmt: skip
    return (table, layers), n_theta


def make_engine(layers, loss, link, dtype="64"):
    cls = {"64": _engine.NetworkFloat64, "32": _engine.NetworkFloat32}[dtype]
    return cls(*layers, loss=loss, link=link)


def unpack(network, theta):
    """Cut a flat vector into the reference's parameters."""
    named, start = [], 0
    for shapes in network.shapes:
        named.append({})
        for name, shape in shapes.items():
            size = int(np.prod(shape))
            named[-1][name] = theta[start : start + size].reshape(shape)
            start += size
    assert start == len(theta)
    return named


def pack(named):
    return np.concatenate([np.ravel(v) for own in named for v in own.values()])


def make_sequences(n_rows=N_ROWS, n_steps=N_STEPS, seed=0, padded=True):
    """Sequences (n, steps, channels) of 1 to n_steps steps, NaN behind their ends."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, n_steps, N_CHANNELS))
    if padded:
        lengths = rng.integers(1, n_steps + 1, size=n_rows)
        X[np.arange(n_steps) >= lengths[:, None]] = np.nan
    return X


__all__ = [
    "N_CHANNELS",
    "N_ROWS",
    "N_STEPS",
    "SequenceNetwork",
    "as_engine_reads",
    "make_engine",
    "make_sequences",
    "pack",
    "recurrent_layers",
    "unpack",
]
