"""Starting from another network, and learning at rates of each layer's own."""

from collections.abc import Iterator, Mapping

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from ._architecture import Architecture
from ._network import Network

__all__ = [
    "FineTuning",
    "copy_start",
    "refuse_another_start",
]


class FineTuning(BaseEstimator):
    """The hyper-parameters of fine-tuning.

    Parameters
    ----------
    pretrained : fitted network, FrozenEstimator or None, default=None
        A network of the same hidden layers to start from, fitted to these features:
        every array but the output layer's is copied, with running statistics and the
        edges of bins. In a FrozenEstimator it survives `clone`, as grid searches need.
        Later calls of `partial_fit`, and of `fit` with `warm_start`, go on as ever.
    layer_rates : array-like of shape (n_layers,) or None, default=None
        Factor of the learning rate of each layer, from input to output: that of an
        embedding where there is one, the hidden layers, the output layer; None is 1 for
        all. A layer of 0 is frozen: it keeps its weights and running statistics, which
        its normalization then reads, and no gradient is computed below the lowest layer
        that learns. "lbfgs" takes factors as a change of units, in which its gradient
        and `tol` are measured.

    References
    ----------
    Yosinski, J., Clune, J., Bengio, Y., & Lipson, H. (2014). How transferable are
    features in deep neural networks? NeurIPS.
    """

    _parameter_constraints: dict = {
        "pretrained": [BaseEstimator, None],
        "layer_rates": ["array-like", None],
    }

    def _rates(self) -> list[float] | None:
        """Factors of the learning rate, a layer each."""
        return None if self.layer_rates is None else read_rates(self.layer_rates)

    def _pretrained_estimator(self):
        """The estimator to start from, fitted to features of the same names."""
        if self.pretrained is None:
            return None
        fitted = self.pretrained
        if isinstance(fitted, FrozenEstimator):
            fitted = fitted.estimator
        if not hasattr(fitted, "_training"):
            raise _no_pretrained_network(fitted)
        _refuse_other_tables(fitted, self)
        _refuse_other_names(fitted, self)
        return fitted

    def _pretrained_network(self) -> Network | None:
        fitted = self._pretrained_estimator()
        return None if fitted is None else fitted._network()


def read_rates(layer_rates) -> list[float]:
    """Read factors, one for each layer: finite, none below 0, one above."""
    try:
        rates = np.asarray(layer_rates, dtype=np.float64)
    except (TypeError, ValueError):
        rates = np.array(np.nan)
    if rates.ndim != 1 or not np.isfinite(rates).all() or (rates < 0).any():
        raise ValueError(
            "layer_rates must be a list of finite numbers that are 0 or above, one for "
            f"each layer; got {layer_rates!r}."
        )
    if not rates.any():
        raise ValueError(
            f"layer_rates={layer_rates!r} freezes every layer, which leaves nothing to "
            "train. Pass a number above 0 for one layer at least, as a rule the last."
        )
    return rates.tolist()


def _no_pretrained_network(given) -> ValueError:
    from sklearn.pipeline import Pipeline  # takes a while, and is for this message only

    name = type(given).__name__
    if isinstance(given, Pipeline):
        return ValueError(
            "pretrained is a Pipeline. Pass its network, pretrained=pipeline[-1], and "
            "put its other steps, fitted, before this estimator."
        )
    if hasattr(given, "_pretrained_network"):
        return NotFittedError(
            f"pretrained is a {name} that is not fitted. Fit it first. Where "
            "estimators are cloned, as in grid searches, pass FrozenEstimator(fitted): "
            "the clone of a fitted estimator is not fitted."
        )
    return ValueError(
        f"pretrained must be a fitted network of this package, got a {name}. Those of "
        "scikit-learn are read by sklearn_backprop.exchange.from_sklearn."
    )


def _refuse_other_tables(fitted, own) -> None:
    names = [type(one).__name__ for one in (fitted, own)]
    reads_raw = [one.__sklearn_tags__().input_tags.string for one in (fitted, own)]
    if reads_raw[0] != reads_raw[1]:
        raise ValueError(
            f"pretrained is a {names[0]}, and a {names[1]} cannot start from it: one "
            "of them reads raw tables, which an encoder turns into numbers, and the "
            "other one reads numbers as they are."
        )


def _refuse_other_names(fitted, own) -> None:
    there, here = (getattr(one, "feature_names_in_", None) for one in (fitted, own))
    if there is None or here is None or np.array_equal(there, here):
        return
    at = next(
        (f"number {i} was {a!r} and is {b!r}" for i, (a, b) in _pairs(there, here)),
        f"there were {len(there)} and there are {len(here)}",
    )
    raise ValueError(
        f"pretrained was fitted to other features, or in another order: {at}. Pass the "
        "columns of X as it met them."
    )


def _pairs(there, here) -> Iterator:
    """Names that differ, with their place."""
    pairs = enumerate(zip(there, here, strict=False))
    return ((i, pair) for i, pair in pairs if pair[0] != pair[1])


def refuse_another_start(source: Network | None, wanted: Architecture) -> None:
    """Say what keeps a network from starting as another."""
    if source is None:
        return
    if differing := list(_differences(source.architecture, wanted)):
        raise ValueError(
            f"pretrained is another network than this one: {'; '.join(differing)}. "
            "Give this estimator the same hidden layers, and the same features."
        )


def _differences(there: Architecture, here: Architecture) -> Iterator[str]:
    """What differs before the output layer: shapes of arrays, and what else counts."""
    theirs, ours = _shapes(there), _shapes(here)
    for name in {**theirs, **ours}:
        shapes = [str(shapes.get(name, "missing")) for shapes in (theirs, ours)]
        if shapes[0] != shapes[1]:
            yield f"{name} were {shapes[0]} and are {shapes[1]}"
    for name, value in here.shaped_by.items():
        if name != "hidden_layer_sizes" and there.shaped_by.get(name) != value:
            yield f"{name} was {there.shaped_by.get(name)} and is {value}"


def _shapes(architecture: Architecture) -> Mapping[str, tuple[int, ...]]:
    rows = architecture.parameters
    return {row.name: row.shape for row in rows if not row.is_output}


def copy_start(source: Network, network: Network) -> None:
    """Copy all numbers but the output layer's."""
    rows = {row.name: row for row in source.architecture.parameters}
    for row in network.architecture.parameters:
        if not row.is_output:
            row.view(network.theta)[...] = rows[row.name].view(source.theta)
    network.running[...] = source.running
