"""Embeddings of numbers: each becomes a vector before the first layer reads it."""

from abc import ABC, abstractmethod
from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.utils._param_validation import Interval, StrOptions

from .._documentation import DocumentationLinkMixin
from .._parameters import CheckedParameters
from ..preprocessing._bins import BINS, column_of, edges_of_columns
from ._architecture import EMBEDDING, Architecture, Layer
from ._examples import Examples
from ._inputs import Inputs

__all__ = [
    "EMBEDDINGS",
    "NumericalEmbedding",
    "PeriodicEmbedding",
    "PiecewiseLinearEmbedding",
    "embedding_of",
    "lay_out_inputs",
]


class NumericalEmbedding(DocumentationLinkMixin, CheckedParameters, ABC):
    """The hyper-parameters of an embedding; what it learns lies in the network."""

    _kind: str  # of its layer

    def _survey(
        self, examples: Examples, columns: list[int], is_classification: bool
    ) -> Inputs:
        """What layers are to know of the columns that are embedded."""
        self._validate_params()
        return Inputs(
            n_columns=examples.X.shape[1],
            embedded=columns,
            embedding=self._description(),
            edges=self._edges(examples, columns, is_classification),
            missing=[
                j
                for j in columns
                if np.isnan(examples.of(column_of(examples.X, j))).any()
            ],
        )

    def _description(self) -> dict[str, Any]:
        return {"kind": self._kind, **self.get_params(deep=False)}

    @abstractmethod
    def _edges(
        self, examples: Examples, columns: list[int], is_classification: bool
    ) -> list[np.ndarray]:
        """Edges of bins of each column, where it has some."""

    @staticmethod
    @abstractmethod
    def _arrays(architecture: Architecture, inputs: Inputs) -> Layer:
        """Place what its layer trains and reads; give its keys of the layer."""


class PiecewiseLinearEmbedding(NumericalEmbedding):
    """Piecewise-linear embedding of numbers, for `numerical_embedding`.

    A number x becomes the vector u x + v + sum of e_t V_t, where e_t is the share of
    bin t of its feature that lies below x, so that every coordinate is a continuous,
    piecewise linear function of x. Vectors u, v and V_t are trained; V starts at zero.

    Parameters
    ----------
    n_bins : int, default=48
        Number of bins of a feature; fewer where it has fewer distinct values.
    size : int, default=16
        Length of the vector.
    bins : {"quantile", "tree"}, default="quantile"
        How edges of bins are found in the training rows: at quantiles of the distinct
        values, each of which counts by the square root of its number of rows; or where
        a decision tree splits that predicts y from this feature alone.
    min_samples_leaf : int, default=16
        Least number of rows in a bin of "tree".

    See Also
    --------
    PeriodicEmbedding : Sines and cosines instead.
    sklearn_backprop.preprocessing.PiecewiseLinearEncoder : The same bins for linear
        models.

    References
    ----------
    Gorishniy, Y., Rubachev, I., & Babenko, A. (2022). On embeddings for numerical
    features in tabular deep learning. NeurIPS.

    Gorishniy, Y., Kotelnikov, A., & Babenko, A. (2025). TabM: Advancing tabular deep
    learning with parameter-efficient ensembling. ICLR.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_backprop.neural_network import (
    ...     BackpropMLPRegressor, PiecewiseLinearEmbedding)
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> y = np.sign(np.sin(12 * X[:, 0]))
    >>> embedding = PiecewiseLinearEmbedding(n_bins=32, size=8)
    >>> model = BackpropMLPRegressor((32,), numerical_embedding=embedding,
    ...                              learning_rate_init=0.01, random_state=0)
    >>> model.fit(X, y).score(X, y) > 0.9
    True
    """

    _kind = "piecewise_linear"
    _parameter_constraints: dict = {
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "size": [Interval(Integral, 1, None, closed="left")],
        "bins": [StrOptions(set(BINS))],
        "min_samples_leaf": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, n_bins=48, size=16, *, bins="quantile", min_samples_leaf=16):
        self.n_bins = n_bins
        self.size = size
        self.bins = bins
        self.min_samples_leaf = min_samples_leaf

    def _edges(self, examples, columns, is_classification):
        return edges_of_columns(
            examples.X,
            columns,
            n_bins=self.n_bins,
            bins=self.bins,
            weight=examples.of(examples.sample_weight),
            y=examples.of(examples.labels) if self.bins == "tree" else None,
            is_classification=is_classification,
            min_samples_leaf=self.min_samples_leaf,
            rows=examples.order,
        )

    @staticmethod
    def _arrays(architecture, inputs):
        """Lines u x + v of each feature, vectors V of its bins, and their edges."""
        n, size = len(inputs.embedded), inputs.embedding["size"]
        n_bins = [len(edges) - 1 for edges in inputs.edges]
        place = architecture.place
        return {
            "n_bins": n_bins,
            "edges": architecture.place_constants(np.concatenate(inputs.edges)),
            "u": place(EMBEDDING, "u", (n, size), initializer="uniform_by_size"),
            "v": place(EMBEDDING, "v", (n, size), initializer="uniform_by_size"),
            "V": place(EMBEDDING, "V", (sum(n_bins), size), initializer="zeros"),
        }


class PeriodicEmbedding(NumericalEmbedding):
    """Periodic embedding of numbers, for `numerical_embedding`.

    A number x becomes the vector relu([cos 2 pi w x, sin 2 pi w x] W + b), with
    frequencies w of its feature that are trained, too.

    Parameters
    ----------
    n_frequencies : int, default=48
        Number of frequencies of a feature.
    frequency_scale : float, default=0.1
        Standard deviation of the frequencies at the start: in turns per unit of X, so
        that features should be of like scale. Larger ones see finer detail; this is the
        number that is most worth a search.
    size : int, default=24
        Length of the vector.
    shared : bool, default=True
        Whether all features share W and b, or each has its own.

    See Also
    --------
    PiecewiseLinearEmbedding : Bins instead; it does not depend on scales.

    References
    ----------
    Gorishniy, Y., Rubachev, I., & Babenko, A. (2022). On embeddings for numerical
    features in tabular deep learning. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_backprop.neural_network import (
    ...     BackpropMLPRegressor, PeriodicEmbedding)
    >>> X = np.linspace(-1, 1, 200)[:, None]
    >>> y = np.sin(12 * X[:, 0])
    >>> model = BackpropMLPRegressor((32,), random_state=0, learning_rate_init=0.01,
    ...     numerical_embedding=PeriodicEmbedding(frequency_scale=1.0))
    >>> model.fit(X, y).score(X, y) > 0.9
    True
    """

    _kind = "periodic"
    _parameter_constraints: dict = {
        "n_frequencies": [Interval(Integral, 1, None, closed="left")],
        "frequency_scale": [Interval(Real, 0, None, closed="neither")],
        "size": [Interval(Integral, 1, None, closed="left")],
        "shared": ["boolean"],
    }

    def __init__(self, n_frequencies=48, frequency_scale=0.1, *, size=24, shared=True):
        self.n_frequencies = n_frequencies
        self.frequency_scale = frequency_scale
        self.size = size
        self.shared = shared

    def _edges(self, examples, columns, is_classification):
        return []

    @staticmethod
    def _arrays(architecture, inputs):
        """Frequencies w of each feature, and E, c that make a vector of the waves."""
        said, n = inputs.embedding, len(inputs.embedded)
        size, n_frequencies = said["size"], said["n_frequencies"]
        copies = () if said["shared"] else (n,)
        place = architecture.place
        return {
            "n_frequencies": n_frequencies,
            "shared": int(said["shared"]),
            "w": place(
                EMBEDDING,
                "w",
                (n, n_frequencies),
                initializer="normal",
                scale=float(said["frequency_scale"]),
            ),
            "W": place(
                EMBEDDING,
                "E",
                (*copies, 2 * n_frequencies, size),
                initializer="he_normal",
            ),
            "b": place(EMBEDDING, "c", (*copies, size), initializer="zeros"),
        }


# Name that `numerical_embedding` takes -> the embedding with its defaults.
EMBEDDINGS: dict[str, type[NumericalEmbedding]] = {
    cls._kind: cls for cls in (PiecewiseLinearEmbedding, PeriodicEmbedding)
}


def embedding_of(numerical_embedding) -> NumericalEmbedding | None:
    """Read None, a name, or an embedding with parameters of its own."""
    if isinstance(numerical_embedding, str):
        return EMBEDDINGS[numerical_embedding]()
    return numerical_embedding


def lay_out_inputs(architecture: Architecture, inputs: Inputs) -> list[Layer]:
    """Layers that read the columns of X: embedded ones, codes, and those as they are.

    None where all are as they are.
    """
    parts = []
    common = {"layer": EMBEDDING, "n_in": inputs.n_columns}
    if inputs.embedded:
        parts.append(_embedding(architecture, inputs, common))
    if inputs.coded:
        levels = {"columns": inputs.coded, "n_levels": inputs.n_levels}
        n_out = sum(inputs.n_levels)
        parts.append({"kind": "one_hot", **common, **levels, "n_out": n_out})
    if not parts:
        return []
    if rest := inputs.as_they_are:
        parts.append({"kind": "select", **common, "columns": rest, "n_out": len(rest)})
    if len(parts) == 1:
        return parts
    n_out = sum(part["n_out"] for part in parts)
    return [{"kind": "beside", **common, "n_out": n_out, "layers": parts}]


def _embedding(architecture: Architecture, inputs: Inputs, common) -> Layer:
    kind, size = inputs.embedding["kind"], inputs.embedding["size"]
    layer = {
        "kind": kind,
        **common,
        "columns": inputs.embedded,
        "size": size,
        "n_out": size * len(inputs.embedded),
        **EMBEDDINGS[kind]._arrays(architecture, inputs),
    }
    if inputs.missing:
        layer["missing"] = architecture.place(
            EMBEDDING, "missing", (len(inputs.missing), size), initializer="zeros"
        )
        layer["missing_columns"] = [inputs.embedded.index(j) for j in inputs.missing]
    return layer
