"""Learning-rate range test: how the loss takes it when the rate rises."""

import warnings

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.sparse import issparse
from sklearn.base import clone, is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing, check_random_state
from sklearn.utils.multiclass import unique_labels
from sklearn.utils.validation import _check_sample_weight, check_consistent_length

from .._diagnosis import RecordsTraining
from ..exceptions import DivergenceError
from ._canvas import OKABE_ITO, VERMILION, name_of, require_axes, wrapped
from ._pipeline import last_step

__all__ = ["LearningRateRangeDisplay"]

# A sweep is over when the mean loss of its last batches is so many times that of its
# first ones: beyond any noise, before the numbers end.
BLOWN_UP = 4.0
# Shares of the sweep: the width of those means, and of the bell that smooths.
MEAN_SHARE, BELL_SHARE = 0.05, 0.03
# A fall of the smoothed loss below this share of its first value is noise.
SMALLEST_FALL = 0.02


class LearningRateRangeDisplay:
    """Loss against learning rate: which rates learn, and where they blow up.

    Built by :meth:`from_estimator`, which trains copies of an estimator only.

    For a network: one short training in which the rate rises geometrically from
    mini-batch to mini-batch (Smith, 2017). Too small a rate leaves the loss where it
    is, a good one lets it fall, too large a one makes it jump. `suggestion` is the rate
    at which the smoothed loss falls fastest per decade of the rate, looked for before
    the smoothed loss is at its least; None if it never falls by 2 % of its start.

    For linear descent: J after a few steps from the start, for each rate. Here theory
    knows the answer: with L the largest curvature of J, steps up to 2/L are stable, and
    `suggestion` is 1/L.

    Parameters
    ----------
    rates : array-like of shape (n_rates,)
        Learning rates, rising.
    losses : array-like of shape (n_rates,)
        For a network the loss of the mini-batch that met its weights after the steps of
        all smaller rates; for linear descent J after the steps of this rate.
    smoothed_losses : array-like of shape (n_rates,) or None, default=None
        Losses with the noise of mini-batches taken out.
    suggestion : float or None, default=None
        A rate to begin with.
    stable_limit : float or None, default=None
        The largest stable step, where theory knows it.
    loss_name : str, default="loss"
        Name of the vertical axis.
    estimator_name : str or None, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure containing them.
    line_ : matplotlib Line2D
        The smoothed losses, or the losses where there is nothing to smooth.
    raw_line_ : matplotlib Line2D or None
        The losses as they came, where smoothed ones are drawn.
    suggestion_line_, limit_line_ : matplotlib Line2D or None
        Vertical lines at the suggestion and at the stable limit.

    See Also
    --------
    DescentPathDisplay : What steps of different lengths look like.

    References
    ----------
    Smith, L. N. (2017). Cyclical learning rates for training neural networks. WACV.

    Polyak, B. T. (1964). Some methods of speeding up the convergence of iteration
    methods. USSR Computational Mathematics and Mathematical Physics, 4(5), 1-17.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_backprop import GDLinearRegression
    >>> from sklearn_backprop.inspection import LearningRateRangeDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> display = LearningRateRangeDisplay.from_estimator(GDLinearRegression(), X, y)
    >>> print(f"stable below {display.stable_limit:.4f}")
    stable below 0.4970
    """

    def __init__(
        self,
        *,
        rates,
        losses,
        smoothed_losses=None,
        suggestion=None,
        stable_limit=None,
        loss_name="loss",
        estimator_name=None,
    ):
        self.rates = rates
        self.losses = losses
        self.smoothed_losses = smoothed_losses
        self.suggestion = suggestion
        self.stable_limit = stable_limit
        self.loss_name = loss_name
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls,
        estimator,
        X,
        y,
        *,
        sample_weight=None,
        min_rate=None,
        max_rate=None,
        n_rates=None,
        n_steps=20,
        name=None,
        ax=None,
        **kwargs,
    ):
        """Try learning rates on a copy of an estimator, and draw.

        Parameters
        ----------
        estimator : estimator or Pipeline
            Network with a first-order solver, or ``GDLinearRegression(solver="gd")``,
            fitted or not, or a pipeline that ends in one. It is not changed: what
            learns is an unfitted clone with its parameters, apart from the rate and its
            schedule.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Training data.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels or targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows.
        min_rate, max_rate : float or None, default=None
            Ends of the sweep. None takes 1e-6 and 10 for a network, 1e-3 and 4 times
            1/L for linear descent.
        n_rates : int or None, default=None
            Number of rates; None takes 200 for a network, a mini-batch each, and 60
            for linear descent.
        n_steps : int, default=20
            Steps that linear descent takes at each rate.
        name : str or None, default=None
            Title; None takes the name of the class.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **kwargs : dict
            Passed on to matplotlib's ``plot`` for `line_`.

        Returns
        -------
        display : LearningRateRangeDisplay
            The picture and what it is made of.

        Raises
        ------
        ValueError
            If the estimator takes no steps that a rate could lengthen, or the ends of
            the sweep do not rise.
        """
        _require_steps(last_step(estimator))
        model, X, y, weight = _prepare(estimator, X, y, sample_weight)
        if model._steps_by_batches:
            rates = _rates(min_rate, max_rate, n_rates, (1e-6, 10.0, 200))
            found = _sweep_network(model, X, y, weight, rates)
        else:
            unit = _unit_step(model, X, y, weight)
            rates = _rates(min_rate, max_rate, n_rates, (1e-3 * unit, 4 * unit, 60))
            found = _sweep_descent(model, X, y, weight, rates, n_steps, unit)
        display = cls(**found, estimator_name=name_of(model, name))
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, name=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        name : str or None, default=None
            Title; None takes `estimator_name`.
        **kwargs : dict
            Passed on to matplotlib's ``plot`` for `line_`.

        Returns
        -------
        display : LearningRateRangeDisplay
            The display itself.
        """
        self.ax_ = require_axes(ax, "LearningRateRangeDisplay")
        self.figure_ = self.ax_.figure
        rates, losses = np.asarray(self.rates), np.asarray(self.losses)
        self.raw_line_ = None
        curve = losses
        if self.smoothed_losses is not None:
            curve = np.asarray(self.smoothed_losses)
            (self.raw_line_,) = self.ax_.plot(
                rates, losses, color="#999999", linewidth=0.8, label="mini-batches"
            )
        label = "smoothed" if self.raw_line_ else None
        style = {"color": OKABE_ITO[0], "linewidth": 2.5, "label": label, **kwargs}
        (self.line_,) = self.ax_.plot(rates, curve, **style)
        self.suggestion_line_ = self._upright(
            self.suggestion, "suggestion: {:.2g}", OKABE_ITO[2], "-"
        )
        self.limit_line_ = self._upright(
            self.stable_limit, "stable below {:.2g}", VERMILION, "--"
        )
        self.ax_.set(
            xscale="log",
            xlabel="learning rate",
            ylabel=self.loss_name,
            ylim=_heights_worth_seeing(curve),
        )
        if self.ax_.get_legend_handles_labels()[0]:
            self.ax_.legend()
        title = self.estimator_name if name is None else name
        if title:
            self.ax_.set_title(wrapped(title, 50))
        return self

    def _upright(self, rate, label, colour, style):
        if rate is None:
            return None
        return self.ax_.axvline(
            rate, color=colour, linestyle=style, linewidth=2, label=label.format(rate)
        )


def _heights_worth_seeing(curve) -> tuple[float, float]:
    """Limits of the vertical axis: what blows up leaves the picture at its top."""
    curve = curve[np.isfinite(curve)]
    low, start = curve.min(), curve[0]
    height = (start - low) or abs(start) or 1.0
    return low - 0.1 * height, start + 0.5 * height


# ------------------------------------------------------------------ preparation
def _prepare(estimator, X, y, sample_weight):
    """A quiet clone to train, and X (n, p), y, weight (n,) or None as it sees them.

    Rows of weight zero are left out: a mini-batch of them would have no loss.
    """
    if not hasattr(X, "shape"):
        X = np.asarray(X)
    X = X.tocsr() if issparse(X) else X
    y = np.asarray(y)
    y = y.ravel() if y.ndim == 2 and y.shape[1] == 1 else y
    check_consistent_length(X, y)
    weight = None
    if sample_weight is not None:
        weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
        kept = np.flatnonzero(weight > 0)
        X, y, weight = _safe_indexing(X, kept), y[kept], weight[kept]
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        X = clone(estimator[:-1]).fit_transform(X, y)
    model = clone(last_step(estimator))
    return model.set_params(verbose=0, warm_start=False), X, y, weight


def _require_steps(model) -> None:
    """Refuse what takes no steps whose length a learning rate sets."""
    if not isinstance(model, RecordsTraining):
        raise ValueError(
            f"{type(model).__name__} has no learning rate that this test can sweep. "
            "Pass a BackpropMLPClassifier, BackpropMLPRegressor or GDLinearRegression."
        )
    solver = model.solver
    if solver in ("lbfgs", "normal"):
        by_batches = model._steps_by_batches
        remedy = "solver='adam' or 'sgd'" if by_batches else "solver='gd'"
        raise ValueError(
            f"solver={solver!r} takes no steps whose length a learning rate sets. Pass "
            f"{remedy}."
        )


def _rates(low, high, n_rates, defaults) -> np.ndarray:
    """Rates (n_rates,), each the same factor above the one before."""
    low, high, n_rates = (
        default if given is None else given
        for given, default in zip((low, high, n_rates), defaults, strict=True)
    )
    if not 0 < low < high < np.inf:
        raise ValueError(
            f"The sweep must rise from min_rate to max_rate, both positive; got "
            f"min_rate={low:g} and max_rate={high:g}."
        )
    if n_rates < 10:
        raise ValueError(f"n_rates={n_rates} shows no curve. Pass at least 10.")
    return np.geomspace(low, high, n_rates)


# --------------------------------------------------------------------- networks
def _sweep_network(model, X, y, weight, rates) -> dict:
    """What the display shows of a network: one training, a mini-batch per rate."""
    losses = _losses_of_rising_rates(model, X, y, weight, rates)
    n_rates, rates = len(rates), rates[: len(losses)]
    smoothed = _smooth(losses, n_rates)
    return {
        "rates": rates,
        "losses": losses,
        "smoothed_losses": smoothed,
        "suggestion": steepest_rate(rates, smoothed),
    }


def _losses_of_rising_rates(model, X, y, weight, rates) -> np.ndarray:
    """Losses of mini-batches, met by the weights after the steps of smaller rates.

    Ends early where training blows up.
    """
    alpha, first_call = _quieten(model, X, y, weight)
    total = len(y) if weight is None else weight.sum()
    n_mean = max(2, round(MEAN_SHARE * len(rates)))
    losses: list[float] = []
    batches = _mini_batches(len(y), model.batch_size, model.random_state)
    with warnings.catch_warnings():
        # A mini-batch may hold few rows of each of many classes.
        warnings.filterwarnings("ignore", "The number of unique classes is greater")
        for rate, rows in zip(rates, batches, strict=False):
            batch_weight = None if weight is None else weight[rows]
            share = (len(rows) if batch_weight is None else batch_weight.sum()) / total
            # The penalty of a batch is divided by its own weight; so it becomes that
            # of training on all rows.
            model.set_params(learning_rate_init=rate, alpha=alpha * share)
            try:
                model.partial_fit(
                    _safe_indexing(X, rows), y[rows], batch_weight, **first_call
                )
            except DivergenceError:
                if len(losses) < 2 * n_mean:
                    raise
                break
            losses.append(model.loss_curve_[-1])
            if _has_blown_up(losses, n_mean):
                break
    return np.array(losses)


def _quieten(model, X, y, weight) -> tuple[float, dict]:
    """Set a network up for a step per call; its alpha, and what its calls take."""
    size = min(200, len(y)) if model.batch_size == "auto" else model.batch_size
    settings = {
        "batch_size": min(size, len(y)),
        "learning_rate": "constant",
        "warmup_epochs": 0,
        "early_stopping": False,
        "n_iter_no_change": np.inf,
        "track_gradients": None,
    }
    if not is_classifier(model):
        model.set_params(**settings)
        return model.alpha, {}
    if isinstance(model.class_weight, str):
        settings["class_weight"] = _balanced(y, weight)
    model.set_params(**settings)
    return model.alpha, {"classes": unique_labels(y)}


def _balanced(y, weight) -> dict:
    """Weights that give all classes the same total, as class_weight="balanced"."""
    classes = unique_labels(y)
    member = y != 0 if y.ndim == 2 else y[:, None] == classes
    weight = np.ones(len(y)) if weight is None else weight
    totals = weight @ member
    return {
        label: weight.sum() / (len(classes) * total)
        for label, total in zip(classes.tolist(), totals, strict=True)
        if total > 0
    }


def _mini_batches(n_rows, size, random_state):
    """Places (size,) of rows, epoch after epoch in a new order, without end."""
    rng = check_random_state(random_state)
    while True:
        order = rng.permutation(n_rows)
        # Batches of one size, so that their losses have one spread.
        for start in range(0, n_rows - size + 1, size):
            yield order[start : start + size]


def _has_blown_up(losses, n_mean) -> bool:
    """Whether the last losses are far above the first."""
    if len(losses) < 2 * n_mean:
        return False
    return np.mean(losses[-n_mean:]) > BLOWN_UP * np.mean(losses[:n_mean])


def _smooth(losses, n_rates) -> np.ndarray:
    """Means of losses (n,) under a bell over neighbouring rates.

    A bell looks both ways and so does not lag, as a running mean would. What has blown
    up is cut at twice the start, for it would spoil all that the bell reaches.
    """
    start = losses[: max(2, round(MEAN_SHARE * n_rates))].mean()
    cut = np.minimum(losses, 2 * start)
    return gaussian_filter1d(cut, BELL_SHARE * n_rates, mode="nearest")


def steepest_rate(rates, smoothed) -> float | None:
    """The rate where losses (n,) fall fastest per decade, up to their least.

    None where they do not fall by more than noise does.
    """
    least = int(np.argmin(smoothed))
    if not smoothed[least] < (1 - SMALLEST_FALL) * smoothed[0]:
        return None
    slopes = np.gradient(smoothed, np.log10(rates))
    return float(rates[np.argmin(slopes[: least + 1])])


# --------------------------------------------------------------- linear descent
def _sweep_descent(model, X, y, weight, rates, n_steps, unit_step) -> dict:
    """What the display shows of linear descent: J after some steps of each rate."""
    # A constant rate under another name: "constant" would stop where it finds a step
    # too long, and what the longer ones do is what we want to see.
    model.set_params(learning_rate="invscaling", power_t=0.0, max_iter=n_steps, tol=0.0)
    losses = []
    for rate in rates:
        model.set_params(learning_rate_init=rate)
        try:
            losses.append(_fit_quietly(model, X, y, weight).loss_)
        except DivergenceError:
            losses.append(np.inf)
    return {
        "rates": rates,
        "losses": np.array(losses),
        "suggestion": unit_step,
        "stable_limit": _stable_limit(model, len(y), unit_step),
        "loss_name": f"J after {n_steps} steps",
    }


def _unit_step(model, X, y, weight) -> float:
    """1/L: what a fit takes that is left to choose its step."""
    chooser = clone(model).set_params(
        learning_rate_init="auto", learning_rate="constant", max_iter=1
    )
    return _fit_quietly(chooser, X, y, weight).learning_rate_


def _fit_quietly(model, X, y, weight):
    """Fit for fewer iterations than convergence takes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, y, sample_weight=weight)


def _stable_limit(model, n_rows, unit_step) -> float | None:
    """The step above which the steepest direction grows (Polyak, 1964).

    Along an eigenvector of the Hessian, descent with momentum m is a recurrence of two
    terms; its roots leave the unit circle at 2 (1 + m)/L, with Nesterov's look-ahead at
    that over 1 + 2m. Mini-batches meet other curvatures: no sharp limit.
    """
    if model.batch_size is not None and model.batch_size < n_rows:
        return None
    factor = 2.0 * (1.0 + model.momentum)
    if model.nesterovs_momentum:
        factor /= 1.0 + 2.0 * model.momentum
    return factor * unit_step
