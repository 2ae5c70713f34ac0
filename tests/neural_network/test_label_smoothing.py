"""Targets on the way from labels to even odds."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from sklearn.datasets import load_iris, make_multilabel_classification
from sklearn.preprocessing import scale
from sklearn.utils.class_weight import compute_sample_weight

from sklearn_backprop.exchange import to_sklearn
from sklearn_backprop.inspection import backpropagate
from sklearn_backprop.neural_network import (
    BackpropMLPClassifier,
    PiecewiseLinearEmbedding,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

X, SPECIES = load_iris(return_X_y=True)
X = scale(X)
SEVERAL = make_multilabel_classification(150, n_classes=4, random_state=0)[1]
EPSILON = 0.3


def make(**settings):
    usual = {"label_smoothing": EPSILON, "max_iter": 3, "random_state": 0}
    return BackpropMLPClassifier((5,), **{**usual, **settings})


def smoothed(labels):
    """The right class in full for 1 - EPSILON, and that rest shared out."""
    one_hot = np.eye(labels.max() + 1)[labels]
    return (1 - EPSILON) * one_hot + EPSILON / one_hot.shape[1]


TASKS = {
    "exclusive": (SPECIES, smoothed(SPECIES)),
    "two classes": (SPECIES == 1, smoothed((SPECIES == 1) * 1)),
    "several labels": (SEVERAL, (1 - EPSILON) * SEVERAL + EPSILON / 2),
}


@pytest.mark.parametrize("task", TASKS)
def test_the_loss_is_that_of_smoothed_targets(task):
    """Cross-entropy and squared error by their formulas, at the start."""
    y, targets = TASKS[task]
    still = {"batch_size": 150, "learning_rate_init": 1e-300, "alpha": 0, "max_iter": 1}
    model = make(**still).fit(X, y)
    p = model.predict_proba(X)
    entropy = -targets * np.log(p)
    if task == "several labels":
        entropy -= (1 - targets) * np.log(1 - p)
    assert_allclose(model.loss_, entropy.sum(axis=1).mean(), rtol=1e-12)
    model = make(**still, loss="squared_error").fit(X, y)
    p = model.predict_proba(X)
    assert_allclose(model.loss_, ((p - targets) ** 2).mean() / 2, rtol=1e-12)
    assert_allclose(backpropagate(model, X, y).loss, model.loss_, rtol=1e-12)


def test_probabilities_come_to_the_smoothed_targets():
    """A network that can tell the rows apart is as sure as it was told to be."""
    model = make(
        solver="lbfgs", alpha=0, max_iter=2000, activation="tanh", tol=1e-8
    ).fit(np.eye(3), ["a", "b", "c"])
    expected = np.where(np.eye(3), 1 - EPSILON * 2 / 3, EPSILON / 3)
    assert_allclose(model.predict_proba(np.eye(3)), expected, atol=1e-5)
    assert_array_equal(model.predict(np.eye(3)), ["a", "b", "c"])


@pytest.mark.parametrize("task", TASKS)
def test_smoothing_hides_no_class(task):
    """Weights of classes, the split for early stopping, and trees see the labels."""
    y, _ = TASKS[task]
    balanced = make(class_weight="balanced").fit(X, y)
    if task != "several labels":
        weights = compute_sample_weight("balanced", y)
        assert_allclose(balanced.coefs_[0], make().fit(X, y, weights).coefs_[0])
    sharp = make(class_weight="balanced", label_smoothing=0.0).fit(X, y)
    assert not np.array_equal(sharp.coefs_[0], balanced.coefs_[0])
    trees = PiecewiseLinearEmbedding(4, 2, bins="tree")
    labels = csr_array(y * 1) if task == "several labels" else y
    edges = [
        make(numerical_embedding=trees, early_stopping=True, label_smoothing=epsilon)
        .fit(X, labels)
        ._training.network.architecture.inputs.edges
        for epsilon in (0.0, EPSILON)
    ]
    for plain, smooth in zip(*edges, strict=True):
        assert_array_equal(plain, smooth)


def test_smoothing_holds_for_blocks_and_can_be_changed():
    settings = {"shuffle": False, "tol": 0}
    blocks = make(**settings)
    for _ in range(3):
        blocks.partial_fit(X, SPECIES, classes=[0, 1, 2])
    whole = make(**settings).fit(X, SPECIES)
    assert_array_equal(blocks.coefs_[0], whole.coefs_[0])
    assert_allclose(blocks.loss_curve_, whole.loss_curve_)
    blocks.set_params(label_smoothing=0.0).partial_fit(X, SPECIES)
    whole = make(**settings, warm_start=True).fit(X, SPECIES)
    whole.set_params(label_smoothing=0.0, max_iter=1).fit(X, SPECIES)
    assert_array_equal(blocks.coefs_[0], whole.coefs_[0])


def test_what_smooths_too_much_or_elsewhere_is_refused():
    for epsilon in (1.0, -0.1):
        with pytest.raises(ValueError, match="'label_smoothing' parameter"):
            make(label_smoothing=epsilon).fit(X, SPECIES)
    with pytest.raises(ValueError, match=r"label_smoothing=0\.3 \(it learns labels as"):
        to_sklearn(make().fit(X, SPECIES))
