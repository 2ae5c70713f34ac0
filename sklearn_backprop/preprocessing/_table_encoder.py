"""Raw tables as numbers that a network reads."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import TransformerMixin, _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_sample_weight,
    check_is_fitted,
)

from .._documentation import DocumentationLinkMixin
from .._parameters import CheckedParameters
from ._categories import encode_categories, find_categories
from ._normal_scores import normal_scores, weigh_values
from ._table_columns import Column, columns_of, read_raw_table

__all__ = ["TableEncoder"]

# A column is dropped where all but this share of the weight has one value.
_LEAST_SHARE = 1e-4
# Columns in the order in which `transform` writes them.
_KINDS = ("number", "gap", "binary", "category")


class TableEncoder(DocumentationLinkMixin, TransformerMixin, CheckedParameters):
    """Turn a raw table, with categories and gaps, into numbers for a network.

    Numbers become normal quantiles of their ranks, columns of two values become 0 and
    1, and categories become codes 0, 1, 2, ... Categories that are in order count as
    the numbers 0, 1, 2, ... Columns that hardly vary are dropped.

    Parameters
    ----------
    categorical_features : "from_dtype", None or array-like of shape \
            (n_categorical,) or (n_features,), default="from_dtype"
        Which columns are categories.

        - "from_dtype": those that hold something else than numbers, truth values and
          dates: columns of strings, of pandas' and polars' categories, of objects. Only
          pandas' ordered categories (``pd.Categorical(..., ordered=True)``) are not.
        - None: none, so that strings are an error.
        - names, places or a mask: these, whatever they hold, and no others.
    max_categories : int, default=1000
        Largest number of categories that a column keeps: those with the largest
        weight. All others count as unknown.
    dtype : {np.float64, np.float32}, default=np.float64
        Precision of what `transform` returns.

    Attributes
    ----------
    kinds_ : ndarray of shape (n_features_in_,)
        What each column is: "number", "binary", "category" or "dropped".
    categories_ : list of ndarray or None
        Categories of each column, in the order of their codes; a missing value is None,
        or NaN among numbers. None for columns of other kinds.
    orders_ : list of ndarray or None
        Of each column of ordered categories, these, ascending. None for others.
    knots_ : list of ndarray of shape (2, n_knots) or None
        Of each number or binary column, values in ascending order and what they become;
        between two of them it is linear. None for columns of other kinds.
    has_gaps_ : ndarray of shape (n_features_in_,)
        Whether a column of numbers had missing values in `fit`.
    fills_ : ndarray of shape (n_features_in_,)
        What a missing value becomes in a binary column, which had none in `fit`: the
        mean.
    n_numbers_ : int
        Number of columns of numbers, the first that `transform` writes.
    n_categories_ : list of int
        Number of categories of each column of codes, the last that `transform` writes.
    n_features_in_ : int
        Number of features seen during `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of features seen during `fit`, if X has string names.

    See Also
    --------
    sklearn.preprocessing.QuantileTransformer : Normal quantiles, without weights.
    sklearn.preprocessing.OrdinalEncoder : Codes of categories alone.

    Notes
    -----
    `transform` writes the numbers first; then, for each of them that had missing values
    in `fit`, a column that is 1 where the value is missing; then binary columns; last
    the codes.

    A missing number stays NaN. Categories have a code of their own for missing values,
    if `fit` met some; categories that it did not meet have the code -1. A column with
    two values and gaps becomes a category. Dates count as days since 1970. Ordered
    categories count as their ranks, of which bins of a piecewise-linear embedding tell
    each from the next as codes do, while neighbours in the order start as neighbours;
    those that pandas does not list are missing.

    A number that `fit` did not meet lies between its neighbours, and beyond the ends
    where these are. Weights of rows count as so many equal rows.

    References
    ----------
    Gorishniy, Y., Rubachev, I., Khrulkov, V., & Babenko, A. (2021). Revisiting deep
    learning models for tabular data. NeurIPS.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_backprop.preprocessing import TableEncoder
    >>> X = np.array([[1.0, "red"], [2.0, "blue"], [9.0, "red"]], dtype=object)
    >>> encoder = TableEncoder().fit(X)
    >>> encoder.kinds_
    array(['number', 'category'], dtype='<U8')
    >>> encoder.transform(np.array([[2.0, "blue"], [9.0, "green"]], dtype=object))
    array([[ 0.        ,  0.        ],
           [ 0.96742157, -1.        ]])
    """

    _parameter_constraints: dict = {
        "categorical_features": ["array-like", StrOptions({"from_dtype"}), None],
        "max_categories": [Interval(Integral, 1, None, closed="left")],
        "dtype": "no_validation",
    }

    def __init__(
        self,
        categorical_features="from_dtype",
        *,
        max_categories=1000,
        dtype=np.float64,
    ):
        self.categorical_features = categorical_features
        self.max_categories = max_categories
        self.dtype = dtype

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y=None, sample_weight=None):
        """Learn what each column is, and how its values are written.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The table: an array, a data frame of pandas, or one of polars.
        y : Ignored
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row; an integer counts as so many equal rows.

        Returns
        -------
        self : object
            The fitted encoder.

        Raises
        ------
        ValueError
            If X holds infinite numbers, or strings in a column that is not to be a
            category; if `categorical_features` names columns that X does not have; if
            no row has a positive weight; or if `dtype` is another one.
        """
        _refuse_other_dtypes(self.dtype)
        X = read_raw_table(self, X, reset=True)
        weight, counting = _read_weight(sample_weight, X)
        is_categorical = self._categorical_mask()
        n_features = self.n_features_in_
        kinds = []
        self.categories_: list[Any] = [None] * n_features
        self.knots_: list[Any] = [None] * n_features
        self.orders_: list[Any] = [None] * n_features
        self.has_gaps_ = np.zeros(n_features, dtype=bool)
        self.fills_ = np.full(n_features, np.nan)
        for j, column in enumerate(columns_of(X)):
            _refuse_infinite(column)
            if is_categorical is None or not is_categorical[j]:
                self.orders_[j] = column.order
            column = _by_rank(column, self.orders_[j])
            values = column.values[counting]
            if self._reads_as_labels(column, is_categorical, j):
                kinds.append(self._fit_category(j, values, weight))
            else:
                kinds.append(self._fit_numbers(j, values, weight))
        self.kinds_ = np.array(kinds)
        self.n_numbers_ = kinds.count("number")
        self.n_categories_ = [len(c) for c in self.categories_ if c is not None]
        return self

    def _categorical_mask(self) -> np.ndarray | None:
        """Which columns (n_features,) are declared to be categories; None: none is."""
        given = self.categorical_features
        if isinstance(given, str):
            return None
        mask = np.zeros(self.n_features_in_, dtype=bool)
        given = np.asarray([] if given is None else given)
        if given.size == 0:
            return mask
        if given.dtype.kind not in "biUO":
            raise ValueError(
                "categorical_features must be names, places or a mask of columns, got "
                f"an array of {given.dtype}."
            )
        if given.dtype.kind == "b" and given.shape != mask.shape:
            raise ValueError(
                f"categorical_features is a mask of shape {given.shape}, but X has "
                f"{mask.size} columns."
            )
        if given.dtype.kind in "UO":
            given = self._places(given)
        elif given.dtype.kind == "i" and not ((given >= 0) & (given < mask.size)).all():
            raise ValueError(
                f"categorical_features has places outside of [0, {mask.size - 1}], the "
                f"columns of X: {given.tolist()}."
            )
        mask[given] = True
        return mask

    def _places(self, names) -> np.ndarray:
        """Places (k,) of named columns."""
        known = list(getattr(self, "feature_names_in_", []))
        if unknown := [name for name in names.tolist() if name not in known]:
            raise ValueError(
                f"categorical_features names {unknown}, which are not columns of X: "
                f"{known or 'it has no names'}."
            )
        return np.array([known.index(name) for name in names])

    def _reads_as_labels(self, column: Column, declared, j: int) -> bool:
        if declared is None:
            return not column.is_numeric
        if not (declared[j] or column.is_numeric):
            raise ValueError(
                f"Column {column.name!r} of X holds values that are no numbers, such "
                f"as {_first_label(column)!r}, and is not among categorical_features. "
                "Name it there, or leave categorical_features='from_dtype'."
            )
        return bool(declared[j])

    def _fit_category(self, j: int, values, weight) -> str:
        """Learn the categories of column j; say what it is."""
        categories, shares = find_categories(values, weight, self.max_categories)
        if len(categories) == 0 or 1 - shares.max() < _LEAST_SHARE:
            return "dropped"
        self.categories_[j] = categories
        return "category"

    def _fit_numbers(self, j: int, x, weight) -> str:
        """Learn how numbers (n,) of column j are written; say what it is."""
        missing = np.isnan(x)
        if missing.all():
            return "dropped"
        known = ~missing
        values, shares = weigh_values(
            x[known], None if weight is None else weight[known]
        )
        if missing.any() and (len(values) <= 2 or _is_one(values)):
            return self._fit_category(j, x, weight)
        if _is_one(values) or 1 - shares.max() < _LEAST_SHARE:
            return "dropped"
        if len(values) == 2:
            self.knots_[j] = np.array([values, [0.0, 1.0]])
            self.fills_[j] = shares[1]
            return "binary"
        self.knots_[j] = np.array(normal_scores(values, shares))
        self.has_gaps_[j] = missing.any()
        return "number"

    def transform(self, X):
        """Write a table as numbers.

        Parameters
        ----------
        X : array-like or data frame of shape (n_samples, n_features)
            The table, with the columns of `fit`.

        Returns
        -------
        X_new : ndarray of shape (n_samples, n_features_out)
            Numbers, columns that say where they are missing, binary columns, codes.
        """
        check_is_fitted(self)
        return self._write_table(read_raw_table(self, X, reset=False))

    def _write_table(self, X) -> np.ndarray:
        """Write a table that was checked as numbers (n, n_features_out)."""
        places = {part: i for i, part in enumerate(self._parts())}
        written = np.empty((X.shape[0], len(places)), dtype=self.dtype)
        for j, column in enumerate(columns_of(X)):
            _refuse_infinite(column)
            column = _by_rank(column, self.orders_[j])
            for kind, values in self._write_column(column, j).items():
                written[:, places[kind, j]] = values
        return written

    def _write_column(self, column: Column, j: int) -> dict[str, np.ndarray]:
        """What becomes of column j, by kinds of columns written."""
        kind = self.kinds_[j]
        if kind == "dropped":
            return {}
        if kind == "category":
            return {kind: encode_categories(column.values, self.categories_[j])}
        x = self._numbers_of(column)
        missing = np.isnan(x)
        x = np.interp(x, *self.knots_[j])
        if kind == "binary":
            x[missing] = self.fills_[j]
        return {kind: x, "gap": missing} if self.has_gaps_[j] else {kind: x}

    def _numbers_of(self, column: Column) -> np.ndarray:
        if not column.is_numeric:
            raise ValueError(
                f"Column {column.name!r} of X held numbers in fit and now holds "
                f"{_first_label(column)!r}."
            )
        return column.values

    def _parts(self) -> list[tuple[str, int]]:
        """What `transform` writes: the kind of each column, and which it comes from."""
        kinds = [(kind, j) for j, kind in enumerate(self.kinds_) if kind != "dropped"]
        gaps = [("gap", int(j)) for j in np.flatnonzero(self.has_gaps_)]
        return sorted(kinds + gaps, key=lambda part: (_KINDS.index(part[0]), part[1]))

    def get_feature_names_out(self, input_features=None):
        """Name the columns that `transform` writes.

        Parameters
        ----------
        input_features : array-like of str, default=None
            Names of the input features; by default those seen in `fit`.

        Returns
        -------
        feature_names_out : ndarray of str
            The names of the columns, with "_missing" where one says what is missing.
        """
        check_is_fitted(self, "n_features_in_")
        names = _check_feature_names_in(self, input_features)
        return np.array(
            [f"{names[j]}{'_missing' * (kind == 'gap')}" for kind, j in self._parts()],
            dtype=object,
        )

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.input_tags.string = True
        tags.transformer_tags.preserves_dtype = []
        return tags


def _read_weight(sample_weight, X):
    """Weights (m,) of the rows that count, or None; and which rows of all these are."""
    if sample_weight is None:
        return None, slice(None)
    rows = np.empty((X.shape[0], 1))
    weight = _check_sample_weight(
        sample_weight, rows, dtype=np.float64, ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError(
            "sample_weight sums to zero: at least one row needs a positive weight."
        )
    counting = weight > 0
    return weight[counting], counting


def _refuse_other_dtypes(dtype) -> None:
    try:
        holds_gaps = np.dtype(dtype) in (np.float64, np.float32)
    except TypeError:
        holds_gaps = False
    if not holds_gaps:
        raise ValueError(
            f"dtype={dtype!r} does not hold quantiles and missing numbers. Pass "
            "np.float64 or np.float32."
        )


def _is_one(values: Sequence[Any]) -> bool:
    """Tell whether ascending numbers differ by no more than rounding."""
    largest = max(abs(values[0]), abs(values[-1]))
    return bool(values[-1] - values[0] <= 8 * np.finfo(np.float64).eps * largest)


def _first_label(column: Column):
    return next(label for label in column.values if label is not None)


def _by_rank(column: Column, order) -> Column:
    """Replace labels by their places in an order, if any; others are missing."""
    if order is None:
        return column
    ranks = encode_categories(column.values, order).astype(np.float64)
    return Column(column.name, np.where(ranks < 0, np.nan, ranks))


def _refuse_infinite(column: Column) -> None:
    infinite = np.isinf(column.values) if column.is_numeric else np.zeros(1)
    if infinite.any():
        raise ValueError(
            f"Column {column.name!r} of X has {infinite.sum()} infinite value(s), the "
            f"first in row {infinite.argmax()}. Replace them by numbers, or by NaN, "
            "which counts as missing."
        )
