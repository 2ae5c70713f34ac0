"""A pass of backpropagation as a picture of the network."""

from ._canvas import name_of, require_axes, wrapped
from ._derivatives import backpropagate
from ._network_picture import NetworkPicture
from ._pipeline import last_step

__all__ = ["BackpropagationDisplay"]


class BackpropagationDisplay:
    """A pass forward and back as a picture of the network.

    Columns are layers, from the inputs on the left to the output on the right. A unit
    is a disc, coloured by its activation (mean over the rows) with a ring coloured by
    dJ/db. A line is a weight, coloured by dJ/dW; the wider, the larger. Where layers
    are few and narrow, the numbers stand beside them, in units of one power of ten that
    the colour bar names. A layer of more than 12 units is a strip of cells, from its
    first unit at the top to its last, and of a matrix with more than 150 weights the
    strongest gradients are drawn. Arcs are the skips of residual blocks. Below each
    layer stands its number of units, below each matrix the norm of its gradient.

    Parameters
    ----------
    passed : Backpropagation
        What :func:`backpropagate` returns.
    input_names, output_names : sequence of str or None, default=None
        Names of the features and of the outputs; they are written where they are few.
    estimator_name : str or None, default=None
        Title of the picture.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the picture.
    figure_ : matplotlib Figure
        Figure containing them.
    units_ : list of matplotlib Collection
        Units of each column, from the inputs to the output: discs, or cells of a strip.
    edges_ : list of matplotlib LineCollection
        Lines that lead to each layer, the weakest gradient first.
    colorbars_ : list of matplotlib Colorbar
        Of the activations, and of the gradients.

    See Also
    --------
    backpropagate : All the numbers.
    GradientFlowDisplay : Gradients of each layer over the whole training.

    References
    ----------
    Rumelhart, D. E., Hinton, G. E., & Williams, R. J. (1986). Learning representations
    by back-propagating errors. Nature, 323.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_backprop import BackpropMLPClassifier
    >>> from sklearn_backprop.inspection import BackpropagationDisplay
    >>> X, y = load_iris(return_X_y=True)
    >>> net = BackpropMLPClassifier((4,), learning_rate_init=0.05, tol=1e-3,
    ...                             random_state=0).fit(X, y)
    >>> display = BackpropagationDisplay.from_estimator(net, X, y)
    >>> [len(units.get_offsets()) for units in display.units_]
    [4, 4, 3]
    """

    def __init__(
        self, *, passed, input_names=None, output_names=None, estimator_name=None
    ):
        self.passed = passed
        self.input_names = input_names
        self.output_names = output_names
        self.estimator_name = estimator_name

    @classmethod
    def from_estimator(cls, estimator, X, y, sample_weight=None, *, name=None, ax=None):
        """Pass rows through a fitted estimator, and draw.

        Parameters
        ----------
        estimator : estimator or Pipeline
            As in :func:`backpropagate`.
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Their labels or targets.
        sample_weight : array-like of shape (n_samples,), default=None
            Weight of each row.
        name : str or None, default=None
            Title; None takes the name of the class.
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.

        Returns
        -------
        display : BackpropagationDisplay
            The picture and what it is made of.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        ValueError
            If it has no layers, or if rows and targets do not fit it.
        """
        passed = backpropagate(estimator, X, y, sample_weight)
        _refuse_recurrent_layers(passed)
        display = cls(
            passed=passed,
            input_names=_feature_names(estimator),
            output_names=_output_names(last_step(estimator), passed),
            estimator_name=name_of(last_step(estimator), name),
        )
        return display.plot(ax=ax)

    def plot(self, ax=None, *, name=None):
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on; None makes a new figure.
        name : str or None, default=None
            Title; None takes `estimator_name`.

        Returns
        -------
        display : BackpropagationDisplay
            The display itself.
        """
        self.ax_ = require_axes(ax, "BackpropagationDisplay")
        self.figure_ = self.ax_.figure
        picture = NetworkPicture(
            self.ax_, self.passed, self.input_names, self.output_names
        )
        self.edges_ = picture.draw_edges()
        self.units_ = picture.draw_units()
        picture.draw_skips()
        picture.write_captions()
        self.colorbars_ = picture.draw_colorbars()
        title = self.estimator_name if name is None else name
        if title:
            self.ax_.set_title(wrapped(title, 50))
        return self


def _refuse_recurrent_layers(passed) -> None:
    if any(layer.z is None for layer in passed.layers):
        raise ValueError(
            "BackpropagationDisplay draws units of perceptrons, not of recurrent "
            "layers, which have a state in every step. Use GradientFlowDisplay with "
            "quantity='time_gradient_norm'."
        )


def _feature_names(estimator):
    """Names of what the first layer reads, where there are."""
    if hasattr(estimator, "steps") and len(estimator) > 1:
        try:
            return estimator[:-1].get_feature_names_out()
        except (AttributeError, ValueError):
            return None
    return getattr(last_step(estimator), "feature_names_in_", None)


def _output_names(estimator, passed):
    """Classes, or of two classes the one whose probability is drawn."""
    classes = getattr(estimator, "classes_", None)
    if classes is None:
        return None
    return classes[1:] if passed.predictions.shape[1] == 1 else classes
