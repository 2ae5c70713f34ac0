"""Categories of a column, and their codes."""

import numpy as np

__all__ = ["encode_categories", "find_categories"]


def find_categories(values: np.ndarray, weight, n_most: int):
    """Categories (m,) in ascending order, a missing one last, and their shares.

    Values (n,) are numbers or objects; of more than `n_most` categories the heaviest
    stay.
    """
    places: dict = {}
    codes = np.fromiter(
        (places.setdefault(v, len(places)) for v in _without_nan(values)),
        dtype=np.intp,
        count=len(values),
    )
    masses = np.bincount(codes, weights=weight, minlength=len(places))
    shares = masses / masses.sum()
    found = list(places)
    order = sorted(range(len(found)), key=lambda i: _rank(found[i]))
    if len(order) > n_most:
        heaviest = sorted(order, key=lambda i: -shares[i])[:n_most]
        order = sorted(heaviest, key=lambda i: _rank(found[i]))
    categories = np.empty(len(order), dtype=object)
    categories[:] = [found[i] for i in order]
    if values.dtype.kind == "f":
        categories = categories.astype(np.float64)  # None becomes NaN
    return categories, shares[order]


def encode_categories(values: np.ndarray, categories: np.ndarray) -> np.ndarray:
    """Codes (n,) of values, numbers or objects; -1 for those that are no categories."""
    places = {v: code for code, v in enumerate(_without_nan(categories))}
    codes = (places.get(v, -1) for v in _without_nan(values))
    return np.fromiter(codes, dtype=np.intp, count=len(values))


def _without_nan(values: np.ndarray) -> list:
    """Values as Python's own objects, missing ones as None."""
    if values.dtype.kind == "f":
        return [None if v != v else v for v in values.tolist()]
    return values.tolist()


def _rank(category):
    """Sort key: by kind, then by value; None last."""
    is_number = isinstance(category, int | float)
    return (
        category is None,
        "" if is_number else type(category).__name__,
        category if is_number else 0,
        "" if is_number else str(category),
    )
