"""Derivatives of a fitted estimator, on rows that a user gives."""

import numpy as np
from sklearn.pipeline import Pipeline

from .._fitted import (
    fitted_network,
    is_linear,
    is_network,
    refuse_raw_tables,
    rows_in,
)
from .._threads import single_threaded_blas
from ._backpropagation import Backpropagation
from ._linear_pass import pass_through_linear
from ._network_pass import pass_through_network
from ._pipeline import fitted_last_step

__all__ = ["backpropagate", "input_gradients"]


def backpropagate(estimator, X, y, sample_weight=None) -> Backpropagation:
    """Pass rows forward and back once, and keep all that passed; nothing is trained.

    The rows are one mini-batch of training: batch normalization uses their own
    statistics. Dropout is off. J is the objective that training minimises, of these
    rows alone: the mean of their losses, weighted, and alpha / (2 W) times the sum of
    squared weights, with W the total weight of these rows.

    Parameters
    ----------
    estimator : estimator or Pipeline
        Fitted network (BackpropMLP..., BackpropRNN...) or GDLinearRegression (a
        network without hidden layers), or a pipeline that ends in one. Then `X` is
        transformed first, and what is shown begins behind the transformers.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        Their labels or targets.
    sample_weight : array-like of shape (n_samples,), default=None
        Weight of each row, not negative. "balanced" class weights are those of these
        rows.

    Returns
    -------
    passed : Backpropagation
        For each layer its inputs, z, a, dJ/dz, dJ/dW and dJ/db; the loss of each row;
        dJ/dX. Printed, it is a table of the layers, and each of its layers is printed
        with its numbers. Its method `check` compares it with central differences.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If it is another kind of estimator, or if rows and targets do not fit it.

    See Also
    --------
    input_gradients : Derivatives of predictions instead of J.
    BackpropagationDisplay : The same pass as a picture.

    References
    ----------
    Rumelhart, D. E., Hinton, G. E., & Williams, R. J. (1986). Learning representations
    by back-propagating errors. Nature, 323.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn_backprop import BackpropMLPClassifier
    >>> from sklearn_backprop.inspection import backpropagate
    >>> X, y = load_iris(return_X_y=True)
    >>> net = BackpropMLPClassifier((4,), activation="tanh", learning_rate_init=0.05,
    ...                             tol=1e-3, random_state=0).fit(X, y)
    >>> passed = backpropagate(net, X[:10], y[:10])
    >>> [layer.name for layer in passed.layers]
    ['hidden 1', 'output']
    >>> passed.layers[0].dJ_dW.shape
    (4, 4)
    >>> passed.check().worst < 1e-8
    True
    """
    estimator, X = _behind_transformers(estimator, X)
    if is_network(estimator):
        return pass_through_network(estimator, X, y, sample_weight)
    if is_linear(estimator):
        return pass_through_linear(estimator, X, y, sample_weight)
    raise _no_layers(estimator, "backpropagate")


def input_gradients(estimator, X) -> np.ndarray:
    """Differentiate predictions by the inputs, row by row: how sensitive they are.

    In the mode of prediction: batch normalization uses its running statistics, dropout
    is off, and rows do not depend on each other.

    Parameters
    ----------
    estimator : estimator or Pipeline
        As in :func:`backpropagate`. Behind transformers, derivatives are in the columns
        that the last step reads.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows.

    Returns
    -------
    gradients : ndarray of shape (n_samples, n_features) or \
            (n_samples, n_features, n_outputs)
        Change of a regressor's prediction, or of a classifier's probability, per unit
        of each input. With one output, or two classes (then it is the probability of
        ``classes_[1]``), there is no last axis.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If it is another kind of estimator, or if a derivative is too large for the
        precision of its weights.

    See Also
    --------
    backpropagate : Derivatives of J, in the inputs too.

    References
    ----------
    Simonyan, K., Vedaldi, A., & Zisserman, A. (2014). Deep inside convolutional
    networks: visualising image classification models and saliency maps. ICLR workshop.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_backprop import GDLinearRegression
    >>> from sklearn_backprop.inspection import input_gradients
    >>> X = np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]])
    >>> model = GDLinearRegression(solver="normal").fit(X, X @ [3.0, -1.0])
    >>> input_gradients(model, X).round(6)
    array([[ 3., -1.],
           [ 3., -1.],
           [ 3., -1.]])
    """
    estimator, X = _behind_transformers(estimator, X)
    if is_network(estimator):
        gradients = _network_gradients(estimator, X)
    elif is_linear(estimator):
        coef = np.atleast_2d(estimator.coef_)
        gradients = np.repeat(coef[None], rows_in(estimator, X).shape[0], axis=0)
    else:
        raise _no_layers(estimator, "input_gradients")
    if gradients.shape[1] == 1:
        return gradients[:, 0]
    return np.ascontiguousarray(np.moveaxis(gradients, 1, 2))


def _network_gradients(estimator, X) -> np.ndarray:
    """Derivatives (n, n_outputs, p) of a network's predictions."""
    refuse_raw_tables(estimator, "input_gradients")
    network = fitted_network(estimator)
    X = rows_in(estimator, X)
    with single_threaded_blas:
        found = network.engine.prediction_gradients(
            network.theta, network.running, X, constants=network.constants
        )
    if np.isfinite(found).all():
        return found
    raise ValueError(
        f"Some derivatives of predictions are not finite in {found.dtype}. The largest "
        f"magnitude in X is {abs(X).max():.3g}; scale X as it was in training."
    )


def _behind_transformers(estimator, X):
    """The last step, fitted, and what it reads."""
    last = fitted_last_step(estimator)
    if isinstance(estimator, Pipeline) and len(estimator) > 1:
        X = estimator[:-1].transform(X)
    return last, X


def _no_layers(estimator, caller: str) -> ValueError:
    return ValueError(
        f"{caller} looks into BackpropMLPClassifier, BackpropMLPRegressor and "
        f"GDLinearRegression, which know their derivatives; got a "
        f"{type(estimator).__name__}."
    )
