"""Sparse tables as the engine reads them."""

from scipy.sparse import csr_array, issparse

__all__ = ["with_equal_indices"]


def with_equal_indices(X):
    """X (n, p) itself, or sparse with both kinds of indices of one integer type."""
    if not issparse(X) or X.indices.dtype == X.indptr.dtype:
        return X
    indices = X.indices.astype(X.indptr.dtype)
    made = csr_array((X.data, indices, X.indptr), shape=X.shape)
    # SciPy may have picked another type for both.
    made.indices, made.indptr = indices, X.indptr
    return made
