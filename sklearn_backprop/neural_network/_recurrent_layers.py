"""The hyper-parameters of recurrent layers, and the network that they make."""

from numbers import Integral, Real
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from ._architecture import Architecture
from ._fitted_network import FittedNetwork
from ._initializers import INIT_ALIASES, INITIALIZERS
from ._inputs import Inputs
from ._recurrent_network import CELLS, POOLINGS, build_recurrent_architecture
from ._sequences import flattened, refuse_misplaced_nan, steps_in
from ._state import TrainingState

__all__ = ["RecurrentLayers"]


class RecurrentLayers(BaseEstimator):
    """A network of recurrent layers that reads sequences.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(64,)
        Widths of the recurrent layers, from input to output; at least one.
    cell : {"lstm", "gru", "tanh"}, default="lstm"
        What passes from step to step.

        - "lstm": long short-term memory (Hochreiter & Schmidhuber, 1997) with a forget
          gate (Gers et al., 2000), whose bias starts at 1 (Jozefowicz et al., 2015).
        - "gru": gated recurrent unit (Cho et al., 2014), its reset gate behind the
          product of the state.
        - "tanh": the plain cell (Elman, 1990), whose gradient vanishes or explodes
          over many steps.
    bidirectional : bool, default=False
        Whether each layer reads every sequence in both directions, by a cell each;
        their states stand side by side (Schuster & Paliwal, 1997).
    pooling : {"last", "mean"}, default="last"
        What of the last layer's states predicts: that in which each direction ends, or
        the mean over all steps.
    n_channels : int, default=1
        Numbers in each step of an X (n_samples, n_steps * n_channels), whose columns
        come step after step. An X (n_samples, n_steps, n_channels) says it itself.
    init : str, default="auto"
        How weight matrices start, gate by gate. "auto" takes Xavier's rule for those
        of inputs, orthogonal matrices for those of states, and LeCun's rule for the
        output layer. Otherwise one of "xavier_uniform" (alias "xavier"),
        "xavier_normal", "he_normal" (alias "he"), "he_uniform", "lecun_normal",
        "lecun_uniform", "orthogonal" and "zeros".
    init_scale : float, default=1.0
        Multiplies every starting weight matrix: above 1 the gradient of a tanh cell may
        explode over the steps, below 1 it vanishes.
    residual : {"add"} or None, default=None
        Whether a layer as wide as the one before it adds its states to those that it
        reads, scaled by 1/sqrt(number of such layers).
    dropout : float in [0, 1), default=0.0
        Share of each layer's states set to zero in a training step on their way to the
        next layer, never on their way to the next step (Zaremba et al., 2014).

    Attributes
    ----------
    recurrent_coefs_ : list of ndarray of shape (n_units, n_gates * n_units)
        Weights of states, gate beside gate: views, as `coefs_` are.
    recurrent_names_ : list of str
        Names of the recurrent layers, of each direction: the second axis of
        ``gradient_history_["time_gradient_norm"]``.
    n_channels_ : int
        Channels of each step.
    n_steps_ : int
        Steps of the sequences in fit, those behind their ends included.

    Notes
    -----
    Every X may be (n_samples, n_steps, n_channels), or the same as a table
    (n_samples, n_steps * n_channels), step after step; sparse ones are refused.
    Sequences of different lengths are filled up with NaN behind their ends. Such steps
    count for nothing: predictions are, bit for bit, those of the sequence alone.

    Arrays have their gates side by side: input, forget, output and candidate of an
    LSTM; of a GRU candidate, reset and update in `coefs_`, reset, update and candidate
    in `recurrent_coefs_`, and in `intercepts_` those of candidate, reset, update and of
    the state's part of the candidate.

    References
    ----------
    Hochreiter, S., & Schmidhuber, J. (1997). Long short-term memory. Neural
    Computation, 9(8).

    Gers, F. A., Schmidhuber, J., & Cummins, F. (2000). Learning to forget: continual
    prediction with LSTM. Neural Computation, 12(10).

    Cho, K., van Merrienboer, B., Gulcehre, C., Bahdanau, D., Bougares, F., Schwenk,
    H., & Bengio, Y. (2014). Learning phrase representations using RNN
    encoder-decoder for statistical machine translation. EMNLP.

    Elman, J. L. (1990). Finding structure in time. Cognitive Science, 14(2).

    Schuster, M., & Paliwal, K. K. (1997). Bidirectional recurrent neural networks.
    IEEE Transactions on Signal Processing, 45(11).

    Jozefowicz, R., Zaremba, W., & Sutskever, I. (2015). An empirical exploration of
    recurrent network architectures. ICML.

    Zaremba, W., Sutskever, I., & Vinyals, O. (2014). Recurrent neural network
    regularization.
    """

    _parameter_constraints: dict = {
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "cell": [StrOptions(set(CELLS))],
        "bidirectional": ["boolean"],
        "pooling": [StrOptions(set(POOLINGS))],
        "n_channels": [Interval(Integral, 1, None, closed="left")],
        "init": [StrOptions({"auto", *INITIALIZERS, *INIT_ALIASES})],
        "init_scale": [Interval(Real, 0, None, closed="left")],
        "residual": [StrOptions({"add"}), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }
    _training: TrainingState
    _views = {**FittedNetwork._views, "recurrent_coefs_": "U"}
    _accepts_sparse = False

    def _publish_network(self) -> None:
        super()._publish_network()
        self.recurrent_names_ = self._training.network.architecture.recurrent_names

    def _as_table(self, X, *, resets: bool):
        """X (n, steps * channels) of sequences; `resets` how many channels there are.

        What is no sequence is left to the check of tables.
        """
        X, n_channels = flattened(X)
        if resets or not hasattr(self, "n_channels_"):
            self.n_channels_ = self._channels(n_channels)
        elif n_channels is not None:
            self._refuse_other_steps(X.shape[1] // n_channels, n_channels)
        return X

    def _refuse_other_steps(self, n_steps: int, n_channels: int) -> None:
        """Raise a ValueError where sequences are of another shape than in fit."""
        name = type(self).__name__
        if n_channels != self.n_channels_:
            raise ValueError(
                f"X has {n_channels} channels, but {name} was fitted with "
                f"{self.n_channels_}. X is (n_samples, n_steps, n_channels)."
            )
        if n_steps != self.n_steps_:
            raise ValueError(
                f"X has {n_steps} steps, but {name} was fitted with {self.n_steps_}. "
                "Fill shorter sequences up with NaN behind their end; for longer ones, "
                "fit on as many steps as the longest has."
            )

    def _channels(self, found: int | None) -> int:
        if found is None or self.n_channels == found:
            return int(self.n_channels)
        if self.n_channels == 1:
            return found
        raise ValueError(
            f"n_channels={self.n_channels}, but X (n_samples, n_steps, n_channels) has "
            f"{found} channels."
        )

    def _check_table(self, X: np.ndarray) -> None:
        """Refuse parts of steps, and NaN before the end of a sequence."""
        steps_in(X.shape[1], self.n_channels_)
        refuse_misplaced_nan(X, self.n_channels_)

    def _finite_or_missing(self) -> bool | str:
        """What numbers X may hold, as validate_data calls it."""
        return "allow-nan"

    def _lay_out(self, inputs: Inputs, n_outputs: int) -> Architecture:
        """The layers of the network, and the table of their parameters."""
        self.n_steps_ = steps_in(inputs.n_columns, self.n_channels_)
        return build_recurrent_architecture(
            inputs,
            n_outputs,
            n_steps=self.n_steps_,
            n_channels=self.n_channels_,
            cell=self.cell,
            hidden_layer_sizes=self.hidden_layer_sizes,
            bidirectional=bool(self.bidirectional),
            pooling=self.pooling,
            residual=self.residual,
            dropout=float(self.dropout),
        )

    def _sizes(self) -> dict[str, Any]:
        """What diagnosis compares of inputs: the sizes of channels."""
        of_steps = self.feature_scale_.reshape(self.n_steps_, self.n_channels_)
        return {"feature_scale": of_steps.max(axis=0), "feature_name": "channel"}

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags
