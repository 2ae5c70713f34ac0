"""A pass of backpropagation against closed forms, the reference and differences."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from problems import LAYER_KINDS, name_of
from reference_network import ACTIVATIONS, ReferenceNetwork
from scipy import sparse
from scipy.special import expit
from sklearn.exceptions import NotFittedError
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    GDLinearRegression,
)
from sklearn_backprop.inspection import backpropagate, input_gradients
from sklearn_backprop.neural_network import (
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
)

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
X = RNG.standard_normal((12, 4))
Y = RNG.standard_normal((12, 2))
LABELS = np.arange(12) % 3
WEIGHT = np.r_[0.0, RNG.uniform(0.3, 3.0, 11)]


def fit(y, hidden=(5, 4, 4), *, X=X, **settings):
    """Fit for two epochs, so that no array is where it started."""
    is_labels = np.asarray(y).dtype.kind in "iU"
    cls = BackpropMLPClassifier if is_labels else BackpropMLPRegressor
    settings = {"activation": "tanh", "alpha": 0.3, "max_iter": 2} | settings
    return cls(hidden, learning_rate_init=0.05, random_state=0, **settings).fit(X, y)


# ---- A chain of neurons, by hand -----------------------------------------------------


@pytest.fixture
def chain():
    """Read one number x; a = tanh(2 x - 1), prediction 3 a + 0.5."""
    net = fit(np.array([0.0, 1.0]), (1,), X=np.array([[0.0], [1.0]]), alpha=0.4)
    net.coefs_ = [np.array([[2.0]]), np.array([[3.0]])]
    net.intercepts_ = [np.array([-1.0]), np.array([0.5])]
    return net


def test_a_chain_of_neurons_by_hand(chain):
    x, y = np.array([[0.0], [1.0]]), np.array([1.0, -2.0])
    passed = backpropagate(chain, x, y)
    z = 2 * x - 1
    a = np.tanh(z)
    f = 3 * a + 0.5
    delta_f = (f - y[:, None]) / 2  # the mean of two rows
    delta_z = delta_f * 3 * (1 - a**2)
    hidden, output = passed.layers
    assert_allclose(hidden.inputs, x)
    assert_allclose(hidden.z, z)
    assert_allclose(hidden.a, a)
    assert_allclose(output.inputs, a)
    assert_allclose(output.z, f)
    assert_allclose(output.dJ_dz, delta_f)
    assert_allclose(hidden.dJ_dz, delta_z)
    assert_allclose(output.dJ_dW, a.T @ delta_f + 0.4 / 2 * 3)
    assert_allclose(hidden.dJ_dW, x.T @ delta_z + 0.4 / 2 * 2)
    assert_allclose(output.dJ_db, delta_f.sum(axis=0))
    assert_allclose(hidden.dJ_db, delta_z.sum(axis=0))
    assert_allclose(passed.dJ_dX, 2 * delta_z)
    assert_allclose(passed.row_losses, (f[:, 0] - y) ** 2 / 2)
    assert_allclose(passed.row_weights, [0.5, 0.5])
    assert_allclose(passed.loss, passed.row_losses.mean())
    assert_allclose(passed.penalty, 0.4 / (2 * 2) * (2**2 + 3**2))
    assert_allclose(passed.J, passed.loss + passed.penalty)
    assert_allclose(passed.predictions, f)
    assert_array_equal(passed.targets, y[:, None])
    assert_allclose(input_gradients(chain, x), 3 * (1 - a**2) * 2)


def test_a_student_can_read_it(chain):
    passed = backpropagate(chain, [[0.0]], [1.0])
    assert repr(passed) == (
        "Backpropagation of 1 row through 2 layers\n"
        "J = 6.47751 = mean loss 3.87751 + penalty 2.6\n"
        "\n"
        "          units  mean |a|  |dJ/dz|  |dJ/dW|  |dJ/db|\n"
        "hidden 1      1     0.762     3.51      0.8     3.51\n"
        "output        1      1.78     2.78     3.32     2.78\n"
        "\n"
        "|dJ/dX| = 7.02  (|.| of a gradient is the root of the sum of its squares.)"
    )
    assert repr(passed.layers[0]) == (
        "hidden 1: 1 -> 1 units, tanh\n"
        "inputs =\n[[0.]]\n"
        "z =\n[[-1.]]\n"
        "a =\n[[-0.7616]]\n"
        "dJ/dz =\n[[-3.5086]]\n"
        "W =\n[[2.]]\ndJ/dW =\n[[0.8]]\n"
        "b =\n[-1.]\ndJ/db =\n[-3.5086]"
    )
    assert str(passed.check()).startswith("largest relative error ")


# ---- Every architecture --------------------------------------------------------------


def reference_of(net, loss, link, **shape):
    parameter = {"huber": 1.35, "quantile": 0.5}.get(loss)
    return ReferenceNetwork(
        4, net.hidden_layer_sizes, net.n_outputs_, loss=loss, link=link, alpha=0.3,
        activation=net.activation, loss_parameter=parameter, **shape,
    )  # fmt: skip


def named(passed, arrays):
    """Arrays by the names of the reference."""
    found, n_projections = {}, 0
    for h, layer in enumerate(passed.layers):
        suffix = "_out" if layer.name == "output" else str(h)
        for role, array in getattr(layer, arrays).items():
            if role == "P":
                found[f"P{n_projections}"] = array
            else:
                found[role + suffix] = array
        n_projections += layer.skip_from is not None
    return found


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize("kind", LAYER_KINDS, ids=name_of)
def test_each_number_is_that_of_the_reference(kind, size):
    shape = {**kind, "residual_block_size": size}
    net = fit(Y, **shape, dropout=0.3)
    reference = reference_of(net, "squared_error", "identity", **shape)
    passed = backpropagate(net, X, Y, WEIGHT)
    theta = reference.pack(named(passed, "parameters"))
    f, caches = reference.forward(theta, X, WEIGHT)
    tolerance = {"rtol": 1e-9, "atol": 1e-12}
    assert_allclose(passed.predictions, f, **tolerance)
    assert_allclose(passed.J, reference.objective(theta, X, Y, WEIGHT), rtol=1e-12)
    expected = reference.gradient(theta, X, Y, WEIGHT)
    assert_allclose(reference.pack(named(passed, "gradients")), expected, **tolerance)
    for h, layer in enumerate(passed.layers[:-1]):
        assert_allclose(layer.inputs, caches["a_in", h], **tolerance)
        assert_allclose(layer.a, caches[h]["a"], **tolerance)
    for layer in passed.layers:
        W, b = layer.W, layer.b
        assert_allclose(layer.z, layer.inputs @ W + b, **tolerance)
        penalty = 0.3 / WEIGHT.sum() * W
        assert_allclose(
            layer.dJ_dW, layer.inputs.T @ layer.dJ_dz + penalty, **tolerance
        )
        assert_allclose(layer.dJ_db, layer.dJ_dz.sum(axis=0), **tolerance)


@pytest.mark.parametrize("kind", LAYER_KINDS, ids=name_of)
def test_differences_agree(kind):
    net = fit(Y, **kind)
    passed = backpropagate(net, X, Y, WEIGHT)
    check = passed.check(n_elements=None)
    assert check.worst < 1e-7
    assert check.worst == check.errors[check.where] == max(check.errors.values())
    sizes = [g.size for layer in passed.layers for g in layer.gradients.values()]
    assert check.n_checked == sum(sizes) + X.size
    assert passed.check(n_elements=2).n_checked == 2 * (len(sizes) + 1)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_differences_agree_for_each_activation(activation):
    net = fit(LABELS, (5, 3), activation=activation)
    assert backpropagate(net, X, LABELS).check(n_elements=None).worst < 1e-7


@pytest.mark.parametrize(
    ("y", "loss"),
    [
        (LABELS, "squared_error"),
        (LABELS % 2, "log_loss"),
        (LABELS % 2, "squared_error"),
        (np.eye(3, dtype=int)[LABELS], "log_loss"),
        (np.eye(3, dtype=int)[LABELS], "squared_error"),
        (Y, "absolute_error"),
        (Y, "huber"),
        (Y[:, 0], "quantile"),
        (Y**2, "poisson"),
    ],
)
def test_differences_agree_for_each_loss(y, loss):
    net = fit(y, (5,), loss=loss)
    passed = backpropagate(net, X, y, WEIGHT)
    assert passed.check(n_elements=None).worst < 1e-7
    assert_allclose(passed.loss, WEIGHT @ passed.row_losses / WEIGHT.sum())


def test_the_check_finds_a_gradient_that_is_wrong():
    passed = backpropagate(fit(Y), X, Y)
    passed.layers[1].dJ_dW[2, 1] *= 1.01
    check = passed.check(n_elements=None)
    assert check.where == "hidden 2 W"
    size = np.abs(passed.layers[1].dJ_dW).max()
    assert_allclose(check.worst * size, abs(passed.layers[1].dJ_dW[2, 1]) / 101, 1e-4)
    passed.dJ_dX[0, 0] += 1.0
    assert passed.check(n_elements=None).where == "X"


def test_float32_is_checked_in_float64():
    rows = X.astype(np.float32)
    passed = backpropagate(fit(LABELS, X=rows), rows, LABELS)
    assert passed.layers[0].dJ_dW.dtype == np.float32
    assert 1e-9 < passed.check(n_elements=None).worst < 1e-4


def test_a_kink_between_two_steps_is_no_error():
    """J of this row has a kink 1e-4 away from where it is."""
    net = fit(np.array([0.0, 1.0]), (1,), X=np.eye(2), activation="relu", alpha=0.0)
    net.coefs_ = [np.array([[1.0], [0.0]]), np.array([[1.0]])]
    net.intercepts_ = [np.array([0.0]), np.array([0.0])]
    check = backpropagate(net, [[1e-4, 1.0]], [3.0]).check()
    assert check.worst < 1e-6
    assert check.n_kinks == 0


def test_a_kink_where_rows_stand_has_no_wrong_side():
    net = fit(np.array([0.0, 1.0]), (1,), X=np.eye(2), activation="relu", alpha=0.0)
    net.coefs_ = [np.array([[1.0], [0.0]]), np.array([[1.0]])]
    net.intercepts_ = [np.array([0.0]), np.array([0.0])]
    passed = backpropagate(net, [[0.0, 1.0]], [3.0])  # z = 0
    check = passed.check()
    assert check.worst < 1e-8
    assert check.n_kinks == 3  # the weight of a 1, the bias, x_1
    assert "3 of them at kinks" in str(check)
    passed.layers[0].dJ_db[0] = -4.0  # slopes are 0 and -3
    assert passed.check().where == "hidden 1 b"


# ---- Rows ----------------------------------------------------------------------------


def test_probabilities_minus_targets():
    net = fit(LABELS)
    passed = backpropagate(net, X, LABELS)
    assert_allclose(passed.predictions, net.predict_proba(X), rtol=1e-12)
    assert_array_equal(passed.targets, np.eye(3)[LABELS])
    delta = (passed.predictions - passed.targets) / 12
    assert_allclose(passed.layers[-1].dJ_dz, delta, atol=1e-15)
    p = passed.predictions[np.arange(12), LABELS]
    assert_allclose(passed.row_losses, -np.log(p), rtol=1e-12)
    assert [layer.activation for layer in passed.layers] == ["tanh"] * 3 + ["softmax"]


def test_one_row_of_one_class():
    net = fit(np.array(["no", "yes"])[LABELS % 2])
    passed = backpropagate(net, X[:1], ["yes"])
    f = passed.layers[-1].z
    assert_allclose(passed.layers[-1].dJ_dz, expit(f) - 1)
    assert passed.check().worst < 1e-7


def test_class_weights_count():
    net = fit(LABELS, class_weight={0: 5.0, 2: 0.5})
    weight = np.array([5.0, 1.0, 0.5])[LABELS]
    passed = backpropagate(net, X, LABELS, WEIGHT)
    expected = weight * WEIGHT
    assert_allclose(passed.row_weights, expected / expected.sum())
    balanced = backpropagate(fit(LABELS, class_weight="balanced"), X[:4], [0, 0, 0, 1])
    assert_allclose(balanced.row_weights, np.array([1, 1, 1, 3]) / 6)


def test_rows_of_weight_two_count_twice():
    net = fit(Y, normalization="batch")
    twice = backpropagate(net, np.vstack([X, X[:3]]), np.vstack([Y, Y[:3]]))
    weighted = backpropagate(net, X, Y, np.r_[2.0, 2.0, 2.0, np.ones(9)])
    assert_allclose(weighted.J, twice.J)
    for one, other in zip(weighted.layers, twice.layers, strict=True):
        assert_allclose(one.dJ_dW, other.dJ_dW, rtol=1e-9, atol=1e-12)


def test_the_unit_of_weights_does_not_matter_but_to_the_penalty():
    net = fit(Y)
    small, large = (backpropagate(net, X, Y, w) for w in (WEIGHT, 1000 * WEIGHT))
    assert_allclose(large.loss, small.loss)
    assert_allclose(large.penalty, small.penalty / 1000)
    assert large.check().worst < 1e-7


@pytest.mark.parametrize("residual", [None, "add", "concat"])
def test_sparse_rows_give_the_same(residual):
    table = np.where(np.abs(X) > 0.5, X, 0.0)
    net = fit(Y, residual=residual)
    dense = backpropagate(net, table, Y)
    passed = backpropagate(net, sparse.csr_matrix(table), Y)
    assert_allclose(passed.dJ_dX, dense.dJ_dX, rtol=1e-9, atol=1e-14)
    for one, other in zip(passed.layers, dense.layers, strict=True):
        assert_allclose(one.dJ_dW, other.dJ_dW, rtol=1e-9, atol=1e-14)
    check = passed.check(n_elements=None)
    assert check.worst < 1e-7
    assert check.n_checked < dense.check(n_elements=None).n_checked
    assert "stored" in repr(passed.layers[0])


def test_nothing_is_trained():
    net = fit(Y, normalization="batch", dropout=0.5)
    before = pickle.dumps(net)
    backpropagate(net, X, Y).check(n_elements=3)
    input_gradients(net, X)
    assert pickle.dumps(net) == before


def test_a_pass_does_not_change_with_the_network():
    net = fit(Y)
    passed = backpropagate(net, X, Y)
    before = passed.layers[0].W.copy()
    net.partial_fit(X, Y)
    assert_array_equal(passed.layers[0].W, before)
    assert passed.check().worst < 1e-7


def test_a_step_of_descent_follows_the_gradient():
    """What is shown is what training does: all rows, no momentum."""
    net = fit(Y, solver="sgd", momentum=0.0, batch_size=12)
    passed = backpropagate(net, X, Y)
    net.partial_fit(X, Y)
    for layer, W in zip(passed.layers, net.coefs_, strict=True):
        assert_allclose(W, layer.W - 0.05 * layer.dJ_dW, rtol=1e-9, atol=1e-12)


def test_pipelines_begin_behind_their_transformers():
    pipeline = make_pipeline(StandardScaler(), BackpropMLPRegressor((3,), max_iter=2))
    with pytest.raises(NotFittedError):
        backpropagate(pipeline, X, Y)
    pipeline.fit(X, Y)
    scaled = pipeline[0].transform(X)
    passed = backpropagate(pipeline, X, Y)
    assert_array_equal(passed.layers[0].inputs, scaled)
    expected = input_gradients(pipeline[-1], scaled)
    assert_array_equal(input_gradients(pipeline, X), expected)


# ---- Linear regression ---------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("y", [Y, Y[:, 0]], ids=["two", "one"])
def test_linear_regression_is_a_layer(y, fit_intercept):
    penalty = {"alpha": 0.3, "l1_ratio": 0.4, "fit_intercept": fit_intercept}
    model = GDLinearRegression(**penalty, max_iter=3, tol=0.0).fit(X, y, WEIGHT)
    passed = backpropagate(model, X, y, WEIGHT)
    assert_allclose(passed.J, model.loss_, rtol=1e-12)
    assert_allclose(passed.predictions.reshape(y.shape), model.predict(X))
    assert passed.check(n_elements=None).worst < 1e-8
    assert ("b" in passed.layers[0].gradients) == fit_intercept
    assert repr(passed).count("output") == 1


def test_gradients_vanish_at_the_minimum():
    model = GDLinearRegression(solver="normal", alpha=0.2).fit(X, Y, WEIGHT)
    passed = backpropagate(model, X, Y, WEIGHT)
    (layer,) = passed.layers
    assert np.abs(layer.dJ_dW).max() < 1e-14
    assert np.abs(layer.dJ_db).max() < 1e-14


# ---- Sensitivity ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("y", "predict"),
    [
        (Y, "predict"),
        (Y[:, 0], "predict"),
        (LABELS, "predict_proba"),
        (np.eye(3, dtype=int)[LABELS], "predict_proba"),
        (np.array(["a", "b"])[LABELS % 2], "predict_proba"),
    ],
)
def test_sensitivity_is_the_slope_of_predictions(y, predict):
    net = fit(y, normalization="batch", residual="concat", dropout=0.2)
    net.coefs_ = [1.5 * W for W in net.coefs_]  # put in by hand
    found = input_gradients(net, X)
    n_last = {"predict": np.ndim(y) == 2, "predict_proba": net.n_outputs_ > 1}
    assert found.shape == (12, 4, *[net.n_outputs_] * n_last[predict])

    def predictions(at):
        p = getattr(net, predict)(at)
        return p[:, 1] if p.shape == (12, 2) and predict == "predict_proba" else p

    for j in range(4):
        h = np.zeros(4)
        h[j] = 1e-5
        slope = (predictions(X + h) - predictions(X - h)) / 2e-5
        assert_allclose(found[:, j], slope, rtol=1e-6, atol=1e-9)
    assert_allclose(input_gradients(net, sparse.csr_array(X)), found, atol=1e-14)


def test_sensitivity_of_a_linear_model_is_its_coefficients():
    model = GDLinearRegression(solver="normal").fit(X, Y)
    found = input_gradients(model, X[:3])
    assert_array_equal(found, np.broadcast_to(model.coef_.T, (3, 4, 2)))
    one = GDLinearRegression(solver="normal").fit(X, Y[:, 0])
    assert_array_equal(input_gradients(one, X[:3]), np.tile(one.coef_, (3, 1)))


# ---- What cannot be shown ------------------------------------------------------------


def test_wrong_arguments_are_named():
    net, model = fit(LABELS), GDLinearRegression().fit(X, Y)
    with pytest.raises(NotFittedError):
        backpropagate(BackpropMLPRegressor(), X, Y)
    with pytest.raises(NotFittedError):
        input_gradients(GDLinearRegression(), X)
    with pytest.raises(ValueError, match="4 features"):
        backpropagate(net, X[:, :3], LABELS)
    with pytest.raises(ValueError, match="classes not in"):
        backpropagate(net, X, LABELS + 1)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        backpropagate(net, X, LABELS[1:])
    with pytest.raises(ValueError, match="y has 1 output"):
        backpropagate(fit(Y), X, Y[:, 0])
    with pytest.raises(ValueError, match=r"y has 1 output\(s\), but GDLinear"):
        backpropagate(model, X, Y[:, 0])
    for estimator in (net, model):
        y = LABELS if estimator is net else Y
        with pytest.raises(ValueError, match=r"[Nn]egative"):
            backpropagate(estimator, X, y, -WEIGHT)
        with pytest.raises(ValueError, match="at least one"):
            backpropagate(estimator, X, y, 0 * WEIGHT)
    other = MLPClassifier((2,), max_iter=2).fit(X, LABELS)
    for look in (
        lambda: backpropagate(other, X, LABELS),
        lambda: input_gradients(other, X),
    ):
        with pytest.raises(ValueError, match="got a MLPClassifier"):
            look()


def test_slopes_that_overflow_are_no_numbers():
    net = fit(Y, (2,))
    net.coefs_ = [np.full((4, 2), 1e200), np.full((2, 2), 1e200)]
    with pytest.raises(ValueError, match="not finite in float64"):
        input_gradients(net, 1e-205 * X)


# ------------------------------------------------------- embeddings and members
EMBEDDINGS = {
    "none": None,
    "piecewise_linear": PiecewiseLinearEmbedding(n_bins=4, size=3),
    "periodic": PeriodicEmbedding(n_frequencies=3, frequency_scale=1.0, size=2),
}
K = 3


def fit_members(y=Y, **settings):
    Estimator = BackpropMLPRegressor if y is Y else BackpropMLPClassifier
    usual = {"activation": "tanh", "max_iter": 3, "random_state": 0, "alpha": 0.7}
    return Estimator((5, 4), **{**usual, **settings}).fit(X, y)


@pytest.mark.parametrize("member_weights", ["alone", "mini", "adapters"])
@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_embeddings_and_members_agree_with_differences(embedding, member_weights):
    settings = {"numerical_embedding": EMBEDDINGS[embedding]}
    if member_weights != "alone":
        settings |= {"n_members": K, "member_weights": member_weights}
    if embedding != "none":
        settings["embedded_features"] = [3, 0]
    for y in (Y, LABELS):
        net = fit_members(y, **settings)
        passed = backpropagate(net, X, y, WEIGHT)
        names = [layer.name for layer in passed.layers]
        assert names[-3:] == ["hidden 1", "hidden 2", "output"]
        assert names[:-3] == ["embedding"] * (embedding != "none")
        check = passed.check(n_elements=12)
        assert check.worst < 1e-6
        assert set(check.errors) > {f"{name} W" for name in names[-3:]}
        predicted = net.predict(X) if y is Y else net.predict_proba(X)
        assert_allclose(passed.predictions, predicted, rtol=1e-12)


def test_members_have_rows_of_their_own_in_a_pass():
    """Each layer by its formula, and losses that are means over members."""
    net = fit_members(n_members=K)
    hidden, second, output = backpropagate(net, X, Y).layers
    r = hidden.parameters["r"]
    z = (X[:, None] * r) @ hidden.W + hidden.b
    assert_allclose(hidden.z.reshape(z.shape), z, rtol=1e-12, atol=1e-14)
    a = np.tanh(np.tanh(z) @ second.W + second.b)
    assert_allclose(second.a.reshape(a.shape), a, rtol=1e-12, atol=1e-14)
    f = np.einsum("nkh,kho->nko", a, output.W) + output.b
    assert_allclose(output.z.reshape(f.shape), f, rtol=1e-12, atol=1e-14)
    assert_allclose(output.a, f.mean(axis=1), rtol=1e-12, atol=1e-14)
    losses = ((f - Y[:, None]) ** 2).mean(axis=(1, 2)) / 2
    assert_allclose(backpropagate(net, X, Y).row_losses, losses, rtol=1e-12)
    delta = output.dJ_dz.reshape(f.shape)
    assert_allclose(delta, (f - Y[:, None]) / f.size, rtol=1e-12, atol=1e-16)
    assert_allclose(output.dJ_db, delta.sum(axis=0), rtol=1e-12, atol=1e-15)


def test_members_that_are_networks_apart_are_refused():
    net = fit_members(n_members=K, member_weights="independent")
    with pytest.raises(ValueError, match="member_weights='independent' are 3 side by"):
        backpropagate(net, X, Y)
