"""Embeddings of numbers and members of ensembles, by hyper-parameters."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference_network import ACTIVATIONS
from reference_tables import (
    Activation,
    Beside,
    Dense,
    MemberAffine,
    MemberScale,
    Periodic,
    PiecewiseLinear,
    Select,
    TableNetwork,
)
from scipy import sparse
from scipy.special import expit
from sklearn.datasets import load_diabetes
from sklearn.metrics import r2_score
from sklearn.model_selection import GridSearchCV
from sklearn.preprocessing import scale
from threadpoolctl import threadpool_limits

from sklearn_backprop.neural_network import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    PeriodicEmbedding,
    PiecewiseLinearEmbedding,
)

pytestmark = pytest.mark.filterwarnings("ignore:Stochastic Optimizer:UserWarning")

X, Y = load_diabetes(return_X_y=True)
X, Y = scale(X), scale(Y)
HIGH = Y > 0
K = 3
EMBEDDINGS = {
    "none": None,
    "piecewise_linear": PiecewiseLinearEmbedding(n_bins=7, size=3),
    "tree": PiecewiseLinearEmbedding(n_bins=7, size=3, bins="tree"),
    "periodic": PeriodicEmbedding(n_frequencies=4, size=3),
    "periodic_apart": PeriodicEmbedding(n_frequencies=4, size=3, shared=False),
}
MEMBERS = {
    "alone": {},
    "mini": {"n_members": K},
    "adapters": {"n_members": K, "member_weights": "adapters"},
    "independent": {"n_members": K, "member_weights": "independent"},
}


def make(kind=BackpropMLPRegressor, **settings):
    usual = {"activation": "tanh", "max_iter": 3, "random_state": 0}
    return kind((6, 5), **{**usual, **settings})


def arrays_of(model):
    """All arrays of theta by layer and role."""
    network = model._training.network
    return {
        (row.layer, row.role): row.view(network.theta).astype(float)
        for row in network.architecture.parameters
    }


def reference_of(model, arrays, member=None):
    """Layers of the reference and their parameters, written from the formulas."""
    if member is not None:
        arrays = {place: array[member] for place, array in arrays.items()}
    layers, named = [], []

    def add(layer, **own):
        layers.append(layer)
        named.append(own)

    inputs = model._training.network.architecture.inputs
    widths = [1] * X.shape[1]
    if inputs.embedded:
        own = {role: a for (layer, role), a in arrays.items() if layer < 0}
        missing = [inputs.embedded.index(j) for j in inputs.missing]
        if "V" in own:
            part = PiecewiseLinear(inputs.embedded, inputs.edges, missing)
        else:
            part = Periodic(inputs.embedded, missing)
            own["W"], own["b"] = own.pop("E"), own.pop("c")
        size = inputs.embedding["size"]
        widths = [size] * len(inputs.embedded) + [1] * len(inputs.as_they_are)
        parts = [part]
        if inputs.as_they_are:
            parts.append(Select(inputs.as_they_are))
        add(Beside(parts), **{f"0.{role}": a for role, a in own.items()})
    for h in range(2):
        if (h, "r") in arrays:
            r = arrays[h, "r"]
            add(MemberScale(widths if h == 0 else [1] * r.shape[1]), r=r)
        if (h, "s") in arrays:
            W = arrays[h, "W"]
            add(Dense(), W=W, b=np.zeros(W.shape[1]))
            add(MemberAffine(), s=arrays[h, "s"], b=arrays[h, "b"])
        else:
            add(Dense(), W=arrays[h, "W"], b=arrays[h, "b"])
        add(Activation(*ACTIVATIONS[model.activation]))
    add(Dense(), W=arrays[2, "W"], b=arrays[2, "b"])
    return TableNetwork(layers, None), named


def raw_outputs(model, rows):
    """Raw outputs of all members, (n, k, outputs), by the reference."""
    arrays = arrays_of(model)
    if model.n_members > 1 and model.member_weights == "independent":
        members = range(model.n_members)
        networks = [reference_of(model, arrays, member) for member in members]
        outputs = [net.forward(named, rows)[1] for net, named in networks]
        return np.stack(outputs, axis=1)
    network, named = reference_of(model, arrays)
    outputs = network.forward(named, rows)[1]
    return outputs if outputs.ndim == 3 else outputs[:, None]


@pytest.mark.parametrize("members", MEMBERS)
@pytest.mark.parametrize("embedding", EMBEDDINGS)
def test_predictions_are_the_references(embedding, members):
    """Numbers from some columns, and probabilities from all, with values missing."""
    settings = {"numerical_embedding": EMBEDDINGS[embedding], **MEMBERS[members]}
    model = make(embedded_features=[5, 1, 3], **settings).fit(X, Y)
    expected = raw_outputs(model, X).mean(axis=1).ravel()
    assert_allclose(model.predict(X), expected, rtol=1e-12, atol=1e-14)
    assert model.n_outputs_ == 1
    gappy = X.copy()
    if embedding != "none":
        gappy[::3, 2] = gappy[1::4, 0] = np.nan
    labels = make(BackpropMLPClassifier, **settings).fit(gappy, HIGH)
    if embedding != "none":
        gappy[::5, 4] = np.nan  # lacked nothing in fit
    probability = expit(raw_outputs(labels, gappy)).mean(axis=1).ravel()
    found = labels.predict_proba(gappy)
    assert_allclose(found[:, 1], probability, rtol=1e-12)
    assert_allclose(found.sum(axis=1), 1, rtol=1e-15)
    assert_array_equal(labels.predict(gappy), probability > 0.5)


@pytest.mark.parametrize("members", MEMBERS)
@pytest.mark.parametrize("embedding", ["piecewise_linear", "periodic"])
def test_the_objective_and_its_gradient(embedding, members):
    """The mean of the members' losses and penalties; slopes by central differences."""
    settings = {"numerical_embedding": EMBEDDINGS[embedding], **MEMBERS[members]}
    model = make(embedded_features=[5, 1, 3], **settings).fit(X, Y)
    network = model._training.network
    alpha = 50.0

    def value(theta):
        return network.engine.value_and_gradient(
            theta, X, Y[:, None], alpha=alpha, constants=network.constants
        )

    losses = (raw_outputs(model, X)[..., 0] - Y[:, None]) ** 2 / 2
    penalties = [
        (row.view(network.theta) ** 2).sum() / row.n_copies
        for row in network.architecture.parameters
        if row.role in ("W", "V", "E")
    ]
    expected = losses.mean() + alpha / (2 * len(Y)) * sum(penalties)
    objective, gradient = value(network.theta)
    assert_allclose(objective, expected, rtol=1e-12)
    for seed in range(3):
        direction = np.random.default_rng(seed).normal(size=gradient.size)
        step = 1e-5 * direction / np.linalg.norm(direction)
        ends = value(network.theta + step)[0] - value(network.theta - step)[0]
        assert_allclose(ends, 2 * gradient @ step, rtol=1e-4, atol=1e-11)


def test_independent_members_are_networks_trained_apart():
    """Each from the start of a member; its gradients are k times a member's."""
    settings = {"shuffle": False, "alpha": 30.0, "max_iter": 4, "batch_size": 50}
    settings |= {"learning_rate_init": 0.01, "tol": 0}
    together = make(**MEMBERS["independent"], **settings, epsilon=1e-8 / K)
    start = make(**MEMBERS["independent"], **{**settings, "max_iter": 1})
    start.set_params(learning_rate_init=1e-300).fit(X, Y)
    together.fit(X, Y)
    alone = []
    for member in range(K):
        model = make(**{**settings, "max_iter": 1}, warm_start=True)
        model.set_params(learning_rate_init=1e-300).fit(X, Y)
        model.coefs_ = [W[member] for W in start.coefs_]
        model.intercepts_ = [b[member] for b in start.intercepts_]
        model._training.optimizer = None
        model.set_params(**settings).fit(X, Y)
        alone.append(model)
    for level, W in enumerate(together.coefs_):
        expected = [model.coefs_[level] for model in alone]
        assert_allclose(W, expected, rtol=1e-9, atol=1e-12)
    predictions = [model.predict(X) for model in alone]
    assert_allclose(together.predict(X), np.mean(predictions, axis=0), rtol=1e-9)
    curves = [model.loss_curve_[1:] for model in alone]
    assert_allclose(together.loss_curve_, np.mean(curves, axis=0), rtol=1e-10)


def test_one_member_is_the_plain_network():
    plain = make().fit(X, Y)
    for weights in ("mini", "adapters", "independent"):
        one = make(n_members=1, member_weights=weights, member_batches="own")
        assert_array_equal(one.fit(X, Y).predict(X), plain.predict(X))


@pytest.mark.parametrize("members", ["mini", "adapters"])
def test_members_that_do_not_differ_are_the_plain_network(members):
    """With factors of one and equal output layers, trained or not."""
    plain = make().fit(X, Y)
    many = make(**MEMBERS[members]).fit(X, Y)
    network = many._training.network
    for row in network.architecture.parameters:
        if row.role in "rs":
            row.view(network.theta)[...] = 1
    many.coefs_ = [*plain.coefs_[:2], np.stack([plain.coefs_[2]] * K)]
    many.intercepts_ = [
        np.broadcast_to(b, own.shape)
        for b, own in zip(plain.intercepts_, many.intercepts_, strict=True)
    ]
    assert_allclose(many.predict(X), plain.predict(X), rtol=1e-13, atol=1e-15)


def test_members_differ_and_are_better_together():
    settings = {"max_iter": 60, "learning_rate_init": 0.01, "early_stopping": True}
    model = make(**MEMBERS["mini"], numerical_embedding="piecewise_linear", **settings)
    model.fit(X, Y)
    members = raw_outputs(model, X)[..., 0]
    assert (members.std(axis=1) > 1e-3).all()
    together = np.mean((members.mean(axis=1) - Y) ** 2)
    assert together < np.mean((members - Y[:, None]) ** 2, axis=0).min()


@pytest.mark.parametrize("members", MEMBERS)
def test_early_stopping_looks_at_the_mean_prediction(members):
    model = make(
        **MEMBERS[members], numerical_embedding="piecewise_linear", max_iter=5
    ).fit(X[:300], Y[:300], X_val=X[300:], y_val=Y[300:])
    best = r2_score(Y[300:], raw_outputs(model, X[300:]).mean(axis=1))
    assert_allclose(max(model.validation_scores_), best, rtol=1e-12)


def test_bins_are_those_of_the_rows_that_are_trained_on():
    from sklearn_backprop.preprocessing import PiecewiseLinearEncoder

    embedding = PiecewiseLinearEmbedding(n_bins=6, size=2)
    heavy = np.arange(len(Y)) % 3
    model = make(numerical_embedding=embedding)
    model.fit(X[:300], Y[:300], heavy[:300], X_val=X[300:], y_val=Y[300:])
    encoder = PiecewiseLinearEncoder(6).fit(X[:300], sample_weight=heavy[:300])
    inputs = model._training.network.architecture.inputs
    for found, expected in zip(inputs.edges, encoder.bin_edges_, strict=True):
        assert_allclose(found, expected, rtol=1e-13)
    held_out = make(numerical_embedding=embedding, early_stopping=True).fit(X, Y)
    all_rows = make(numerical_embedding=embedding).fit(X, Y)
    ours, theirs = (
        np.concatenate(m._training.network.architecture.inputs.edges)
        for m in (held_out, all_rows)
    )
    assert not np.array_equal(ours, theirs)


BOTH = {
    "shared": {"numerical_embedding": "piecewise_linear", **MEMBERS["mini"]},
    "own": {
        "numerical_embedding": EMBEDDINGS["tree"],
        "embedded_features": [0, 2, 3],
        "member_batches": "own",
        **MEMBERS["adapters"],
    },
    "apart": {"numerical_embedding": "periodic", **MEMBERS["independent"]},
}


@pytest.mark.parametrize("setting", BOTH)
def test_training_goes_on_as_if_it_had_not_been_interrupted(setting):
    """By warm starts, `partial_fit`, and behind a pickle."""
    settings = {**BOTH[setting], "dropout": 0.2, "tol": 0}
    whole = make(**settings, max_iter=4).fit(X, Y)
    model = make(**settings, max_iter=2, warm_start=True).fit(X, Y)
    again = pickle.loads(pickle.dumps(model)).fit(X, Y)
    assert_array_equal(again.predict(X), whole.predict(X))
    blocks = make(**settings)
    for _ in range(4):
        blocks.partial_fit(X, Y)
    assert_array_equal(blocks.predict(X), whole.predict(X))
    names = whole.gradient_history_names_
    assert whole.gradient_history_["gradient_norm"].shape == (4, len(names))
    assert names[0].startswith("embedding ")
    assert (whole.gradient_history_["gradient_norm"] > 0).all()
    other = make(**{**settings, "numerical_embedding": None}, warm_start=True)
    other.__dict__ |= {**vars(whole), **other.get_params()}
    with pytest.raises(ValueError, match=r"numerical_embedding was .* and is None"):
        other.fit(X, Y)


@pytest.mark.parametrize("setting", BOTH)
def test_sparse_rows_and_threads_change_nothing(setting):
    settings = {**BOTH[setting], "batch_size": 400, "activation": "tanh"}

    def train(rows, n_threads):
        model = BackpropMLPRegressor((90, 80), max_iter=2, random_state=0, **settings)
        with threadpool_limits(n_threads):
            return model.fit(rows, Y).predict(rows)

    expected = train(X, 1)
    assert_allclose(train(sparse.csr_array(X), 1), expected, rtol=1e-9, atol=1e-12)
    two = train(X, 2)
    assert_allclose(two, expected, rtol=1e-9, atol=1e-12)
    assert_array_equal(train(X, 2), two)


@pytest.mark.filterwarnings("ignore:lbfgs failed to converge")
def test_lbfgs_trains_members_and_embeddings():
    model = make(**{**BOTH["shared"], "solver": "lbfgs", "max_iter": 40}).fit(X, Y)
    assert model.score(X, Y) > 0.6


def test_columns_by_names_indices_and_masks():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(X, columns=[f"x{j}" for j in range(X.shape[1])])
    mask = np.zeros(X.shape[1], dtype=bool)
    mask[[1, 9]] = True
    given = [["x9", "x1"], [1, 9], [-1, 1], mask, np.array([9, 1])]
    predictions = [
        make(numerical_embedding="piecewise_linear", embedded_features=columns)
        .fit(frame, Y)
        .predict(frame)
        for columns in given
    ]
    for prediction in predictions[1:]:
        assert_array_equal(prediction, predictions[0])
    everything = make(numerical_embedding="piecewise_linear").fit(frame, Y)
    assert not np.array_equal(everything.predict(frame), predictions[0])


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"embedded_features": [0, 10]}, "has 10, but X has features 0 to 9"),
        ({"embedded_features": [True, False]}, r"mask of shape \(2,\), but X has 10"),
        ({"embedded_features": ["age"]}, "'age', but X has no names"),
        ({"embedded_features": [0.5]}, "names, indices or a mask of features, got 0.5"),
        ({"embedded_features": []}, "chooses no feature"),
        ({"numerical_embedding": "wave"}, "'numerical_embedding' parameter"),
        (
            {"numerical_embedding": PiecewiseLinearEmbedding(0)},
            "'n_bins' parameter of PiecewiseLinearEmbedding",
        ),
        (
            {"numerical_embedding": PeriodicEmbedding(frequency_scale=0)},
            "'frequency_scale' parameter of PeriodicEmbedding",
        ),
        ({"n_members": 0}, "'n_members' parameter"),
        ({"normalization": "batch"}, "its statistics would mix the members"),
        ({"member_batches": "own", "solver": "lbfgs"}, "which takes all rows at once"),
        ({"member_batches": "own", "shuffle": False}, "needs shuffle=True"),
    ],
)
def test_what_cannot_work_is_refused(setting, message):
    settings = {"numerical_embedding": "piecewise_linear", "n_members": 2, **setting}
    with pytest.raises(ValueError, match=message):
        make(**settings).fit(X, Y)


def test_values_that_nothing_embeds_must_be_there():
    gappy = X.copy()
    gappy[7, 2] = np.nan
    model = make(numerical_embedding="periodic", embedded_features=[0, 1])
    for rows in (gappy, sparse.csr_array(gappy)):
        with pytest.raises(ValueError, match="NaN in column 2, which is not embedded"):
            model.fit(rows, Y)
        with pytest.raises(ValueError, match="NaN in column 2, which is not embedded"):
            make(numerical_embedding="periodic", embedded_features=[0]).fit(
                X, Y
            ).predict(rows)
    with pytest.raises(ValueError, match="Input X contains NaN"):
        make().fit(gappy, Y)
    gappy[7, 2] = np.inf
    with pytest.raises(ValueError, match="Input X contains infinity"):
        model.fit(gappy, Y)


def test_a_missing_value_gets_a_vector_that_learns():
    """y says which values are missing, and nothing else does."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(400, 2))
    gone = rng.random(400) < 0.3
    x[gone, 0] = np.nan
    for embedding in ("piecewise_linear", "periodic"):
        model = BackpropMLPClassifier(
            (16,), numerical_embedding=embedding, max_iter=60, learning_rate_init=0.01,
            random_state=0,
        ).fit(x, gone)  # fmt: skip
        assert model.score(x, gone) == 1.0
        assert model.feature_scale_[0] == np.nanmax(np.abs(x[:, 0]))


def test_grid_searches_reach_the_parameters_of_an_embedding():
    search = GridSearchCV(
        make(numerical_embedding=PiecewiseLinearEmbedding(size=4)),
        {"numerical_embedding__n_bins": [2, 8], "n_members": [1, 2]},
        cv=2,
    ).fit(X, Y)
    best = search.best_estimator_
    edges = best._training.network.architecture.inputs.edges
    assert max(map(len, edges)) == best.numerical_embedding.n_bins + 1
    assert not hasattr(search.estimator.numerical_embedding, "edges")
