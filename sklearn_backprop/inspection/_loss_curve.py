"""How the loss fell: training and validation, of one estimator or several."""

from collections.abc import Sequence

import numpy as np

from .._diagnosis import DescentRecord
from ._canvas import (
    OKABE_ITO,
    name_of,
    require_axes,
    whole_numbers,
    wrapped,
)
from ._pipeline import fitted_last_step, record_of

__all__ = ["LossCurveDisplay"]


class LossCurveDisplay:
    """How the loss fell: training, validation, and the epoch whose weights were kept.

    Built by :meth:`from_estimator`; draw several estimators on one axis by passing
    ``ax``. Where losses span more than two decades the axis becomes logarithmic.

    Parameters
    ----------
    train_loss : array-like of shape (n_epochs,)
        Training objective of every epoch or iteration.
    validation_loss : array-like of shape (n_validated,) or None, default=None
        Loss of the validation set after each of `validation_epochs`.
    validation_epochs : array-like of shape (n_validated,) or None, default=None
        Epochs, counted from one; None takes the first ones.
    best_epoch : int or None, default=None
        The epoch with the best validation score, counted from one.
    step_name : str, default="epoch"
        What an entry of the curves belongs to: "epoch" or "iteration".
    estimator_name : str or None, default=None
        Name in the legend.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure containing them.
    line_ : matplotlib Line2D
        Training loss.
    validation_line_ : matplotlib Line2D or None
        Validation loss, dashed.
    best_ : matplotlib Line2D or None
        Marker of the best epoch.

    See Also
    --------
    GradientFlowDisplay : What the gradients of every layer did meanwhile.

    References
    ----------
    Prechelt, L. (1998). Early stopping - but when? In Neural networks: tricks of the
    trade. Springer.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn_backprop import GDLinearRegression
    >>> from sklearn_backprop.inspection import LossCurveDisplay
    >>> X, y = load_diabetes(return_X_y=True)
    >>> plain = GDLinearRegression().fit(X, y)
    >>> fast = GDLinearRegression(momentum=0.9).fit(X, y)
    >>> display = LossCurveDisplay.from_estimator(plain, name="plain")
    >>> display = LossCurveDisplay.from_estimator(
    ...     fast, name="momentum", ax=display.ax_
    ... )
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['plain', 'momentum']
    """

    def __init__(
        self,
        *,
        train_loss,
        validation_loss=None,
        validation_epochs=None,
        best_epoch=None,
        step_name="epoch",
        estimator_name=None,
    ):
        self.train_loss = train_loss
        self.validation_loss = validation_loss
        self.validation_epochs = validation_epochs
        self.best_epoch = best_epoch
        self.step_name = step_name
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(
        cls, estimator, *, validation=None, name=None, ax=None, **kwargs
    ):
        """Draw the loss curves of a fitted estimator.

        Parameters
        ----------
        estimator : estimator or Pipeline
            Fitted network or ``GDLinearRegression(solver="gd")``, or a pipeline that
            ends in one. Also one whose training diverged.
        validation : bool or None, default=None
            Whether to draw the validation loss; None draws it where there is one.
        name : str or None, default=None
            Name in the legend; None takes the name of the class.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        **kwargs : dict
            Passed on to matplotlib's ``plot`` for both curves.

        Returns
        -------
        display : LossCurveDisplay
            The picture and what it is made of.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it has no curve, or ``validation=True`` and it watched no validation set.
        """
        estimator = fitted_last_step(estimator)
        train_loss, step_name = _losses_of(estimator)
        curve, scores = _validation_of(estimator)
        if validation and not curve:
            raise ValueError(
                f"This {type(estimator).__name__} watched no validation set. Fit a "
                "network with early_stopping=True or fit(X, y, X_val=..., y_val=...), "
                "or pass validation=None."
            )
        epochs = best = None
        shows_validation = validation is not False and len(curve) > 0
        if shows_validation:
            epochs = _validation_epochs(train_loss, len(curve))
            best = int(epochs[np.argmax(scores)])
        display = cls(
            train_loss=train_loss,
            validation_loss=curve if shows_validation else None,
            validation_epochs=epochs,
            best_epoch=best,
            step_name=step_name,
            estimator_name=name_of(estimator, name),
        )
        return display.plot(ax=ax, **kwargs)

    def plot(self, ax=None, *, name=None, **kwargs):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        name : str or None, default=None
            Name in the legend; None takes `estimator_name`.
        **kwargs : dict
            Passed on to matplotlib's ``plot`` for both curves.

        Returns
        -------
        display : LossCurveDisplay
            The display itself.
        """
        self.ax_ = require_axes(ax, "LossCurveDisplay")
        self.figure_ = self.ax_.figure
        self.validation_line_ = self.best_ = None
        name = self.estimator_name if name is None else name
        prefix = f"{name}: " if name else ""
        is_alone = name and self.validation_loss is None
        label = name if is_alone else f"{prefix}training"
        train = np.asarray(self.train_loss, dtype=float)
        # A line through one point is invisible.
        style = {
            "color": _next_colour(self.ax_),
            "marker": "o" if len(train) == 1 else None,
            **kwargs,
        }
        (self.line_,) = self.ax_.plot(
            np.arange(1, len(train) + 1),
            train,
            **{"label": wrapped(label), **style},
        )
        self.line_.set_gid(TRAINING_GID)
        if self.validation_loss is not None:
            self._plot_validation(prefix, style)
        self._set_axes()
        return self

    def _plot_validation(self, prefix, style):
        curve = np.asarray(self.validation_loss, dtype=float)
        epochs = self.validation_epochs
        epochs = np.arange(1, len(curve) + 1) if epochs is None else np.asarray(epochs)
        style = {"linestyle": "--", "label": wrapped(f"{prefix}validation"), **style}
        (self.validation_line_,) = self.ax_.plot(epochs, curve, **style)
        if self.best_epoch is None:
            return
        (self.best_,) = self.ax_.plot(
            [self.best_epoch],
            curve[epochs == self.best_epoch],
            marker="*",
            markersize=15,
            linestyle="none",
            color=self.validation_line_.get_color(),
            markeredgecolor="white",
            zorder=3,
            label=f"best epoch: {self.best_epoch}",
        )

    def _set_axes(self):
        curves = [np.asarray(line.get_ydata(), float) for line in self.ax_.get_lines()]
        heights = np.concatenate(curves)
        heights = heights[np.isfinite(heights)]
        if len(heights) and 0 < 100 * heights.min() < heights.max():
            self.ax_.set_yscale("log")
        self.ax_.set(xlabel=self.step_name, ylabel="loss")
        whole_numbers(self.ax_)
        self.ax_.legend()


# Marks the training curves on an axis, so that the next one takes the next colour.
TRAINING_GID = "sklearn_backprop: training loss"


def _next_colour(ax) -> str:
    """The colour behind those of the training curves that are there."""
    n_curves = sum(line.get_gid() == TRAINING_GID for line in ax.get_lines())
    return OKABE_ITO[n_curves % len(OKABE_ITO)]


def _losses_of(estimator) -> tuple[np.ndarray, str]:
    """Training losses (n,) of a fitted estimator, and what each belongs to."""
    record = record_of(estimator)
    if record is None:  # another package's perceptron has a loss_curve_, too
        curve, step_name = getattr(estimator, "loss_curve_", ()), "epoch"
    else:
        curve, step_name = record.loss, record.step_name
    if not len(curve) or (isinstance(record, DescentRecord) and record.solver != "gd"):
        raise ValueError(
            f"This {type(estimator).__name__} has no loss curve: it did not learn step "
            "by step. Fit a network, or GDLinearRegression with solver='gd'."
        )
    return np.asarray(curve, dtype=float), step_name


def _validation_of(estimator) -> tuple[Sequence[float], Sequence[float]]:
    """Validation losses and scores of a fitted estimator, empty if it has none."""
    record = record_of(estimator)
    if record is None or record.validation_scores is None:
        return (), ()
    return record.validation_loss or (), record.validation_scores


def _validation_epochs(train_loss, n_validated) -> np.ndarray:
    """Epochs (n_validated,) of the validation losses, counted from one.

    Without interruption they are all epochs, but for one that diverged: it has a
    training loss and no validation loss. Where warm starts came to watch a validation
    set later, the last epochs are meant.
    """
    n_epochs = len(train_loss)
    finished = n_epochs - (not np.isfinite(train_loss[-1]))
    first = max(0, finished - n_validated)
    return np.arange(first + 1, first + n_validated + 1)
