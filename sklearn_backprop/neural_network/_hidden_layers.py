"""The hyper-parameters of hidden layers, and the network that they make."""

from numbers import Integral, Real

from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import Interval, StrOptions

from ._architecture import Architecture
from ._initializers import INIT_ALIASES, INITIALIZERS
from ._perceptron import (
    ACTIVATION_ALIASES,
    ACTIVATIONS,
    NORMALIZATIONS,
    RESIDUALS,
    build_architecture,
)

__all__ = ["HiddenLayers"]


class HiddenLayers(BaseEstimator):
    """A network of fully connected hidden layers.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(100,)
        Widths of the hidden layers, from input to output. An empty tuple makes a
        linear model.
    activation : str or list of str, default="relu"
        One of "relu", "leaky_relu" (slope 0.01), "elu", "selu", "gelu" (exact), "silu",
        "mish", "softplus", "tanh", "logistic" (alias "sigmoid") and "identity": for
        all hidden layers, or a list with one name for each.
    init : str, default="auto"
        How weight matrices start; biases start at zero. "auto" takes He's rule for
        the relu family, Xavier's for "tanh" and "logistic", and LeCun's for "selu",
        "identity" and the output layer; the first layer of a relu net, which no relu
        stands before, starts with half of LeCun's variance. Otherwise one of
        "xavier_uniform" (alias "xavier"), "xavier_normal", "he_normal" (alias "he"),
        "he_uniform", "lecun_normal", "lecun_uniform", "orthogonal" and "zeros".
    init_scale : float, default=1.0
        Multiplies the standard deviation of every starting weight matrix: shows what
        too large or too small does.
    residual : {"add", "concat"} or None, default=None
        Whether blocks of hidden layers are bypassed: "add" adds a block's input to its
        output, through a learned projection where the widths differ (He et al., 2016);
        "concat" puts it beside the output (Huang et al., 2017). With "add" the first
        hidden layer makes the stream that the blocks of the others add to, each before
        its activation and scaled by 1/sqrt(number of blocks), so that nets of any depth
        start well (Hayou et al., 2021).
    residual_block_size : int, default=1
        Hidden layers per block; the last block may be shorter.
    normalization : {"batch", "layer"} or None, default=None
        Standardize pre-activations over the rows of a mini-batch (Ioffe & Szegedy,
        2015; prediction uses running averages) or over the units of each row (Ba et
        al., 2016).
    dropout : float in [0, 1), default=0.0
        Share of hidden activations set to zero in each training step.

    References
    ----------
    He, K., Zhang, X., Ren, S., & Sun, J. (2016). Identity mappings in deep residual
    networks. ECCV.

    Huang, G., Liu, Z., van der Maaten, L., & Weinberger, K. Q. (2017). Densely
    connected convolutional networks. CVPR.

    Hayou, S., Clerico, E., He, B., Deligiannidis, G., Doucet, A., & Rousseau, J.
    (2021). Stable ResNet. AISTATS.

    Ioffe, S., & Szegedy, C. (2015). Batch normalization. ICML.

    Ba, J. L., Kiros, J. R., & Hinton, G. E. (2016). Layer normalization.
    """

    _parameter_constraints: dict = {
        "hidden_layer_sizes": [
            "array-like",
            Interval(Integral, 1, None, closed="left"),
        ],
        "activation": [StrOptions({*ACTIVATIONS, *ACTIVATION_ALIASES}), "array-like"],
        "init": [StrOptions({"auto", *INITIALIZERS, *INIT_ALIASES})],
        "init_scale": [Interval(Real, 0, None, closed="left")],
        "residual": [StrOptions(set(RESIDUALS)), None],
        "residual_block_size": [Interval(Integral, 1, None, closed="left")],
        "normalization": [StrOptions(set(NORMALIZATIONS)), None],
        "dropout": [Interval(Real, 0, 1, closed="left")],
    }

    def _lay_out(self, n_inputs: int, n_outputs: int) -> Architecture:
        """The layers of the network, and the table of their parameters."""
        return build_architecture(
            n_inputs,
            n_outputs,
            hidden_layer_sizes=self.hidden_layer_sizes,
            activation=self.activation,
            normalization=self.normalization,
            dropout=float(self.dropout),
            residual=self.residual,
            residual_block_size=self.residual_block_size,
        )
