"""scikit-learn's own tests of LinearRegression, run on GDLinearRegression."""

import pytest
from sklearn.linear_model.tests import test_base

from sklearn_backprop import GDLinearRegression

PRIVATE_HELPER = "tests a private function of scikit-learn, not an estimator"
LEFT_OUT = {
    "test_preprocess_data": PRIVATE_HELPER,
    "test_preprocess_data_multioutput": PRIVATE_HELPER,
    "test_preprocess_data_weighted": PRIVATE_HELPER,
    "test_sparse_preprocess_data_offsets": PRIVATE_HELPER,
    "test_csr_preprocess_data": PRIVATE_HELPER,
    "test_preprocess_copy_data_no_checks": PRIVATE_HELPER,
    "test_dtype_preprocess_data": PRIVATE_HELPER,
    "test_preprocess_data_integer_array_api_on_float32_only_device": PRIVATE_HELPER,
    "test_rescale_data": PRIVATE_HELPER,
    "test_fused_types_make_dataset": PRIVATE_HELPER,
    "test_array_api_move_estimator_to": PRIVATE_HELPER,
    "test_predict_proba_lr_large_values": "tests LinearClassifierMixin",
    "test_inplace_data_preprocessing": "sets copy_X, which scikit-learn alone has; its "
    "other half is test_fit_leaves_its_inputs_alone in test_gd_linear_regression.py",
}

# Some of these tests pose problems without a unique solution.
pytestmark = pytest.mark.filterwarnings("ignore::scipy.linalg.LinAlgWarning")

globals().update(
    {
        name: test
        for name, test in vars(test_base).items()
        if name.startswith("test_") and name not in LEFT_OUT
    }
)


class NormalEquation(GDLinearRegression):
    """GDLinearRegression whose default is the exact road."""

    def __init__(
        self, *, solver="normal", fit_intercept=True, positive=False, tol=1e-6
    ):
        super().__init__(
            solver=solver, fit_intercept=fit_intercept, positive=positive, tol=tol
        )


@pytest.fixture(autouse=True)
def in_place_of_linear_regression(monkeypatch):
    monkeypatch.setattr(test_base, "LinearRegression", NormalEquation)


@pytest.fixture(params=[0, 42])
def global_random_seed(request):
    """The fixture that scikit-learn's own conftest provides."""
    return request.param
