"""Each finding from records set by hand, whose figures are known."""

import contextlib

import numpy as np
import pytest

from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    GDLinearRegression,
)
from sklearn_backprop._diagnosis import (
    _data,
    _finding,
    _layers,
    _predictions,
    _records,
    _steps,
)
from sklearn_backprop.exceptions import DivergenceError
from sklearn_backprop.inspection import Finding, diagnose

NAN = np.nan
PARAMS = BackpropMLPClassifier().get_params()
LINEAR = GDLinearRegression().get_params()
NAMES = ["hidden 1 weights", "hidden 2 weights", "output weights"]


def history(n_epochs=4, **last):
    """Healthy epochs of a net with two hidden layers; `last` replaces the last row."""
    rows = {
        "gradient_norm": [1.0, 1.0, 1.0],
        "gradient_norm_max": [2.0, 2.0, 2.0],
        "update_ratio": [1e-3, 1e-3, 1e-3],
        "dead_fraction": [0.0, 0.0, NAN],
        "saturated_fraction": [0.0, 0.0, NAN],
        "clipped_fraction": 0.0,
        "global_norm": np.sqrt(3.0),
    }
    records = {name: np.array([row] * n_epochs) for name, row in rows.items()}
    for name, row in last.items():
        records[name][-1] = row
    return _records.Records(records, NAMES)


def falling(*losses):
    return np.array(losses, dtype=float)


# ------------------------------------------------------------------- frozen arrays
def test_arrays_that_do_not_learn_are_left_out_of_what_gradients_tell():
    records = history(
        gradient_norm=(NAN, 1e-5, 1.0), update_ratio=(0.0, 2e-3, 2e-3)
    ).without(NAMES[:1])
    assert records.names == tuple(NAMES[1:])
    found = _layers.vanishing_gradients(records, PARAMS)
    assert found.layers == (1,)  # of the whole history
    assert found.names == ("hidden 2 weights",)
    assert found.epochs == (4, 4)
    assert _steps.largest_update(records) == 2e-3
    steep = history(global_norm=1e6, gradient_norm=(NAN, 1.0, 1e6))
    found = _steps.exploding_gradients(
        steep.without(NAMES[:1]), falling(1, 1, 1, 1), PARAMS
    )
    assert found.names == ("output weights",)
    assert found.layers == (2,)
    alone = history(gradient_norm=(NAN, NAN, 1.0)).without(NAMES[:2])
    assert _layers.vanishing_gradients(alone, PARAMS) is None


def test_a_gradient_vanishes_since_its_layer_thawed():
    records = history(n_epochs=6)
    records["gradient_norm"][:, 0] = [NAN, NAN, NAN, 1e-5, 1.0, 1e-5]
    assert _layers.vanishing_gradients(records, PARAMS).epochs == (4, 6)


@pytest.mark.parametrize(
    ("find", "name"),
    [
        (_layers.dead_units, "dead_fraction"),
        (_layers.saturated_units, "saturated_fraction"),
    ],
)
def test_units_behind_frozen_weights_are_not_cured_by_steps(find, name):
    records = history(**{name: (0.75, 0.1, NAN)})
    remedy = find(records, PARAMS, NAMES[:1]).remedy
    assert "layer_rates for hidden 1 weights" in remedy
    assert "pretrained" in remedy
    assert "learning_rate_init" not in remedy
    assert "learning_rate_init" in find(records, PARAMS, NAMES[1:2]).remedy


def test_frozen_units_that_are_alike_are_no_symmetric_start():
    weights = dict(zip(NAMES, [np.ones((3, 4)), np.eye(4), np.eye(4)], strict=True))
    assert _layers.symmetric_start(weights, PARAMS).layers == (0,)
    assert _layers.symmetric_start(weights, PARAMS, NAMES[:1]) is None


# ------------------------------------------------------------------------ layers
@pytest.mark.parametrize(
    ("first", "at_chance", "is_found"),
    [
        (1.1e-3, False, False),
        (0.9e-3, False, True),
        (2.1e-2, True, False),
        (1.9e-2, True, True),
        (0.0, False, True),
        (NAN, False, True),
    ],
)
def test_vanishing_is_told_by_first_and_last_gradient(first, at_chance, is_found):
    records = history(gradient_norm=(first, 0.5, 1.0))
    found = _layers.vanishing_gradients(records, PARAMS, at_chance=at_chance)
    assert (found is not None) is is_found


def test_vanishing_says_where_and_what_to_do():
    records = history(gradient_norm=(2e-4, 8e-4, 0.5))
    records["gradient_norm"][2] = (1e-4, 1.0, 1.0)
    found = _layers.vanishing_gradients(records, PARAMS)
    # 8e-4 / 0.5 is above the threshold: only the first layer's has vanished.
    assert found.layers == (0,)
    assert found.epochs == (3, 4)
    assert found.names == ("hidden 1 weights",)
    assert "of hidden 1 weights (0.0002)" in found.evidence
    assert "of output weights (0.5)" in found.evidence
    assert found.remedy.startswith("residual='add'")
    assert "init_scale" not in found.remedy


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({"init_scale": 0.1}, "init_scale=1.0"),
        ({"residual": "add"}, "normalization='layer'"),
        (
            {"residual": "add", "normalization": "layer", "activation": ["tanh"]},
            "activation='relu'",
        ),
    ],
)
def test_a_remedy_is_not_what_is_set_already(changes, first):
    records = history(gradient_norm=(0.0, 1.0, 1.0))
    found = _layers.vanishing_gradients(records, {**PARAMS, **changes})
    assert found.remedy.startswith(first)


def test_gradients_all_zero_have_vanished():
    assert _layers.vanishing_gradients(history(gradient_norm=(0, 0, 0)), PARAMS)


@pytest.mark.parametrize(
    ("find", "name"),
    [
        (_layers.dead_units, "dead_fraction"),
        (_layers.saturated_units, "saturated_fraction"),
    ],
)
def test_units_out_of_work(find, name):
    assert find(history(**{name: (0.6, 0.1, NAN)}), PARAMS) is None
    found = find(history(**{name: (0.1, 0.75, NAN)}), PARAMS)
    assert found.layers == (1,)
    assert found.epochs == (4, 4)
    assert "75% of the" in found.evidence
    assert "behind hidden 2 weights are" in found.evidence
    assert found.names == ("hidden 2 weights",)


def test_dead_units_that_came_back_to_life_are_no_finding():
    records = history()
    records["dead_fraction"][1] = (1.0, 1.0, NAN)
    assert _layers.dead_units(records, PARAMS) is None


def test_a_long_step_is_the_first_thing_to_blame_for_dead_units():
    records = history(dead_fraction=(1.0, 0.0, NAN))
    born = _layers.dead_units(records, PARAMS)
    assert born.remedy.startswith("activation='leaky_relu'")
    records["update_ratio"][0, 1] = 0.5
    killed = _layers.dead_units(records, PARAMS)
    assert killed.remedy.startswith("learning_rate_init below 0.001")


def named(*weights):
    return dict(zip(NAMES[: len(weights) - 1] + NAMES[-1:], weights, strict=True))


def test_equal_units():
    rng = np.random.default_rng(0)
    drawn, last = rng.standard_normal((4, 3)), rng.standard_normal((3, 1))
    equal = np.repeat(rng.standard_normal((3, 1)), 3, axis=1)
    zeros = {**PARAMS, "init": "zeros"}
    assert _layers.symmetric_start(named(drawn, drawn[:3], last), zeros) is None
    found = _layers.symmetric_start(named(drawn, equal, last), zeros)
    assert found.layers == (1,)
    assert found.names == ("hidden 2 weights",)
    assert "all 3 units of hidden 2 weights" in found.evidence
    assert found.remedy == "init='auto'"
    assert _layers.symmetric_start(named(np.zeros((4, 3)), last), zeros)


@pytest.mark.parametrize(
    "coefs", [[np.zeros((4, 2))], [np.ones((4, 1)), np.ones((1, 1))]]
)
def test_a_linear_model_and_a_single_unit_are_not_symmetric(coefs):
    assert _layers.symmetric_start(named(*coefs), PARAMS) is None


@pytest.mark.parametrize("find", [
    _layers.vanishing_gradients, _layers.dead_units, _layers.saturated_units
])  # fmt: skip
def test_without_records_or_hidden_layers_nothing_is_found(find):
    one_column = {name: values[..., :1] for name, values in history().items()}
    assert find(_records.Records({}), PARAMS) is None
    assert find(_records.Records(one_column, NAMES[-1:]), PARAMS) is None


# ------------------------------------------------------------------------- steps
@pytest.mark.parametrize(
    ("norm", "loss", "is_found"),
    [
        (29.0, 0.5, False),  # |gradient| / sqrt(2 loss) = 29
        (31.0, 0.5, True),
        (31.0, 2.0, False),  # 15.5
        (np.inf, 0.5, True),
        (1.0, NAN, True),
    ],
)
def test_exploding_is_told_by_gradient_per_error(norm, loss, is_found):
    records = history(global_norm=norm)
    found = _steps.exploding_gradients(records, falling(1, 1, 1, loss), PARAMS)
    assert (found is not None) is is_found
    if is_found:
        assert found.epochs == (4, 4)
        assert f"to {max(norm, np.sqrt(3)):.3g} at its largest" in found.evidence


def test_exploding_is_told_by_growth():
    records = history(global_norm=1.1e-2)
    records["global_norm"][0] = 1e-5
    records["global_norm"][1:3] = 2e-5
    found = _steps.exploding_gradients(records, falling(1, 1, 1, 1), PARAMS)
    assert found.epochs == (4, 4)
    assert found.remedy.startswith("clip=1.0")


def test_large_step():
    rates = history(5)
    rates["update_ratio"][:, 1] = 0.2
    loss = falling(2, 1, 1.6, 1.2, 1.9)  # rises 0.6 + 0.7 = 1.3, falls by 1
    found = _steps.large_step(loss, "shorter", records=rates)
    assert "rose by 1.3 in all while its best is 1 below" in found.evidence
    assert "by up to 20% of their norm" in found.evidence
    assert found.epochs == (3, 5)
    # The same curve of small steps is noise, as that of dropout.
    assert _steps.large_step(loss, "shorter", records=history(5)) is None
    # Without records a single jump counts: 0.7 > 0.3.
    assert _steps.large_step(loss, "shorter")
    assert _steps.large_step(falling(2, 1.2, 1, 1.1, 1), "shorter") is None


def test_noise_of_a_flat_curve_is_no_large_step():
    rates = history(update_ratio=(1.0, 1.0, 1.0))
    loss = falling(1, 0.99, 1.02, 0.99)  # rises 0.03 > fall 0.01, but small beside 1
    assert _steps.large_step(loss, "shorter", records=rates) is None


def test_divergence_is_a_large_step():
    found = _steps.large_step(falling(1, 5, NAN), "shorter")
    assert found.evidence == "training diverged in epoch 3"
    assert found.epochs == (2, 3)
    assert _steps.large_step(falling(np.inf), "shorter").epochs == (1, 1)
    assert found.remedy == "shorter"


def test_shorter_steps():
    assert _steps.shorter_steps(PARAMS) == (
        "a tenth of learning_rate_init (0.001), clip=1.0, or warmup_epochs=10"
    )
    lbfgs = _steps.shorter_steps({**PARAMS, "solver": "lbfgs"})
    assert lbfgs == "StandardScaler before the network, or warmup_epochs=10"
    descent = _steps.shorter_descent(0.5)
    assert descent.startswith("learning_rate_init='auto'")
    assert "below 0.5" in descent


def test_a_straight_fall_that_ends_is_a_small_step():
    loss = np.linspace(2, 1, 21)  # a tenth of the way, 2 epochs, has 0.1 of the fall
    found = _steps.small_step(loss, {**PARAMS, "max_iter": 21})
    assert "0.1 of its whole fall of 1 in the last 2 epochs" in found.evidence
    assert found.epochs == (20, 21)
    assert found.remedy == "learning_rate_init above 0.001, or max_iter above 21"


@pytest.mark.parametrize(("n_constants", "is_found"), [(0.5, True), (2.0, False)])
def test_an_exponential_approach_is_done_after_its_time_constant(n_constants, is_found):
    loss = np.exp(-np.linspace(0, n_constants, 101))
    assert bool(_steps.small_step(loss, PARAMS)) is is_found


@pytest.mark.parametrize(
    "loss", [[2, 1], [1] * 20, [1, 2, 1, 2, 0.9], [2, 1, NAN, 1, 1]]
)
def test_curves_that_do_not_fall_steadily_are_no_small_step(loss):
    assert _steps.small_step(np.array(loss, dtype=float), PARAMS) is None


def test_the_remedy_of_a_slow_fall_depends_on_the_size_of_its_steps():
    loss, params = np.linspace(2, 1, 21), {**PARAMS, "max_iter": 21}
    usual = history(21, update_ratio=(1.0, 1.0, 1.0))
    usual["update_ratio"][:] = 5e-3
    found = _steps.small_step(loss, params, records=usual)
    assert found.remedy.startswith("max_iter")
    assert "by 0.005 of their norm" in found.evidence
    stopped = _steps.small_step(loss, PARAMS)  # long before max_iter=200
    assert stopped.remedy == "learning_rate_init above 0.001, or tol below 0.0001"


def test_clipping():
    params = {**PARAMS, "clip": 0.01}
    records = history(4, clipped_fraction=1.0)
    assert _steps.clipping(records, params) is None  # a quarter
    records["clipped_fraction"][1:] = 1.0
    found = _steps.clipping(records, params)
    assert "75% of the steps were clipped at clip=0.01" in found.evidence
    assert found.epochs == (2, 4)
    assert found.remedy == "clip=17, or clip=None"  # ten times sqrt(3)
    assert _steps.clipping(records, PARAMS) is None


# -------------------------------------------------------------------------- data
def test_feature_scales():
    even = np.array([0.0, 1.0, 90.0])  # a constant zero has no scale
    assert _data.feature_scales(even, "scaling") is None
    found = _data.feature_scales(np.array([3.0, 0.0, 0.02, 9.0]), "scaling")
    assert "feature 3 has a size of 9, feature 2 one of 0.02" in found.evidence
    assert found.remedy == "scaling"
    assert _data.feature_scales(even, "scaling", bound=10)
    assert _data.feature_scales(np.zeros(3), "scaling") is None


def test_over_fitting():
    loss = falling(5, 4, 3, 2, 1, 0.5)
    rising = falling(3, 2, 1, 1.4, 1.5, 1.6)
    found = _data.over_fitting(rising, loss, PARAMS)
    assert "rose by 50% since epoch 3, from 1 to 1.5" in found.evidence
    assert "fell from 3 to 0.5" in found.evidence
    assert found.epochs == (4, 6)
    noise = falling(3, 2, 1, 1.1, 1.2, 1.1)
    assert _data.over_fitting(noise, loss, PARAMS) is None
    # A validation loss that rises with the training loss is no over-fitting.
    assert _data.over_fitting(rising, loss[::-1], PARAMS) is None


def test_ill_conditioning():
    assert _data.ill_conditioning(NAN, LINEAR) is None
    assert _data.ill_conditioning(29.0, LINEAR) is None
    found = _data.ill_conditioning(300.0, LINEAR)
    assert "condition number of the data is 300" in found.evidence
    assert found.remedy.startswith("momentum=0.9")


@pytest.mark.parametrize("spread", [0.0, 0.005, 1.0])
def test_spread_of_predictions(spread):
    Y = np.array([[-1.0], [1.0]])
    assert _predictions.prediction_spread(3 + spread * Y, Y) == pytest.approx(spread)
    assert _predictions.is_at_chance_level(spread) is (spread < 0.02)


def test_equal_targets_and_unknown_spreads_are_no_chance_level():
    spread = _predictions.prediction_spread(np.zeros((4, 1)), np.ones((4, 1)))
    assert np.isnan(spread)
    assert not _predictions.is_at_chance_level(spread)
    assert not _predictions.is_at_chance_level(None)


# ------------------------------------------------------------------------ records
def test_records_of_batches_become_records_of_epochs():
    batches = {
        "dead_fraction": np.array([[0.5], [0.2], [0.9], [0.4]]),
        "gradient_norm_max": np.array([[1.0], [3.0], [2.0], [0.0]]),
        "clipped_fraction": np.array([1.0, 0.0, 1.0, 1.0]),
    }
    epochs = _records.by_epoch(batches, 2)
    assert epochs["dead_fraction"].tolist() == [[0.2], [0.4]]
    assert epochs["gradient_norm_max"].tolist() == [[3.0], [2.0]]
    assert epochs["clipped_fraction"].tolist() == [0.5, 1.0]
    assert _records.by_epoch(epochs, 2)["dead_fraction"] is epochs["dead_fraction"]


# ----------------------------------------------------------------------- findings
def test_a_finding_reads_as_a_sentence():
    finding = Finding("dead_units", "all are dead", "a wand", (1, 2), (3, 3))
    assert str(finding) == (
        "dead units (layers 2 to 3, epoch 3): all are dead. Remedy: a wand."
    )
    assert finding.is_ailment
    named = Finding("dead_units", "dead", layers=(0, 2), names=(NAMES[0], NAMES[2]))
    assert str(named) == "dead units (hidden 1 weights to output weights): dead."
    healthy = Finding("healthy", "all is well")
    assert str(healthy) == "nothing wrong: all is well."
    assert not healthy.is_ailment
    with pytest.raises(AttributeError):
        finding.kind = "healthy"


def test_every_kind_has_a_title_and_is_documented():
    for kind in _finding._TITLES:
        assert f'"{kind}"' in Finding.__doc__
        assert str(Finding(kind, "evidence"))


@pytest.mark.parametrize(
    ("kinds", "picked"),
    [
        (["small_step"], None),
        (["clipping", "dead_units", "vanishing_gradients"], "dead_units"),
        ([], None),
    ],
)
def test_what_keeps_a_network_at_chance_level(kinds, picked):
    found = _predictions.why_nothing_arrives([Finding(kind, "") for kind in kinds])
    assert (found and found.kind) == picked


def counts(log_mean):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(400, 4))
    return X, rng.poisson(np.exp(log_mean + 0.5 * X[:, 0])).astype(float)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("log_mean", range(7))
def test_steep_counts_are_no_explosion(log_mean):
    X, y = counts(log_mean)
    model = BackpropMLPRegressor(
        (32,), loss="poisson", learning_rate_init=0.01, random_state=0
    ).fit(X, y)
    assert model.score(X, y) > 0.2
    assert "exploding_gradients" not in {f.kind for f in diagnose(model)}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("log_mean", [0, 4])
@pytest.mark.parametrize("init_scale", [1.3, 2.0])
def test_an_explosion_of_counts_is_found(log_mean, init_scale):
    X, y = counts(log_mean)
    model = BackpropMLPRegressor(
        (32,) * 8, loss="poisson", init_scale=init_scale, max_iter=5, random_state=0
    )
    with contextlib.suppress(DivergenceError):
        model.fit(X, y)
    kind = diagnose(model)[0].kind
    # Where the very first step overflows, there is no gradient to read.
    assert kind == ("exploding_gradients" if init_scale < 2 else "large_step")
