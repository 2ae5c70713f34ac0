"""Networks for tables, twice: as the engine reads them and as the reference does."""

import numpy as np
import reference_tables as reference
from architectures import parameter

from sklearn_backprop.engine import _engine

N_ROWS, N_COLUMNS = 23, 5
EDGES = [
    np.array([-1.2, -0.4, 0.1, 0.3, 1.5]),
    np.array([-0.5, 0.5]),
    np.array([0.0, 0.2, 1.0]),
]
EMBEDDED, MISSING = [0, 2, 3], [0, 2]  # columns, and places among them
RELU = reference.Activation(lambda z: np.maximum(z, 0), lambda z: (z > 0) * 1.0)
TANH = reference.Activation(np.tanh, lambda z: 1 - np.tanh(z) ** 2)


class TableLayout:
    """Collects layers, for both sides, and the shapes of their parameters."""

    def __init__(self):
        self.table, self.n_parameters = [], 0
        self.shapes = []  # of each reference layer: name -> shape
        self.reference = []
        self.constants = []

    def place(self, shapes):
        """Append arrays to theta; return the rows of the table by name."""
        rows = {}
        for name, shape in shapes.items():
            row = parameter(name[-1], self.n_parameters, int(np.prod(shape)))
            rows[name] = len(self.table)
            self.table.append(row | {"name": f"{name} at {row['start']}"})
            self.n_parameters += row["size"]
        return rows

    def add(self, kind, layer, shapes, **values):
        """Append a layer; return its specification."""
        self.reference.append(layer)
        self.shapes.append(shapes)
        return {"kind": kind, **self.place(shapes), **values}

    def embedding(self, kind, size, shared=True):
        """Embed some columns; the others are taken as they are, or are codes."""
        if kind == "piecewise_linear":
            layer = reference.PiecewiseLinear(EMBEDDED, EDGES, MISSING)
            n_bins = [len(edges) - 1 for edges in EDGES]
            shapes = {"u": (3, size), "v": (3, size), "V": (sum(n_bins), size)}
            self.constants = np.concatenate(EDGES)
            values = {"n_bins": n_bins, "edges": 0}
        else:
            layer = reference.Periodic(EMBEDDED, MISSING)
            own = () if shared else (3,)
            shapes = {"w": (3, 4), "W": (*own, 8, size), "b": (*own, size)}
            values = {"n_frequencies": 4, "shared": int(shared)}
        shapes["missing"] = (len(MISSING), size)
        rows = self.place(shapes)
        self.shapes.append({f"0.{name}": shape for name, shape in shapes.items()})
        self.reference.append(
            reference.Beside([layer, reference.OneHot([4], [3]), reference.Select([1])])
        )
        part = {"n_in": N_COLUMNS}
        return {
            "kind": "beside",
            "n_in": N_COLUMNS,
            "n_out": 3 * size + 4,
            "layers": [
                {
                    **part, "kind": kind, "columns": EMBEDDED, "size": size, **rows,
                    **values, "missing_columns": MISSING,
                },
                {**part, "kind": "one_hot", "columns": [4], "n_levels": [3]},
                {**part, "kind": "select", "columns": [1]},
            ],
        }  # fmt: skip

    def scaled_dense(self, n_in, n_out, k, n_wide, group):
        """(x r) W + b, two layers of the reference."""
        widths = [group] * n_wide + [1] * (n_in - group * n_wide)
        r, dense = {"r": (k, len(widths))}, {"W": (n_in, n_out), "b": (n_out,)}
        self.reference += [reference.MemberScale(widths), reference.Dense()]
        self.shapes += [r, dense]
        return {
            "kind": "scaled_dense", "n_in": n_in, "n_out": n_out, "n_members": k,
            "n_wide": n_wide, "group": group, **self.place(r), **self.place(dense),
        }  # fmt: skip

    def member_scale(self, width, k, n_wide=0, group=1):
        widths = [group] * n_wide + [1] * (width - group * n_wide)
        return self.add(
            "member_scale", reference.MemberScale(widths), {"r": (k, len(widths))},
            width=width, n_members=k, n_wide=n_wide, group=group,
        )  # fmt: skip

    def member_affine(self, width, k):
        return self.add(
            "member_affine", reference.MemberAffine(),
            {"s": (k, width), "b": (k, width)}, width=width, n_members=k,
        )  # fmt: skip

    def member_dense(self, n_in, n_out, k):
        return self.add(
            "member_dense", reference.Dense(), {"W": (k, n_in, n_out), "b": (k, n_out)},
            n_in=n_in, n_out=n_out, n_members=k,
        )  # fmt: skip

    def dense(self, n_in, n_out):
        return self.add(
            "dense", reference.Dense(), {"W": (n_in, n_out), "b": (n_out,)},
            n_in=n_in, n_out=n_out,
        )  # fmt: skip

    def activation(self, width, name="tanh"):
        function = {"tanh": TANH, "relu": RELU}[name]
        return self.add("activation", function, {}, name=name, width=width)

    def unpack(self, theta):
        """Cut a flat vector into the reference's parameters."""
        named, start = [], 0
        for shapes in self.shapes:
            named.append({})
            for name, shape in shapes.items():
                size = int(np.prod(shape))
                named[-1][name] = theta[start : start + size].reshape(shape)
                start += size
        assert start == len(theta)
        return named

    def network(self, layers, loss, link, dtype="64", **settings):
        cls = {"64": _engine.NetworkFloat64, "32": _engine.NetworkFloat32}[dtype]
        return cls(self.table, layers, loss=loss, link=link, **settings)


def members(layers, n_front, k, n_in, n_out):
    return {
        "kind": "members", "n_members": k, "n_front": n_front, "n_in": n_in,
        "n_out": k * n_out, "layers": layers,
    }  # fmt: skip


def make_rows(n_rows=N_ROWS, seed=0, missing=True):
    """Numbers, some missing or beyond all edges; column 4 holds codes."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n_rows, N_COLUMNS))
    X[:, 4] = rng.integers(-1, 4, size=n_rows)
    X[:, 1] *= rng.random(n_rows) < 0.5
    if missing:
        X[2::7, 0] = X[3::5, 3] = np.nan  # with vectors of their own
        X[4, 2] = np.nan  # without
    return X
