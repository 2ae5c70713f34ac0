"""Gradient descent, full batch: the cost in good coordinates, its step, and the run.

Legend: X (n, p), Y (n, k), weight (n,) or None; H (m, m) the Hessian of the cost in the
coordinates of descent, L its largest eigenvalue.
"""

import numpy as np
from scipy import linalg, sparse
from scipy.sparse.linalg import LinearOperator, eigsh

from .._callbacks import FitTasks
from .._immutable import immutable
from .._threads import allowed_threads
from .._verbose import ProgressLines
from ..engine import _engine
from ._coordinates import SCALINGS, Coordinates, Scaling, coordinates
from ._gram import Moments, moments, require_representable

_EPS = np.finfo(np.float64).eps
# Beyond this size the largest eigenvalue and a factorisation come cheaper than all.
_MAX_EIGENVALUES = 300
# How long the engine runs before Python looks for an interrupt or has a line to print.
_SLICE_SECONDS = 0.1
# Descent is that many tasks for callbacks, and some more at its beginning.
_N_SLICES = 100


@immutable
class Problem:
    """A cost for the engine, with what is known of its curvature."""

    cost: "_engine.Cost"
    coordinates: Coordinates
    gradient_floor: np.ndarray  # (k,) gradient norms that rounding alone leaves
    l1: np.ndarray  # (p,)
    l2: np.ndarray  # (p,)
    curvature: float  # L
    feature_scale: np.ndarray  # (p,) root mean squares of the features
    curved: str = "the cost"  # whose curvature it is
    rank: int | None = None
    condition_number: float = np.nan


@immutable
class Penalty:
    """alpha * (l1_ratio |coef|_1 + (1 - l1_ratio)/2 |coef|^2), in the units of X."""

    alpha: float
    l1_ratio: float

    def weights(self, scale) -> tuple[np.ndarray, np.ndarray]:
        """Weights (p,) of |theta_j| and theta_j^2 / 2 for theta = coef * scale (p,)."""
        return (
            self.alpha * self.l1_ratio / scale,
            self.alpha * (1.0 - self.l1_ratio) / scale**2,
        )


def pose(
    X,
    Y,
    weight,
    *,
    fit_intercept,
    feature_scaling,
    penalty: Penalty,
    seen: Scaling | None = None,
    in_batches=False,
) -> tuple[Problem, Scaling]:
    """The problem of X (n, p) and Y (n, k), and the scaling of all rows seen so far.

    seen: the scaling of earlier rows. Mini-batches move an intercept of their own,
    since none has the mean of all rows, and leave sparse data uncentred, hence sparse.
    """
    sums = None
    if X.shape[0] > X.shape[1]:
        sums = moments(X, Y, weight, centered=fit_intercept)
    scaling = SCALINGS[feature_scaling].measure(X, weight, sums)
    if seen is not None:
        scaling = seen.merge(scaling)
    y_center = np.zeros(Y.shape[1])
    if fit_intercept:
        y_center = sums.y_mean if sums else np.average(Y, axis=0, weights=weight)
    places = coordinates(
        scaling,
        y_center,
        fit_intercept=fit_intercept,
        measured_here=seen is None and not in_batches,
        keep_zeros=in_batches and sparse.issparse(X),
    )
    if sums is None:
        return _data_problem(X, Y, weight, places, penalty), scaling
    return _gram_problem(sums, places, penalty), scaling


def pose_moments(
    sums: Moments, scaling: Scaling, *, fit_intercept, penalty: Penalty
) -> Problem:
    """The problem of rows behind moments, and the scaling measured on them."""
    y_center = sums.y_mean if fit_intercept else np.zeros(len(sums.yy))
    places = coordinates(
        scaling,
        y_center,
        fit_intercept=fit_intercept,
        measured_here=True,
        keep_zeros=False,
    )
    return _gram_problem(sums, places, penalty)


def _gram_problem(sums: Moments, places: Coordinates, penalty: Penalty) -> Problem:
    """The problem on the Gram matrix: a step costs the same for any number of rows."""
    scale = places.scale
    offset = (sums.x_mean - places.center) / scale
    hessian = sums.xx / sums.weight / np.outer(scale, scale)
    hessian += np.outer(offset, offset)
    linear = sums.xy.T / sums.weight / scale
    if places.has_intercept:
        hessian = np.block([[hessian, offset[:, None]], [offset, np.ones(1)]])
        linear = np.column_stack([linear, np.zeros(len(linear))])
    l1, l2 = penalty.weights(scale)
    mean_squares = np.diagonal(sums.yy) / sums.weight
    curvatures = _curvatures(_with_penalty(hessian, l2), sums.n_rows)
    return Problem(
        cost=_engine.GramCost(
            hessian, np.ascontiguousarray(linear), float(mean_squares.sum())
        ),
        coordinates=places,
        gradient_floor=_gradient_floor(curvatures["curvature"], mean_squares),
        l1=l1,
        l2=l2,
        feature_scale=np.sqrt(np.diagonal(hessian)[: len(scale)]),
        **curvatures,
    )


def _data_problem(X, Y, weight, places: Coordinates, penalty: Penalty) -> Problem:
    """The problem on the rows themselves, for fewer rows than columns."""
    n_rows, n_features = X.shape
    share = np.ones(n_rows) if weight is None else weight
    share = share / share.sum()
    targets = Y - places.y_center
    rest = (
        targets,
        share,
        places.center,
        places.scale,
        places.has_intercept,
        allowed_threads(),
    )
    cost: _engine.Cost
    if sparse.issparse(X):
        rows = sparse.csr_array(X, dtype=np.float64)
        cost = _engine.SparseCost(
            rows.data,
            rows.indices.astype(np.int32, copy=False),
            rows.indptr.astype(np.int32, copy=False),
            n_features,
            *rest,
        )
    else:
        rows = np.ascontiguousarray(X, dtype=np.float64)
        cost = _engine.DenseCost(rows, *rest)
    l1, l2 = penalty.weights(places.scale)
    with np.errstate(over="ignore", invalid="ignore"):
        feature_scale = _root_mean_squares(rows, share, places)
    require_representable(X, np.where(np.isfinite(feature_scale), 1.0, np.inf), "X")
    curvature = _largest_eigenvalue(_hessian_operator(rows, share, places, l2))
    return Problem(
        cost=cost,
        coordinates=places,
        gradient_floor=_gradient_floor(curvature, share @ targets**2),
        l1=l1,
        l2=l2,
        curvature=curvature,
        feature_scale=feature_scale,
    )


def _root_mean_squares(X, share, places: Coordinates) -> np.ndarray:
    """Root mean squares (p,) of the columns of X in the coordinates of descent."""
    if sparse.issparse(X):
        squares = X.power(2).T @ share
    else:
        squares = np.einsum("i,ij,ij->j", share, X, X)
    squares = squares - 2 * places.center * (X.T @ share) + places.center**2
    return np.sqrt(np.maximum(squares, 0.0)) / places.scale


def _with_penalty(hessian, l2) -> np.ndarray:
    """Hessian (m, m) with the squared penalty (p,) on its diagonal."""
    penalized = hessian.copy()
    features = np.arange(len(l2))
    penalized[features, features] += l2
    return penalized


def _largest_eigenvalue(hessian) -> float:
    """L of H (m, m), an array or an operator, by Lanczos iteration."""
    size = hessian.shape[0]
    if size == 1:
        return float((hessian @ np.ones(1))[0])
    # A fixed direction that is orthogonal to nothing in particular.
    start = np.random.default_rng(0).standard_normal(size)
    if not np.any(hessian @ start):
        return 0.0
    (largest,) = eigsh(
        hessian, k=1, which="LA", v0=start, tol=1e-8, return_eigenvectors=False
    )
    return float(largest)


def _curvatures(hessian, n_rows) -> dict:
    """What `Problem` records of H (m, m): curvature, rank and condition number."""
    if len(hessian) > _MAX_EIGENVALUES:
        return {
            "curvature": _largest_eigenvalue(hessian),
            **_estimated_conditioning(hessian),
        }
    eigenvalues = linalg.eigvalsh(hessian, check_finite=False)
    largest = float(eigenvalues[-1])
    cutoff = _EPS * max(n_rows, len(hessian)) * max(largest, 0.0)
    kept = eigenvalues[eigenvalues > cutoff]
    condition = float(np.sqrt(largest / kept[0])) if len(kept) else 1.0
    return {"curvature": largest, "rank": len(kept), "condition_number": condition}


def _estimated_conditioning(hessian) -> dict:
    """Full rank and an estimated condition number of H (m, m), or nothing."""
    factor, info = linalg.lapack.dpotrf(hessian, lower=1, clean=0)
    if info != 0:
        return {}
    rcond, _ = linalg.lapack.dpocon(factor, linalg.norm(hessian, 1), uplo="L")
    if rcond < _EPS * len(hessian):
        return {}
    return {"rank": len(hessian), "condition_number": float(np.sqrt(1.0 / rcond))}


def _hessian_operator(X, share, places: Coordinates, l2) -> LinearOperator:
    """Products of H (m, m) with vectors, without forming it."""
    n_features = X.shape[1]
    center, scale = places.center, places.scale

    def multiply(theta):
        theta = theta.ravel()
        raw = theta[:n_features] / scale
        start = theta[-1] if places.has_intercept else 0.0
        rows = share * (X @ raw + (start - center @ raw))
        total = rows.sum()
        product = (X.T @ rows - center * total) / scale + l2 * theta[:n_features]
        return np.append(product, total) if places.has_intercept else product

    size = n_features + int(places.has_intercept)
    return LinearOperator((size, size), matvec=multiply, dtype=np.float64)


def _gradient_floor(curvature, mean_squares) -> np.ndarray:
    """Gradient norms (k,) that rounding leaves, for the targets' mean squares (k,)."""
    return 8 * _EPS * np.sqrt(curvature * mean_squares)


@immutable
class Settings:
    """How to descend: hyper-parameters of the estimator, as they are named there."""

    learning_rate_init: float | str
    learning_rate: str
    power_t: float
    momentum: float
    nesterovs_momentum: bool
    max_iter: int
    tol: float
    positive: bool
    track_path: bool
    verbose: int


@immutable
class Descended:
    """What a run of descent leaves: coefficients in the units of X, and its record."""

    coef: np.ndarray  # (k, p)
    intercept: np.ndarray  # (k,)
    loss_curve: np.ndarray  # (n_iter,)
    gradient_norm_curve: np.ndarray  # (n_iter,)
    coef_path: np.ndarray | None  # (n_iter + 1, k, p)
    first_rate: float
    last_rate: float
    status: "_engine.Status"
    start_loss: float
    interrupted: bool  # by the user
    stopped: bool  # by a callback
    # J of the mean of y, where noise may leave descent above it.
    zero_loss: float = np.inf


def from_zero(problem: Problem) -> tuple[np.ndarray, np.ndarray]:
    """Zero coefficients (k, p), and the mean of y (k,) as intercept."""
    places = problem.coordinates
    return np.zeros((len(places.y_center), len(places.scale))), places.y_center


def step_size(problem: Problem, settings: Settings) -> float:
    """The step to begin with: as given, or 1/L."""
    if settings.learning_rate_init != "auto":
        return float(settings.learning_rate_init)
    return 1.0 / problem.curvature if problem.curvature > 0.0 else 1.0


def largest_stable_step(problem: Problem, settings: Settings) -> float:
    """The constant step above which the steepest direction grows (Polyak, 1964)."""
    if problem.curvature <= 0.0:
        return np.inf
    momentum = settings.momentum
    factor = 2.0 * (1.0 + momentum)
    if settings.nesterovs_momentum:
        factor /= 1.0 + 2.0 * momentum
    return factor / problem.curvature


def descend(problem: Problem, start, settings: Settings, tasks: FitTasks) -> Descended:
    """Descend from start, a pair of coef (k, p) and intercept (k,), or from zero.

    Zero coefficients go with the mean of y as intercept.
    """
    run = _Run(problem, from_zero(problem) if start is None else start, settings, tasks)
    try:
        run.until_done()
    except KeyboardInterrupt:
        run.interrupted = True
    return run.result()


class _Run:
    """One descent on all rows, in slices of iterations between which Python acts."""

    def __init__(self, problem: Problem, start, settings: Settings, tasks: FitTasks):
        self.problem, self.settings, self.tasks = problem, settings, tasks
        self.first_rate = step_size(problem, settings)
        self.interrupted = self.stopped = False
        self.engine = _engine.Descent(
            problem.cost,
            problem.coordinates.inside(*start),
            l1=problem.l1,
            l2=problem.l2,
            gradient_floor=problem.gradient_floor,
            learning_rate=self.first_rate,
            schedule=settings.learning_rate,
            power_t=settings.power_t,
            momentum=settings.momentum,
            nesterov=settings.nesterovs_momentum,
            tol=settings.tol,
            # A margin, for L is known to some digits only.
            largest_stable_rate=largest_stable_step(problem, settings) * (1 + 1e-6),
            positive=settings.positive,
            track_path=settings.track_path,
        )

    @property
    def is_running(self) -> bool:
        """Whether there is a next iteration."""
        return (
            not self.stopped
            and self.engine.status == _engine.Status.RUNNING
            and self.engine.n_iter < self.settings.max_iter
        )

    def until_done(self) -> None:
        """Iterate; a slice is a task for callbacks."""
        lines = ProgressLines()
        while self.is_running:
            goal = self.settings.max_iter
            if self.tasks.are_watched:
                goal = next_slice_end(self.engine.n_iter, goal)
            self.tasks.begin("iterations")
            while self.is_running and self.engine.n_iter < goal:
                self._advance(goal, lines)
            if self.engine.status != _engine.Status.DIVERGED:
                self.stopped = self.tasks.end(self.result)

    def _advance(self, goal, lines: ProgressLines) -> None:
        """Iterate for a moment, and not beyond the next line to print."""
        engine, verbose = self.engine, self.settings.verbose
        next_line = next_printed(engine.n_iter, verbose) if verbose else goal
        engine.run(min(goal, next_line) - engine.n_iter, _SLICE_SECONDS)
        if verbose and (engine.n_iter == next_line or not self.is_running):
            lines.print(
                f"Iteration {engine.n_iter}",
                engine.loss_curve[-1],
                gradient_norm=engine.gradient_norm_curve[-1],
            )

    def result(self) -> Descended:
        """Where descent is, and how it came there."""
        engine, places = self.engine, self.problem.coordinates
        shape = (len(places.y_center), -1)
        coef, intercept = places.outside(engine.theta.reshape(shape))
        path = None
        if self.settings.track_path:
            path, _ = places.outside(engine.path.reshape((engine.n_iter + 1, *shape)))
        return Descended(
            coef=coef,
            intercept=intercept,
            loss_curve=engine.loss_curve,
            gradient_norm_curve=engine.gradient_norm_curve,
            coef_path=path,
            first_rate=self.first_rate,
            last_rate=engine.learning_rate,
            status=engine.status,
            start_loss=engine.start_loss,
            interrupted=self.interrupted,
            stopped=self.stopped,
        )


def next_printed(n_iter: int, verbose: int = 1) -> int:
    """The next iteration to print: 1, 2, 5, 10, 20, ...; every one if verbose > 1."""
    if verbose > 1:
        return n_iter + 1
    power = 1
    while True:
        for digit in (1, 2, 5):
            if digit * power > n_iter:
                return digit * power
        power *= 10


def next_slice_end(n_iter: int, max_iter: int) -> int:
    """The next of iterations 1, 2, 5, 10, ... and of the hundredths of max_iter.

    Most happens in the first iterations; later ones should not keep callbacks waiting.
    """
    length = -(-max_iter // _N_SLICES)
    hundredth = (n_iter // length + 1) * length
    return min(next_printed(n_iter), hundredth, max_iter)


def n_slices(max_iter: int) -> int:
    """How many slices max_iter iterations make."""
    n_iter = count = 0
    while n_iter < max_iter:
        n_iter = next_slice_end(n_iter, max_iter)
        count += 1
    return count


def divergence_message(problem: Problem, settings: Settings, result: Descended) -> str:
    """What diverged, why, and what to pass instead."""
    stable = largest_stable_step(problem, settings)
    last = result.loss_curve[-1]
    remedies = ["learning_rate_init='auto' (1/L)", f"a step below {stable:.6g}"]
    if settings.learning_rate != "adaptive":
        remedies.append("learning_rate='adaptive'")
    return (
        f"Gradient descent diverges with a step of {result.first_rate:.6g}: after "
        f"{len(result.loss_curve)} iterations the loss went from "
        f"{result.start_loss:.6g} to {last:.6g}. The largest stable step for these "
        f"data is {stable:.6g} (L = {problem.curvature:.6g} is the largest curvature "
        f"of {problem.curved} in scaled coordinates). Pass {', '.join(remedies[:-1])} "
        f"or {remedies[-1]}; loss_curve_ holds the losses up to here."
    )


def unfinished_message(problem: Problem, settings: Settings, result: Descended) -> str:
    """How far descent came, and what would bring it further."""
    if result.status == _engine.Status.STALLED:
        return (
            "Gradient descent stopped: no step, however short, lowers the loss any "
            f"more, although tol={settings.tol:g} is not reached. The coefficients are "
            "as exact as rounding allows; a larger tol silences this warning."
        )
    message = (
        f"Gradient descent did not reach tol={settings.tol:g} within max_iter="
        f"{settings.max_iter} iterations (gradient norm "
        f"{result.gradient_norm_curve[-1]:.3g})."
    )
    if np.isfinite(problem.condition_number):
        message += (
            " The condition number of the scaled data is "
            f"{problem.condition_number:.3g}; iterations grow with its square."
        )
    return message + (
        " Increase max_iter, add momentum (0.9, with nesterovs_momentum=True), use "
        "feature_scaling='standard' if you do not, or solver='normal'."
    )
