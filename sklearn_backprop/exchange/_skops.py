"""What skops is to trust when it loads models of this package."""

from sklearn.base import BaseEstimator

from .. import linear_model, neural_network, preprocessing

__all__ = ["SKOPS_TRUSTED_TYPES"]


def _public_estimators() -> list[type]:
    modules = (linear_model, neural_network, preprocessing)
    public = [getattr(module, name) for module in modules for name in module.__all__]
    return [cls for cls in public if issubclass(cls, BaseEstimator)]


# Names of types, as `skops.io.load(file, trusted=SKOPS_TRUSTED_TYPES)` takes them. All
# else that these estimators store is data, or scikit-learn's and NumPy's.
SKOPS_TRUSTED_TYPES = sorted(
    f"{cls.__module__}.{cls.__qualname__}" for cls in _public_estimators()
)
