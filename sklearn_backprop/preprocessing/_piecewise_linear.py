"""Numbers as shares of bins, for linear models."""

from numbers import Integral

import numpy as np
from sklearn.base import TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_sample_weight,
    check_array,
    check_consistent_length,
    check_is_fitted,
)

from .._documentation import DocumentationLinkMixin
from .._parameters import CheckedParameters
from .._tables import read_table
from ._bins import BINS, edges_of_columns, passed_shares

__all__ = ["PiecewiseLinearEncoder"]

_FLOATS = (np.float64, np.float32)


class PiecewiseLinearEncoder(
    DocumentationLinkMixin, TransformerMixin, CheckedParameters
):
    """Encode each feature by how far it has passed through each of its bins.

    A number becomes one for all bins below it, zero for those above it, and the share
    of its own bin that it has passed (Gorishniy, Rubachev & Babenko, 2022). A linear
    model on the encoding is piecewise linear in every feature, and continuous.

    Parameters
    ----------
    n_bins : int, default=16
        Number of bins of a feature; fewer where it has fewer distinct values, or where
        bins would be narrower than a millionth of its range.
    bins : {"quantile", "tree"}, default="quantile"
        How edges are found.

        - "quantile": quantiles of the distinct values, each of which counts by the
          square root of its number of rows. If all rows differ, these are the
          quantiles of the rows; a value that most rows share leaves edges for others.
        - "tree": the splits of a decision tree that predicts y from this feature alone.
    min_samples_leaf : int, default=16
        Least number of rows in a bin of "tree".

    Attributes
    ----------
    bin_edges_ : list of ndarray of shape (n_bins + 1,)
        Edges of every feature, ascending.
    n_bins_ : ndarray of shape (n_features,)
        Number of bins of every feature.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during `fit`, if X has string names.

    See Also
    --------
    sklearn.preprocessing.KBinsDiscretizer : Steps instead of slopes.
    sklearn.preprocessing.SplineTransformer : Smooth curves.
    PiecewiseLinearEmbedding : The same bins inside a network.

    Notes
    -----
    The first bin goes on below all edges, with negative shares, and the last one above
    them, so that a linear model extrapolates by the slope of the outermost bins.

    References
    ----------
    Yury Gorishniy, Ivan Rubachev, Artem Babenko. "On Embeddings for Numerical Features
    in Tabular Deep Learning." NeurIPS (2022).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_backprop.preprocessing import PiecewiseLinearEncoder
    >>> X = np.array([[0.0], [1.0], [2.0], [4.0]])
    >>> PiecewiseLinearEncoder(n_bins=3).fit(X).transform([[0.5], [3.0], [5.0]])
    array([[0.5, 0. , 0. ],
           [1. , 1. , 0.5],
           [1. , 1. , 1.5]])
    """

    _parameter_constraints: dict = {
        "n_bins": [Interval(Integral, 1, None, closed="left")],
        "bins": [StrOptions(set(BINS))],
        "min_samples_leaf": [Interval(Integral, 1, None, closed="left")],
    }

    def __init__(self, n_bins=16, *, bins="quantile", min_samples_leaf=16):
        self.n_bins = n_bins
        self.bins = bins
        self.min_samples_leaf = min_samples_leaf

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Find the edges.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs), default=None
            Labels or targets; only ``bins="tree"`` looks at them, and needs them.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; an integer counts as so many equal rows.

        Returns
        -------
        self : object
            The fitted encoder.

        Raises
        ------
        ValueError
            If X is no table of finite numbers, if no row has a positive weight, or if
            ``bins="tree"`` is given no `y`.
        """
        X = read_table(self, X, dtype=_FLOATS, reset=True)
        targets = self._targets(X, y)
        weight = None
        if sample_weight is not None:
            weight = _check_sample_weight(
                sample_weight, X, dtype=np.float64, ensure_non_negative=True
            )
            if not weight.any():
                raise ValueError(
                    "sample_weight sums to zero: at least one row needs a positive "
                    "weight."
                )
            counting = weight > 0
            X, weight = X[counting], weight[counting]
            targets = None if targets is None else targets[counting]
        self.bin_edges_ = edges_of_columns(
            X,
            range(X.shape[1]),
            n_bins=self.n_bins,
            bins=self.bins,
            weight=weight,
            min_samples_leaf=self.min_samples_leaf,
            y=targets,
            is_classification=targets is not None and _are_labels(targets),
        )
        self.n_bins_ = np.array([len(edges) - 1 for edges in self.bin_edges_])
        return self

    def _targets(self, X, y):
        """What trees are to predict, a row for each of X; None without trees."""
        if self.bins != "tree":
            return None
        if y is None:
            raise ValueError(
                "bins='tree' requires y to be passed, but the target y is None: its "
                "edges are the splits of trees that predict y."
            )
        y = check_array(y, ensure_2d=False, dtype=None, input_name="y")
        check_consistent_length(X, y)
        return y

    def transform(self, X):
        """Encode numbers.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        X_new : ndarray of shape (n_samples, sum of n_bins_)
            For each feature the shares of its bins, one bin after the other.
        """
        check_is_fitted(self)
        X = read_table(self, X, dtype=_FLOATS, reset=False)
        shares = [
            passed_shares(X[:, j], edges) for j, edges in enumerate(self.bin_edges_)
        ]
        return np.hstack(shares)

    def get_feature_names_out(self, input_features=None):
        """Name the encoded features: that of the input, and the number of the bin.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input features; by default those seen in `fit`.

        Returns
        -------
        feature_names_out : ndarray of str
            Names of the columns of `transform`.
        """
        check_is_fitted(self, "n_features_in_")
        names = _check_feature_names_in(self, input_features)
        return np.array(
            [
                f"{name}_bin{t}"
                for name, n_bins in zip(names, self.n_bins_, strict=True)
                for t in range(n_bins)
            ],
            dtype=object,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = self.bins == "tree"
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


def _are_labels(y) -> bool:
    return type_of_target(y) in ("binary", "multiclass", "multilabel-indicator")
