"""What the estimators on Dask collections share: the client, and predictions."""

import copy
from typing import Any, ClassVar, Self

import dask.array as da
import numpy as np
from dask import delayed, is_dask_collection
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import (
    _check_n_features,
    check_is_fitted,
    validate_data,
)

from .._scores import Score
from ._cluster import Cluster
from ._parts import blocks_of, read_parts, rows_of_blocks

__all__ = ["DaskEstimator"]


class DaskEstimator(BaseEstimator):
    """An estimator that is fitted to parts of a table, wherever they are.

    Beside an estimator of one process, whose parameters and fitted attributes it has.

    Parameters
    ----------
    client : distributed.Client or None, default=None
        Whose workers compute; None takes the current client. Pickles leave it out.
    """

    _plain_class: ClassVar[type[BaseEstimator]]  # the estimator of one process
    _score_class: ClassVar[type[Score]]
    _state_of_parts: ClassVar[tuple[str, ...]] = ()  # what only this class leaves
    client: Any

    def to_local(self):
        """Give the fitted estimator of one process.

        Returns
        -------
        estimator : GDLinearRegression, BackpropMLPClassifier or BackpropMLPRegressor
            It shares no memory with this one, and needs no Dask.
        """
        left_out = set(self._get_param_names()) - set(
            self._plain_class._get_param_names()
        )
        left_out |= set(self._state_of_parts)
        state = {
            name: value
            for name, value in self.__getstate__().items()
            if name not in left_out
        }
        plain = self._plain_class()
        plain.__setstate__(copy.deepcopy(state))
        return plain

    def predict(self, X):
        """Predict labels or targets.

        Parameters
        ----------
        X : Dask array or data frame, or array-like of shape (n_samples, n_features)
            Rows.

        Returns
        -------
        y : dask.array.Array or ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Predictions: lazy ones of a Dask collection, others at once.
        """
        if is_dask_collection(X):
            return self._lazily("predict", X, *self._predicted())
        return super().predict(X)

    def score(self, X, y, sample_weight=None):
        """Score predictions: R², or accuracy.

        Parameters
        ----------
        X : Dask array or data frame, or array-like of shape (n_samples, n_features)
            Rows.
        y : Dask or other array of shape (n_samples,) or (n_samples, n_outputs)
            What is to be predicted.
        sample_weight : Dask or other array of shape (n_samples,), default=None
            Weight of each row.

        Returns
        -------
        score : float
            Computed at once, part by part on the workers.
        """
        if not is_dask_collection(X):
            return super().score(X, y, sample_weight)
        check_is_fitted(self)
        cluster = self._cluster()
        parts = read_parts(cluster, X, y, sample_weight, _unchecked)
        model = cluster.send(self.to_local())
        scores = cluster.submit_each(
            _score_part, parts, common=[model, self._score_class]
        )
        score = cluster.merge(scores, _merge_known)
        if score is None:
            raise ValueError("X has no rows, so there is nothing to score.")
        return score.value

    def _predicted(self) -> tuple[tuple[int, ...], np.dtype]:
        """Shape of one row's prediction, and its dtype."""
        raise NotImplementedError

    def _plain(self):
        """The estimator of one process with these parameters, not fitted."""
        names = self._plain_class._get_param_names()
        return clone(self._plain_class(**{name: getattr(self, name) for name in names}))

    def _cluster(self) -> Cluster:
        return Cluster(self.client, type(self).__name__)

    def _note_columns(self, X, n_features: int, *, reset=True) -> None:
        """Keep the number of features, and their names where X has some; or compare."""
        if hasattr(X, "columns"):
            validate_data(self, X._meta, skip_check_array=True, reset=reset)
            return
        _check_n_features(self, np.empty((1, n_features)), reset=reset)
        if reset and hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _lazily(self, method: str, X, shape: tuple[int, ...], dtype):
        """Predictions as a Dask array, of this shape in each row."""
        check_is_fitted(self)
        model = delayed(self.to_local(), pure=False)
        predict = delayed(_predict_block, pure=False)
        pieces = [
            da.from_delayed(
                predict(model, method, block, shape, dtype), (rows, *shape), dtype
            )
            for block, rows in zip(blocks_of("X", X), rows_of_blocks(X), strict=True)
        ]
        return da.concatenate(pieces)

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "client": None}

    def __sklearn_clone__(self) -> Self:
        """Clone without a copy of the client, which there is one of."""
        bare = copy.copy(self)  # by way of __getstate__
        twin = BaseEstimator.__sklearn_clone__(bare)
        twin.client = self.client
        return twin


def _unchecked(X, y):
    return X, _as_array(y)


def _as_array(y):
    return y if hasattr(y, "toarray") else np.asarray(y)


def _predict_block(model, method: str, X, shape: tuple[int, ...], dtype):
    if X.shape[0] == 0:
        return np.empty((0, *shape), dtype)
    return getattr(model, method)(X)


def _score_part(part, model, score: type[Score]) -> Score | None:
    if len(part) == 0:
        return None
    return score.of(part.y, model.predict(part.X), part.weight)


def _merge_known(one: Score | None, other: Score | None) -> Score | None:
    """Merge scores, None being that of no rows."""
    if one is None or other is None:
        return one or other
    return one.merge(other)
