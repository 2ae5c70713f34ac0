"""L-BFGS by SciPy on all rows, with what first-order training records."""

from dataclasses import dataclass

import numpy as np
import scipy.optimize

from .._callbacks import FitTasks
from .._rows import Rows
from .._threads import allowed_threads
from .._verbose import ProgressLines
from .._warning import warn
from ..exceptions import DivergenceError
from ._divergence import (
    SCALE_ANYTHING,
    data_to_scale,
    divergence_message,
    non_finite,
)
from ._network import Network
from ._records import join_measures
from ._state import TrainingState

__all__ = ["LbfgsRun"]


class Units:
    """What L-BFGS sees of theta: that which is trained, in units of its rates.

    Of x = theta / sqrt(rate), descent at one rate is descent of theta at each its own.
    """

    def __init__(self, network: Network):
        rates = network.architecture.rates()
        self._trained = rates > 0
        self._sizes = np.sqrt(rates[self._trained])
        self._start = network.theta.astype(np.float64)

    def read(self, theta) -> np.ndarray:
        """Give x of theta (n_theta,)."""
        return theta[self._trained] / self._sizes

    def theta(self, x) -> np.ndarray:
        """Give theta (n_theta,) of x, with what is frozen."""
        theta = self._start.copy()
        theta[self._trained] = x * self._sizes
        return theta

    def gradient(self, of_theta) -> np.ndarray:
        """Give the gradient in x of that in theta."""
        return of_theta[self._trained] * self._sizes

    def mark_frozen(self, of_theta) -> np.ndarray:
        """Say NaN where no gradient was computed."""
        return np.where(self._trained, of_theta, np.nan)


@dataclass
class LbfgsRun:
    """L-BFGS on all rows, and what is kept of its iterations in `state`."""

    state: TrainingState
    rows: Rows
    tasks: FitTasks
    alpha: float
    max_iter: int
    max_fun: int
    tol: float
    record: str | None
    verbose: int

    def run(self) -> int:
        """Minimize the objective; return the number of iterations."""
        state = self.state
        self.units = Units(state.network)
        self.n_before = len(state.loss_curve)
        self.lines, self.stopped = ProgressLines(), False
        state.validated = False
        state.unfinished, state.was_stopped = "", False
        state.optimizer = None  # a first-order solver's memory is of other weights
        try:
            result = self._minimize()
        except KeyboardInterrupt:
            state.was_stopped = True
            warn("Training interrupted by user.")
            return len(state.loss_curve) - self.n_before
        return self._finish(result)

    def _minimize(self):
        return scipy.optimize.minimize(
            self._objective,
            self.units.read(self.state.network.theta.astype(np.float64)),
            method="L-BFGS-B",
            jac=True,
            callback=self._end_iteration,
            options={
                "maxfun": self.max_fun,
                "maxiter": self.max_iter,
                "gtol": self.tol,
            },
        )

    def _objective(self, x):
        # SciPy tells when an iteration ends; the next begins with its first trial.
        self.tasks.begin("iteration")
        value, gradient = self._value_and_gradient(self.units.theta(x))
        return value, self.units.gradient(gradient)

    def _value_and_gradient(self, theta):
        network = self.state.network
        value, gradient = network.engine.value_and_gradient(
            theta.astype(network.dtype),
            *self.rows.table,
            running=network.running,
            constants=network.constants,
            alpha=self.alpha / self.rows.weight_unit,
            n_threads=allowed_threads(),
        )
        gradient = gradient.astype(np.float64)
        self.latest = theta.copy(), gradient
        return value, gradient

    def _end_iteration(self, intermediate_result):
        """Write an iteration down; SciPy stops at StopIteration."""
        theta = self.units.theta(intermediate_result.x)
        self._write_down(theta, float(intermediate_result.fun))
        self.stopped = self.tasks.end(self.state.copy)
        if self.stopped:
            raise StopIteration

    def _write_down(self, theta, loss):
        """Set the network to theta (n_theta,), and record how it came there."""
        state = self.state
        before = state.network.theta.astype(np.float64)
        state.network.theta[...] = theta
        state.loss_curve.append(loss)
        state.best_loss = min(state.best_loss, loss)
        if not (self.record or self.verbose):
            return
        gradient = self._gradient_at(theta)
        if self.record:
            after = state.network.theta.astype(np.float64)
            state.records.append(
                lbfgs_record(
                    gradients=self._recorded(self.units.mark_frozen(gradient)),
                    changes=self._recorded(after - before),
                    weights=self._recorded(after),
                    global_norm=float(np.linalg.norm(gradient)),
                    times=state.network.architecture.times,
                )
            )
        if self.verbose:
            self.lines.print(
                f"Iteration {len(state.loss_curve)}",
                loss,
                gradient_norm=float(np.linalg.norm(gradient)),
            )

    def _recorded(self, vector) -> list[np.ndarray]:
        """Show the recorded arrays of a vector as long as theta."""
        return list(self.state.network.architecture.recorded(vector).values())

    def _gradient_at(self, theta) -> np.ndarray:
        """Gradient at an iterate: as a rule its line search has just taken it."""
        if not np.array_equal(self.latest[0], theta):
            self._value_and_gradient(theta)
        return self.latest[1]

    def _finish(self, result) -> int:
        state, n_iter = self.state, min(result.nit, self.max_iter)
        if not (np.isfinite(result.fun) and np.isfinite(result.x).all()):
            raise self._divergence(n_iter + 1)
        if len(state.loss_curve) == self.n_before:  # the start is a minimum
            self._write_down(self.units.theta(result.x), float(result.fun))
        state.network.theta[...] = self.units.theta(result.x)
        self.tasks.end(self.state.copy)  # of an iteration that found no better point
        if self.stopped:
            state.was_stopped = True
            if self.verbose:
                print("A callback asked to stop. Stopping.")
        elif result.status != 0:
            state.unfinished = _unfinished(result, n_iter, self.max_iter)
        elif n_iter == 0 and self.n_before == 0:
            state.unfinished = (
                "lbfgs returned the weights that it started from: no element of their "
                f"gradient is above tol={self.tol:g}. Scale X and y, or pass a smaller "
                "tol."
            )
        return n_iter

    def _divergence(self, iteration) -> DivergenceError:
        when = f"Training diverged in iteration {iteration} of lbfgs"
        what_to_do = data_to_scale(self.rows) or [SCALE_ANYTHING]
        return DivergenceError(divergence_message(when, non_finite("loss"), what_to_do))


def lbfgs_record(gradients, changes, weights, global_norm, times=(0, 0)) -> np.ndarray:
    """Record an iteration as the engine records an epoch, from C arrays each.

    An iteration is one unclipped step, whose gradient is that at its end. What units
    and states do is not known here.
    """
    norms, moves, sizes = (
        np.array([np.linalg.norm(W) for W in matrices])
        for matrices in (gradients, changes, weights)
    )
    unknown = np.full_like(norms, np.nan)
    return join_measures(
        {
            "gradient_norm": norms,
            "gradient_norm_max": norms,
            "update_ratio": np.divide(
                moves, sizes, out=np.zeros_like(moves), where=moves > 0
            ),
            "dead_fraction": unknown,
            "saturated_fraction": unknown,
            "clipped_fraction": 0.0,
            "global_norm": global_norm,
        },
        times,
    )


def _unfinished(result, n_iter, max_iter) -> str:
    """Say why SciPy stopped before the minimum, in scikit-learn's words."""
    more = (
        "\nIncrease the number of iterations to improve the convergence "
        f"(max_iter={max_iter})."
        if n_iter == max_iter
        else ""
    )
    return (
        f"lbfgs failed to converge after {n_iter} iteration(s) "
        f"(status={result.status}):\n{result.message}\n{more}\n"
        "You might also want to scale the data as shown in:\n"
        "    https://scikit-learn.org/stable/modules/preprocessing.html"
    )
