"""Linear regression by two roads: gradient descent and the normal equation."""

import copy
from numbers import Integral, Real
from typing import Any

import numpy as np
from scipy.linalg import LinAlgWarning
from sklearn.base import MultiOutputMixin, RegressorMixin, _fit_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.extmath import safe_sparse_dot
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
)

from .._callbacks import CallbackSupportMixin, FitTasks
from .._dask_collections import refuse_dask_collections
from .._diagnosis import DescentRecord, RecordsTraining
from .._documentation import DocumentationLinkMixin
from .._finite import as_numbers, finite_predictions
from .._parameters import CheckedParameters
from .._stored import StoredStateMixin
from .._tables import read_examples, read_table
from .._warning import warn
from .._weights import LIGHTEST, drop_rows_without_weight, weight_unit
from ..engine._engine import Status
from ..exceptions import DivergenceError
from ._coordinates import SCALINGS
from ._descent import (
    Descended,
    Penalty,
    Problem,
    Settings,
    descend,
    divergence_message,
    n_slices,
    pose,
    unfinished_message,
)
from ._exact import Solution, TableInMemory, solve, solve_factor, solve_rows
from ._factor import Factor, as_factor, factorize, merged
from ._minibatch import (
    Batches,
    descend_in_batches,
    hovering_message,
    pose_batches,
)

_DTYPES = [np.float64, np.float32]
# What some fits set and others do not.
_OPTIONAL_ATTRIBUTES = (
    "loss_curve_",
    "gradient_norm_curve_",
    "learning_rate_",
    "coef_path_",
    "feature_scale_",
    "_scaling",
    "_rows",
)


class GDLinearRegression(
    CallbackSupportMixin,
    DocumentationLinkMixin,
    RecordsTraining,
    MultiOutputMixin,
    RegressorMixin,
    StoredStateMixin,
    CheckedParameters,
):
    """Linear regression by gradient descent or by the normal equation.

    Both roads minimise scikit-learn's elastic-net cost over rows of weight w_i, with
    W their total::

        J = 1/(2W) sum_i w_i |y_i - x_i coef - intercept|^2
            + alpha * (l1_ratio * |coef|_1 + (1 - l1_ratio)/2 * |coef|^2)

    ``solver="gd"`` is textbook gradient descent on all rows: every coefficient moves at
    once against the gradient of J, until the gradient has shrunk by ``tol``.
    ``solver="normal"`` solves X'X coef = X'y directly, checks how much the squaring of
    X costs, and falls back to QR or to the pseudo-inverse where it costs too much; its
    coefficients are then corrected with residuals in twice the working precision.

    Parameters
    ----------
    solver : {"gd", "normal"}, default="gd"
        Gradient descent, or the normal equation.
    fit_intercept : bool, default=True
        Whether to fit an intercept. Without one, data are taken as centred.
    feature_scaling : {"standard", "minmax"} or None, default="standard"
        Coordinates in which "gd" descends: features of zero mean and unit variance,
        features moved to [0, 1], or features as they are. ``coef_`` is in the units of
        X in any case; what changes is the number of iterations. "normal" needs none.
    learning_rate_init : "auto" or float, default="auto"
        Step of descent, in scaled coordinates. "auto" takes 1/L, where L is the largest
        curvature (eigenvalue of the Hessian of J); a constant step above 2/L diverges.
    learning_rate : {"constant", "invscaling", "adaptive"}, default="constant"
        How the step changes. "invscaling" divides it by ``iteration ** power_t``.
        "adaptive" takes back a step that made J rise and divides the rate by 5. In
        mini-batches it does so where they run away or no longer lower J.
    power_t : float, default=0.25
        Exponent of "invscaling".
    momentum : float, default=0.0
        Share of the last move that is repeated, in [0, 1).
    nesterovs_momentum : bool, default=False
        Whether momentum looks ahead (Nesterov, 1983).
    batch_size : int or None, default=None
        None descends on all rows at once; an int takes a step for every so many rows,
        and an epoch of them counts as one iteration. Features are then scaled into a
        copy, and sparse ones are scaled but not centred. "auto" takes one over the
        curvature that such batches meet (Gower et al., 2019). A constant step ends in a
        cloud around the minimum, where descent stops when 10 epochs have not lowered J;
        where X tells little of y, that may lie above the J of predicting the mean, and
        a ConvergenceWarning says so. "adaptive" divides the step by 5 there and goes
        on.
    max_iter : int, default=100000
        Most iterations of descent.
    tol : float, default=1e-10
        Descent stops when the norm of the gradient is below ``tol`` times that at zero
        coefficients, for every target.
    shuffle : bool, default=True
        Whether each epoch of mini-batches draws the rows in a new order.
    random_state : int, RandomState instance or None, default=None
        Draws the order of rows.
    alpha : float, default=0.0
        Strength of the penalty.
    l1_ratio : float, default=0.0
        Share of the L1 penalty, in [0, 1]; above 0 only for "gd".
    positive : bool, default=False
        Whether coefficients are kept at or above zero; dense X only for "normal".
    warm_start : bool, default=False
        Whether "gd" starts from the coefficients of the last fit and adds to its
        curves.
    verbose : int, default=0
        1 prints a line for iterations 1, 2, 5, 10, 20, 50 and so on of "gd" or for
        each epoch of mini-batches: J, norm of the gradient, and seconds since the
        start; 2 prints one for each iteration.
    track_path : bool, default=False
        Whether "gd" keeps the coefficients of every iteration in ``coef_path_``.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,) or (n_targets, n_features)
        Coefficients, in units of y per unit of X.
    intercept_ : float or ndarray of shape (n_targets,)
        Prediction for a row of zeros; 0.0 if ``fit_intercept=False``.
    loss_ : float
        J at the end, summed over targets.
    loss_curve_ : ndarray of shape (n_iter_,)
        J after each iteration.
    gradient_norm_curve_ : ndarray of shape (n_iter_,)
        Norm of the gradient after each iteration, in scaled coordinates; with an L1
        penalty or ``positive``, of the gradient mapping. Only for "gd".
    n_iter_ : int
        Iterations made; 1 for "normal".
    learning_rate_ : float
        The step used last. Only for "gd".
    coef_path_ : ndarray of shape (n_iter_ + 1, n_features) or \
            (n_iter_ + 1, n_targets, n_features)
        Coefficients from the start on. Only for "gd" with ``track_path=True``.
    feature_scale_ : ndarray of shape (n_features_in_,)
        Root mean square of each feature in the coordinates of descent. Only for "gd".
    solver_ : {"gd", "cholesky", "qr", "pinv", "nnls"}
        What really ran. "pinv" is the minimum-norm solution, taken whenever
        ``rank_ < n_features_in_``.
    rank_ : int or None
        Rank of the (centred, penalised) data; None where "gd" did not find it out.
    condition_number_ : float
        Condition number of the (centred, scaled, penalised) data: an estimate in the
        1-norm for "cholesky", in the 2-norm elsewhere; nan where unknown.
    n_features_in_ : int
        Number of features seen in fit.
    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the features, where X had string names for all.

    See Also
    --------
    sklearn.linear_model.LinearRegression : Least squares by singular values.
    sklearn.linear_model.Ridge : Its alpha is ours times the total weight.
    sklearn.linear_model.SGDRegressor : Descent on single rows.

    Notes
    -----
    With scikit-learn 1.9 and newer, `set_callbacks` takes its callbacks. Tasks of the
    fit are epochs of mini-batches, or slices of the iterations on all rows: up to 1, 2,
    5, 10, 20 and so on, and to each hundredth of `max_iter`. "normal" is one task.

    References
    ----------
    Cauchy, A. (1847). Methode generale pour la resolution des systemes d'equations
    simultanees. Comptes rendus, 25, 536-538.

    Gower, R. M., Loizou, N., Qian, X., Sailanbayev, A., Shulgin, E. and Richtarik, P.
    (2019). SGD: General analysis and improved rates. ICML.

    Bjorck, A. (1987). Stability analysis of the method of seminormal equations for
    linear least squares problems. Linear Algebra and its Applications, 88/89, 31-48.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_backprop import GDLinearRegression
    >>> X, y = load_diabetes(return_X_y=True)
    >>> descent = GDLinearRegression().fit(X, y)
    >>> exact = GDLinearRegression(solver="normal").fit(X, y)
    >>> round(descent.score(X, y), 6), round(exact.score(X, y), 6)
    (0.517748, 0.517748)
    >>> exact.solver_
    'cholesky'
    """

    _steps_by_batches = False
    _weight_unit: float
    _rows: Any  # Moments, a Factor, or None where nothing can be merged
    _parameter_constraints: dict = {
        "solver": [StrOptions({"gd", "normal"})],
        "fit_intercept": ["boolean"],
        "feature_scaling": [StrOptions({"standard", "minmax"}), None],
        "learning_rate_init": [
            StrOptions({"auto"}),
            Interval(Real, 0, None, closed="neither"),
        ],
        "learning_rate": [StrOptions({"constant", "invscaling", "adaptive"})],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "momentum": [Interval(Real, 0, 1, closed="left")],
        "nesterovs_momentum": ["boolean"],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "l1_ratio": [Interval(Real, 0, 1, closed="both")],
        "positive": ["boolean"],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "track_path": ["boolean"],
    }

    def __init__(
        self,
        *,
        solver="gd",
        fit_intercept=True,
        feature_scaling="standard",
        learning_rate_init="auto",
        learning_rate="constant",
        power_t=0.25,
        momentum=0.0,
        nesterovs_momentum=False,
        batch_size=None,
        max_iter=100_000,
        tol=1e-10,
        shuffle=True,
        random_state=None,
        alpha=0.0,
        l1_ratio=0.0,
        positive=False,
        warm_start=False,
        verbose=0,
        track_path=False,
    ):
        self.solver = solver
        self.fit_intercept = fit_intercept
        self.feature_scaling = feature_scaling
        self.learning_rate_init = learning_rate_init
        self.learning_rate = learning_rate
        self.power_t = power_t
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.shuffle = shuffle
        self.random_state = random_state
        self.alpha = alpha
        self.l1_ratio = l1_ratio
        self.positive = positive
        self.warm_start = warm_start
        self.verbose = verbose
        self.track_path = track_path

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the model to all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weight of each row; a whole number w counts like w copies.

        Returns
        -------
        self : GDLinearRegression
            The fitted estimator.

        Raises
        ------
        DivergenceError
            If the step of "gd" is too long for these data, so that errors grow from
            step to step. ``loss_curve_`` up to there stays readable.

        Warns
        -----
        ConvergenceWarning
            If "gd" did not reach ``tol`` within ``max_iter``.
        LinAlgWarning
            If the data do not determine the coefficients and the ones of least norm
            were taken.
        """
        as_given = X, y, sample_weight
        X, y, weight = self._validate(X, y, sample_weight, reset=True)
        weight = self._in_common_unit(X, weight, is_first=True)
        if self.solver == "normal":
            task = FitTasks(self, lambda: 0, *as_given)
            self._fit_exactly(X, y, weight)
            task.finish()
        else:
            start = None
            if self.warm_start and hasattr(self, "coef_"):
                self._check_targets(y)
                start = self._coefficients()
            self._descend(X, y, weight, start, None, self.max_iter, as_given)
        return self

    @_fit_context(prefer_skip_nested_validation=True)
    def partial_fit(self, X, y, sample_weight=None):
        """Learn from one more block of rows.

        "normal" keeps a triangular factor of all rows seen, which merges exactly:
        blocks in any order give the fit of all rows together. "gd" makes one step of
        descent on the block, in coordinates scaled by all rows seen so far.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Block of training data.
        y : array-like of shape (n_samples,) or (n_samples, n_targets)
            Its targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weight of each row.

        Returns
        -------
        self : GDLinearRegression
            The estimator, after this block.

        Raises
        ------
        DivergenceError
            If a step of "gd" left the finite numbers.
        """
        is_first = not hasattr(self, "coef_")
        if not is_first:
            self._validate_params()
        as_given = X, y, sample_weight
        X, y, weight = self._validate(X, y, sample_weight, reset=is_first)
        if not is_first:
            self._check_targets(y)
            self._check_same_model()
        weight = self._in_common_unit(X, weight, is_first=is_first)
        if self.solver == "normal":
            task = FitTasks(self, lambda: 0, *as_given)
            self._merge(X, y, weight, is_first)
            task.finish()
        else:
            start = None if is_first else self._coefficients()
            seen = getattr(self, "_scaling", None)
            self._descend(X, y, weight, start, seen, 1, as_given)
        return self

    def merge(self, other):
        """Learn the rows that another model was fitted to, without seeing them.

        Both models, by solver="normal", keep sums over their rows (or a triangular
        factor of them), which merge exactly: parts of a table that were fitted apart,
        on other machines perhaps, give the model of the whole table, in whatever order
        they are merged. Parts of no more rows than features are to be fitted by
        `partial_fit`, which keeps a factor of any rows.

        Parameters
        ----------
        other : GDLinearRegression
            A fitted model of the same features and targets; it stays as it is. Its
            hyper-parameters but `fit_intercept` do not matter: the coefficients are
            those that this model's give on the rows of both.

        Returns
        -------
        self : GDLinearRegression
            The estimator, fitted to the rows of both.

        Raises
        ------
        ValueError
            If one of them keeps nothing to merge, or if features, targets or
            `fit_intercept` differ.

        Warns
        -----
        LinAlgWarning
            If the rows of both do not determine the coefficients.

        References
        ----------
        Chan, T. F., Golub, G. H. and LeVeque, R. J. (1983). Algorithms for computing
        the sample variance: analysis and recommendations. The American Statistician,
        37(3), 242-247.

        Examples
        --------
        >>> from sklearn.datasets import load_diabetes
        >>> from sklearn_backprop import GDLinearRegression
        >>> X, y = load_diabetes(return_X_y=True)
        >>> one = GDLinearRegression(solver="normal").fit(X[:200], y[:200])
        >>> two = GDLinearRegression(solver="normal").fit(X[200:], y[200:])
        >>> round(one.merge(two).score(X, y), 6)
        0.517748
        """
        for model in (self, other):
            check_is_fitted(model)
        self._check_mergeable(other)
        unit = max(self._weight_unit, other._weight_unit)
        mine, theirs = (
            model._rows.weighted(model._weight_unit / unit) for model in (self, other)
        )
        solution = solve_rows(
            merged(mine, theirs), alpha=self.alpha, positive=self.positive
        )
        dtype = np.result_type(self.coef_, other.coef_)
        is_single = self.coef_.ndim == 1
        self._forget()
        self._weight_unit = unit
        self._set_solution(solution, dtype, is_single)
        return self

    def predict(self, X):
        """Predict targets.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows to predict for.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_targets)
            Predictions, in the units of the targets.
        """
        check_is_fitted(self)
        refuse_dask_collections(self, X=X)
        X = read_table(
            self, X, accept_sparse=["csr", "csc", "coo"], reset=False, dtype=_DTYPES
        )
        with np.errstate(over="ignore", invalid="ignore"):
            y = safe_sparse_dot(X, self.coef_.T, dense_output=True) + self.intercept_
        return finite_predictions(y, X)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = self._accepts_sparse()
        return tags

    def _accepts_sparse(self) -> bool:
        """Whether sparse X can be fitted: not by SciPy's nnls."""
        return not (self.solver == "normal" and self.positive)

    def _validate(self, X, y, sample_weight, *, reset):
        """X (n, p), y and weight (n,) or None, checked."""
        refuse_dask_collections(self, X=X, y=y, sample_weight=sample_weight)
        if self.solver == "normal" and self.alpha > 0.0 and self.l1_ratio > 0.0:
            raise ValueError(
                f"solver='normal' cannot minimise an L1 penalty (got l1_ratio="
                f"{self.l1_ratio} with alpha={self.alpha}): it has a kink at zero, so "
                "that no linear equation gives its minimum. Pass l1_ratio=0 for ridge, "
                "or solver='gd', which takes proximal steps."
            )
        if self.solver == "gd" and self.batch_size is not None:
            self._check_batches()
        X, y = read_examples(
            self,
            X,
            y,
            accept_sparse="csr" if self._accepts_sparse() else False,
            y_numeric=True,
            dtype=_DTYPES,
            reset=reset,
        )
        y = as_numbers(y)
        if sample_weight is None:
            return X, y, None
        weight = _check_sample_weight(
            sample_weight, X, dtype=np.float64, ensure_non_negative=True
        )
        if not weight.any():
            raise ValueError(
                "sample_weight is zero for every row: there is nothing to fit. Give at "
                "least one row a positive weight."
            )
        return drop_rows_without_weight(X, y, weight)

    def _in_common_unit(self, X, weight, *, is_first):
        """Weights in the unit in which those of the rows so far are counted."""
        before, unit = getattr(self, "_weight_unit", 1.0), weight_unit(weight)
        if not is_first:
            unit = max(unit, before)
        for name in ("_rows", "_scaling"):
            if getattr(self, name, None) is not None:
                setattr(self, name, getattr(self, name).weighted(before / unit))
        self._weight_unit = unit
        if weight is None:
            return None if unit == 1.0 else np.full(X.shape[0], 1.0 / unit)
        return np.maximum(weight / unit, LIGHTEST)

    def _check_batches(self) -> None:
        """Refuse what the engine's mini-batches do not minimise."""
        if self.positive or (self.alpha > 0.0 and self.l1_ratio > 0.0):
            raise ValueError(
                f"batch_size={self.batch_size} takes plain gradient steps, but "
                f"positive={self.positive} with alpha={self.alpha}, l1_ratio="
                f"{self.l1_ratio} needs a projection or a soft threshold after each. "
                "Pass batch_size=None."
            )

    def _check_targets(self, y) -> None:
        """Refuse a block whose targets differ in number from those seen before."""
        seen = 1 if self.coef_.ndim == 1 else self.coef_.shape[0]
        if _as_columns(y).shape[1] != seen or (y.ndim == 1) != (self.coef_.ndim == 1):
            raise ValueError(
                f"y has shape {y.shape}, but this model was fitted to {seen} target(s) "
                f"with coef_ of shape {self.coef_.shape}. Pass the same targets in "
                "every block."
            )

    def _check_same_model(self) -> None:
        """Refuse parameters by which the rows so far belong to another model."""
        before, now = self._intercept_fitted, bool(self.fit_intercept)
        if before != now:
            raise ValueError(
                f"partial_fit cannot go on with fit_intercept={now}: the rows so far "
                f"were learnt with fit_intercept={before}. Restore the parameter, or "
                "fit a new estimator."
            )
        seen = getattr(self, "_scaling", None)
        wanted = SCALINGS[self.feature_scaling]
        if self.solver == "gd" and seen is not None and type(seen) is not wanted:
            raise ValueError(
                "partial_fit cannot go on with feature_scaling="
                f"{self.feature_scaling!r}: the rows so far were measured for "
                "another scaling. Restore the parameter, or fit a new estimator."
            )

    def _check_mergeable(self, other) -> None:
        """Refuse models whose rows cannot be put together, saying why."""
        if not isinstance(other, GDLinearRegression):
            raise TypeError(
                f"merge takes a fitted GDLinearRegression, not {type(other).__name__}."
            )
        for name, model in (("This model", self), ("The other model", other)):
            if getattr(model, "_rows", None) is None:
                raise ValueError(
                    f"{name} keeps no summary of its rows that could be merged: it was "
                    "fitted by solver='gd', or by fit on no more rows than features. "
                    "Fit it with solver='normal'; a part of few rows with partial_fit."
                )
        names = [getattr(model, "feature_names_in_", None) for model in (self, other)]
        for what, mine, theirs in (
            ("n_features_in_", self.n_features_in_, other.n_features_in_),
            ("feature_names_in_", *(None if n is None else list(n) for n in names)),
            ("a coef_ of shape", self.coef_.shape, other.coef_.shape),
            ("fit_intercept", self._intercept_fitted, other._intercept_fitted),
        ):
            if mine != theirs:
                raise ValueError(
                    "Rows of different problems cannot be merged: this model was "
                    f"fitted with {what} {mine}, the other with {theirs}."
                )

    def _forget(self) -> None:
        """Drop fitted attributes that the coming fit may not set, or would add to."""
        for name in _OPTIONAL_ATTRIBUTES:
            if hasattr(self, name):
                delattr(self, name)

    def _set_coefficients(self, coef, intercept, dtype, is_single) -> None:
        """``coef_`` and ``intercept_`` from coef (k, p) and intercept (k,)."""
        with np.errstate(over="ignore"):
            rounded = np.ascontiguousarray(coef, dtype=dtype)
            rounded_intercept = intercept.astype(dtype)
        if not (np.isfinite(rounded).all() and np.isfinite(rounded_intercept).all()):
            largest = max(np.abs(coef).max(), np.abs(intercept).max())
            raise ValueError(
                f"The coefficients leave {dtype}, the dtype of X: their largest "
                f"magnitude is {largest:.3g}. Rescale X or y, or pass X as float64."
            )
        coef, intercept = rounded, rounded_intercept
        self._intercept_fitted = bool(self.fit_intercept)
        self.coef_ = coef[0] if is_single else coef
        if not self.fit_intercept:
            self.intercept_ = 0.0
        else:
            self.intercept_ = intercept[0] if is_single else intercept

    # The normal equation

    def _fit_exactly(self, X, y, weight) -> None:
        """Solve for all rows."""
        solution = solve(
            TableInMemory(X, _as_columns(y), weight),
            fit_intercept=self.fit_intercept,
            alpha=self.alpha,
            positive=self.positive,
        )
        self._forget()
        self._set_solution(solution, X.dtype, y.ndim == 1)

    def _merge(self, X, y, weight, is_first) -> None:
        """Merge a block into the factor of the rows seen, and solve from it."""
        factor = factorize(X, _as_columns(y), weight, centered=self.fit_intercept)
        if not is_first:
            factor = self._seen_factor().merge(factor)
        solution = solve_factor(factor, alpha=self.alpha, positive=self.positive)
        self._forget()
        self._set_solution(solution, X.dtype, y.ndim == 1)

    def _seen_factor(self) -> Factor:
        """Factor of the rows of earlier calls."""
        rows = getattr(self, "_rows", None)
        if rows is None:
            raise ValueError(
                "partial_fit with solver='normal' cannot add rows to this model: it "
                "was fitted by solver='gd', or by fit on no more rows than features, "
                "and keeps no factor of those rows. Call partial_fit with "
                "solver='normal' from the first block on."
            )
        return as_factor(rows)

    def _set_solution(self, solution: Solution, dtype, is_single) -> None:
        """Fitted attributes after an exact solution."""
        self._set_coefficients(solution.coef.T, solution.intercept, dtype, is_single)
        self.loss_ = solution.loss
        self.loss_curve_ = np.array([solution.loss])
        self.n_iter_ = 1
        self.solver_ = solution.solver
        self.rank_: int | None = solution.rank
        self.condition_number_ = solution.condition_number
        self._rows = solution.rows
        if solution.solver == "pinv":
            warn(
                "The data do not determine the coefficients: their rank is "
                f"{solution.rank} for {self.n_features_in_} features (too few rows, or "
                "constant, duplicate or linearly dependent columns). Of all "
                "coefficients that fit equally well, those of least norm were taken. "
                "Pass alpha > 0, or drop the columns that others determine.",
                LinAlgWarning,
            )

    # Gradient descent

    def _descend(self, X, y, weight, start, seen, max_iter, as_given) -> None:
        """Descend on the cost of the rows of X, and set fitted attributes.

        start: coefficients to begin with, or None; seen: the scaling of earlier rows;
        as_given: the arguments of the user, for callbacks.
        """
        targets = _as_columns(y)
        in_batches = self.batch_size is not None and self.batch_size < X.shape[0]
        tasks = FitTasks(
            self, lambda: max_iter if in_batches else n_slices(max_iter), *as_given
        )
        problem, scaling = pose(
            X,
            targets,
            weight,
            fit_intercept=self.fit_intercept,
            feature_scaling=self.feature_scaling,
            penalty=Penalty(self.alpha, self.l1_ratio),
            seen=seen,
            in_batches=in_batches,
        )
        if start is None:
            self._forget()

        settings = self._settings(max_iter)

        def run() -> Descended:
            if not in_batches:
                return descend(problem, start, settings, tasks)
            return descend_in_batches(
                X, targets, weight, problem, start, settings, batches, tasks
            )

        if in_batches:
            problem = pose_batches(problem, X, weight, self.batch_size)
            batches = self._batches(len(y))
        self._follow(
            run, problem, scaling, settings, tasks, dtype=X.dtype, is_single=y.ndim == 1
        )

    def _follow(
        self, run, problem: Problem, scaling, settings, tasks, *, dtype, is_single
    ) -> None:
        """Run a descent, and set fitted attributes; also those that callbacks see."""

        def as_if_stopped(result: Descended) -> dict[str, Any]:
            twin = copy.copy(self)
            twin._record(problem, result, is_single)
            twin._set_descended(result, scaling, dtype, is_single)
            return dict(vars(twin))

        tasks.attributes_of = as_if_stopped
        result = run()
        self._record(problem, result, is_single)
        if result.status == Status.DIVERGED:
            raise DivergenceError(divergence_message(problem, settings, result))
        self._set_descended(result, scaling, dtype, is_single)
        self._warn_if_unfinished(problem, settings, result)
        tasks.finish()

    def _warn_if_unfinished(self, problem, settings, result: Descended) -> None:
        """Say it where descent ended before the minimum, unless it was asked to."""
        if result.interrupted:
            warn("Training interrupted by user.")
        elif (
            result.status != Status.CONVERGED
            and not result.stopped
            and settings.max_iter > 1
        ):
            warn(unfinished_message(problem, settings, result), ConvergenceWarning)
        elif (message := hovering_message(result, self.batch_size)) is not None:
            warn(message, ConvergenceWarning)

    def _set_descended(self, result: Descended, scaling, dtype, is_single) -> None:
        """Coefficients after a descent, and the scaling that goes with them."""
        self._scaling = scaling
        self._rows = None  # a factor of earlier rows does not know of this descent
        self._set_coefficients(result.coef, result.intercept, dtype, is_single)

    def _record(self, problem: Problem, result: Descended, is_single) -> None:
        """Curves and figures of a run, appended to those of the runs it continues."""

        def appended(name, new):
            old = getattr(self, name, None)
            return new if old is None else np.concatenate([old, new])

        self.loss_curve_ = appended("loss_curve_", result.loss_curve)
        self.gradient_norm_curve_ = appended(
            "gradient_norm_curve_", result.gradient_norm_curve
        )
        if result.coef_path is not None:
            path = result.coef_path[:, 0] if is_single else result.coef_path
            if hasattr(self, "coef_path_"):
                path = path[1:]  # the start is the last of the path so far
            self.coef_path_ = appended("coef_path_", path)
        self.n_iter_ = len(self.loss_curve_)
        self.loss_ = float(self.loss_curve_[-1])
        self.learning_rate_ = result.last_rate
        self.solver_ = "gd"
        self.rank_ = problem.rank
        self.condition_number_ = problem.condition_number
        self.feature_scale_ = problem.feature_scale

    def _training_record(self) -> DescentRecord:
        """What displays and diagnosis read."""
        return DescentRecord(
            params=self.get_params(deep=False),
            loss=np.asarray(self.loss_curve_),
            n_iter=self.n_iter_,
            step_name="iteration" if self.batch_size is None else "epoch",
            feature_scale=getattr(self, "feature_scale_", np.zeros(0)),
            solver=self.solver_,
            condition_number=self.condition_number_,
            learning_rate=getattr(self, "learning_rate_", np.nan),
        )

    def _coefficients(self):
        """Fitted coefficients (k, p) and intercept (k,)."""
        coef = np.atleast_2d(self.coef_).astype(np.float64)
        return coef, np.broadcast_to(self.intercept_, len(coef)).astype(np.float64)

    def _batches(self, n_rows) -> Batches:
        """How an epoch draws its mini-batches."""
        rng = check_random_state(self.random_state)

        def order():
            return rng.permutation(n_rows).astype(np.int64) if self.shuffle else None

        return Batches(self.batch_size, bool(self.shuffle), order)

    def _settings(self, max_iter) -> Settings:
        """Hyper-parameters of descent."""
        return Settings(
            learning_rate_init=self.learning_rate_init,
            learning_rate=self.learning_rate,
            power_t=self.power_t,
            momentum=self.momentum,
            nesterovs_momentum=self.nesterovs_momentum,
            max_iter=max_iter,
            tol=self.tol,
            positive=self.positive,
            track_path=self.track_path,
            verbose=int(self.verbose),
        )


def _as_columns(y) -> np.ndarray:
    """Targets as float64 columns (n, k)."""
    y = np.asarray(y, dtype=np.float64)
    return np.ascontiguousarray(y.reshape(-1, 1) if y.ndim == 1 else y)
