"""Dask collections, where a table in memory is expected; Dask is not imported."""

__all__ = ["refuse_dask_collections"]

# Estimators that have a namesake in `sklearn_backprop.dask`.
ON_DASK = ("BackpropMLPClassifier", "BackpropMLPRegressor", "GDLinearRegression")


def refuse_dask_collections(estimator, **data) -> None:
    """Raise a TypeError that names the class for Dask; NumPy would load all of it."""
    for name, value in data.items():
        if not hasattr(type(value), "__dask_graph__"):
            continue
        bases = [base.__name__ for base in type(estimator).__mro__]
        found = [f"Dask{base}" for base in ON_DASK if base in bases]
        other = f"fit sklearn_backprop.dask.{found[0]} to it, or " if found else ""
        raise TypeError(
            f"{name} is a Dask {type(value).__name__}, and this method of "
            f"{type(estimator).__name__} would load all of it into this process: "
            f"{other}pass {name}.compute()."
        )
