"""Linear regression on parts of a table: sums over each, merged."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from distributed import Client, Future
from sklearn.base import _fit_context, clone

from .._callbacks import FitTasks
from .._documentation import shows_inherited_text
from .._scores import RSquared
from .._weights import LIGHTEST, drop_rows_without_weight, weight_unit
from ..engine import _engine
from ..linear_model import GDLinearRegression
from ..linear_model._coordinates import SCALINGS, Scaling
from ..linear_model._descent import Penalty, descend, n_slices, pose_moments
from ..linear_model._exact import Solution, Table, residual_sums, solve
from ..linear_model._factor import Factor, factorize
from ..linear_model._gram import Moments, moments
from ._cluster import Cluster
from ._constructor import constructor_like
from ._estimator import DaskEstimator
from ._parts import Part, read_parts, survey, with_rows

__all__ = ["DaskGDLinearRegression"]


@shows_inherited_text
class DaskGDLinearRegression(DaskEstimator, GDLinearRegression):
    """Linear regression on a Dask collection, by both roads of GDLinearRegression.

    Each part of the table is summed up where it lies, and the sums are merged: means
    and products of columns, a triangular factor where squares would cost digits, and
    residuals in twice the working precision. Some kilobytes move for each part, and the
    rows never do. The result is that of `GDLinearRegression` on all rows, to rounding,
    and the same to the last bit however many workers there are.

    "gd" descends on the merged products; a step costs the same for any number of rows.

    Notes
    -----
    What needs the rows themselves at every step is refused: mini-batches, and tables of
    no more rows than columns. `partial_fit` and `merge` take what those of
    GDLinearRegression do. More cores are used by more parts, not by more threads for
    one: begin workers with a thread for every core.

    See Also
    --------
    GDLinearRegression : The same on a table in memory.

    Examples
    --------
    >>> import dask.array as da
    >>> from distributed import Client
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_backprop.dask import DaskGDLinearRegression
    >>> X, y = load_diabetes(return_X_y=True)
    >>> X, y = da.from_array(X, chunks=(100, -1)), da.from_array(y, chunks=100)
    >>> with Client(processes=False, dashboard_address=":0") as client:
    ...     model = DaskGDLinearRegression(solver="normal").fit(X, y)
    ...     print(round(model.score(X, y), 6))
    0.517748
    >>> model.to_local().coef_.shape
    (10,)
    """

    _plain_class = GDLinearRegression
    _score_class = RSquared
    _parameter_constraints: dict = {
        **GDLinearRegression._parameter_constraints,
        "client": [Client, None],
    }

    __init__ = constructor_like(GDLinearRegression, client=None)

    @_fit_context(prefer_skip_nested_validation=True)
    def fit(self, X, y, sample_weight=None):
        """Fit the model to all rows.

        Parameters
        ----------
        X : Dask array or data frame of shape (n_samples, n_features)
            Training data: parts of rows, dense or CSR; empty ones and unknown sizes
            are welcome.
        y : Dask array, series or data frame of shape (n_samples,) or \
                (n_samples, n_targets)
            Targets, cut as X is.
        sample_weight : Dask array or series of shape (n_samples,), default=None
            Non-negative weight of each row, cut as X is.

        Returns
        -------
        self : DaskGDLinearRegression
            The fitted estimator.

        Raises
        ------
        ClusterLostError
            If there are no workers any more.
        DivergenceError
            If the step of "gd" is too long for these data.
        ValueError
            If parts of X, y and sample_weight do not belong together, with their
            numbers, or hold what the estimator cannot take.

        Warns
        -----
        ConvergenceWarning
            If "gd" did not reach ``tol`` within ``max_iter``.
        LinAlgWarning
            If the data do not determine the coefficients.
        """
        self._refuse_batches()
        cluster = self._cluster()
        read = partial(_read, self._plain())
        parts = read_parts(cluster, X, y, sample_weight, read)
        surveys = cluster.gather(cluster.submit_each(survey, parts))
        table = _PartedTable(cluster, parts, with_rows(surveys))
        self._note_columns(X, table.n_features)
        self._weight_unit = table.unit
        slices = 0 if self.solver == "normal" else n_slices(self.max_iter)
        tasks = FitTasks(self, lambda: slices, X, y, sample_weight)
        if self.solver == "normal":
            self._solve_parts(table)
            tasks.finish()
        else:
            self._descend_on_parts(table, tasks)
        return self

    def _predicted(self):
        return self.coef_.shape[:-1], np.result_type(self.coef_)

    def _refuse_batches(self) -> None:
        if self.solver == "gd" and self.batch_size is not None:
            raise ValueError(
                f"batch_size={self.batch_size} would ask a worker for rows at every "
                "step, and that takes longer than the step. Pass batch_size=None: "
                "descent on all rows runs on their merged products here, where a step "
                "costs the same for any number of rows."
            )

    def _solve_parts(self, table: "_PartedTable") -> None:
        solution = solve(
            table,
            fit_intercept=self.fit_intercept,
            alpha=self.alpha,
            positive=self.positive,
        )
        self._forget()
        self._set_solution(solution, table.dtype, table.is_single)

    def _descend_on_parts(self, table: "_PartedTable", tasks: FitTasks) -> None:
        if table.is_wide:
            raise table.too_wide()
        start = None
        if self.warm_start and hasattr(self, "coef_"):
            start = self._coefficients()
        sums = table.moments(centered=self.fit_intercept)
        scaling = table.scaling(SCALINGS[self.feature_scaling], sums)
        problem = pose_moments(
            sums,
            scaling,
            fit_intercept=self.fit_intercept,
            penalty=Penalty(self.alpha, self.l1_ratio),
        )
        if start is None:
            self._forget()
        settings = self._settings(self.max_iter)
        self._follow(
            lambda: descend(problem, start, settings, tasks),
            problem,
            scaling,
            settings,
            tasks,
            dtype=table.dtype,
            is_single=table.is_single,
        )


class _PartedTable(Table):
    """Rows in parts on workers."""

    def __init__(self, cluster: Cluster, parts: Sequence[Future], surveys):
        self._cluster = cluster
        self._parts = [parts[survey.number] for survey in surveys]
        self.n_rows = sum(survey.n_rows for survey in surveys)
        self.n_features = surveys[0].n_features
        self.is_single = not surveys[0].shape_of_y
        self.dtype = np.result_type(*(survey.dtype for survey in surveys))
        self.unit = weight_unit(np.array([survey.heaviest for survey in surveys]))

    def moments(self, *, centered) -> Moments:
        return self._merged(Moments.merge, _moments_of, centered)

    def factor(self, *, centered) -> Factor:
        return self._merged(Factor.merge, _factor_of, centered)

    def residual_sums(self, coef, intercept) -> "_engine.ResidualSums":
        return self._merged(_merge_residuals, _residuals_of, coef, intercept)

    def scaling(self, kind: type[Scaling], sums: Moments) -> Scaling:
        """Scaling of one kind; `sums` spares a pass over the rows where it can."""
        if not kind.reads_rows:
            return kind.measure(None, None, sums)
        return self._merged(kind.merge, _scaling_of, kind)

    @property
    def is_wide(self) -> bool:
        """Whether rows are no more than columns."""
        return self.n_rows <= self.n_features

    def solve_wide(self, *, fit_intercept, alpha) -> Solution:
        raise self.too_wide()

    def too_wide(self) -> ValueError:
        """Say why such a table is refused."""
        return ValueError(
            f"X has {self.n_rows} rows of positive weight and {self.n_features} "
            "columns. No more rows than columns need products of rows with each "
            "other, which parts cannot sum up; such a table fits into memory: pass "
            "X.compute() to GDLinearRegression."
        )

    def _merged(self, merge: Callable, sums: Callable, *args):
        """Merge what a function (part, unit, *args) tells of each part."""
        futures = self._cluster.submit_each(
            sums, self._parts, common=[self.unit, *args]
        )
        return self._cluster.merge(futures, merge)


def _read(plain: GDLinearRegression, X, y):
    """Validate a block as the estimator of one process does."""
    X, y, _ = clone(plain)._validate(X, y, None, reset=True)
    return X, y


def _rows_of(part: Part, unit: float) -> tuple[Any, np.ndarray, np.ndarray | None]:
    """X (n, p), Y (n, k) and weights in the common unit, of rows that count."""
    Y = np.ascontiguousarray(part.y.reshape(len(part), -1), dtype=np.float64)
    X, Y, weight = drop_rows_without_weight(part.X, Y, part.weight)
    if weight is not None:
        weight = np.maximum(weight / unit, LIGHTEST)
    return X, Y, weight


def _moments_of(part: Part, unit: float, centered: bool) -> Moments:
    return moments(*_rows_of(part, unit), centered=centered)


def _factor_of(part: Part, unit: float, centered: bool) -> Factor:
    return factorize(*_rows_of(part, unit), centered=centered)


def _residuals_of(part: Part, unit: float, coef, intercept):
    return residual_sums(*_rows_of(part, unit), coef, intercept)


def _scaling_of(part: Part, unit: float, kind: type[Scaling]) -> Scaling:
    X, _, weight = _rows_of(part, unit)
    return kind.measure(X, weight, None)


def _merge_residuals(sums, other):
    """Sums over the rows of both; neither changes, for others may hold it, too."""
    merged = _engine.ResidualSums(*sums.shape)
    merged.merge(sums)
    merged.merge(other)
    return merged
