"""The hyper-parameters of hidden layers, and the network that they make."""

from numbers import Integral, Real

import numpy as np
from sklearn.base import is_classifier
from sklearn.utils._param_validation import Interval, StrOptions

from .._parameters import CheckedParameters
from ._architecture import Architecture
from ._examples import Examples
from ._incompatible import refuse_incompatible_layers
from ._initializers import INIT_ALIASES, INITIALIZERS
from ._inputs import Inputs, columns_of
from ._members import MEMBER_WEIGHTS
from ._numerical_embeddings import EMBEDDINGS, NumericalEmbedding, embedding_of
from ._perceptron import (
    ACTIVATION_ALIASES,
    ACTIVATIONS,
    NORMALIZATIONS,
    RESIDUALS,
    build_architecture,
)

__all__ = ["HiddenLayers"]


class HiddenLayers(CheckedParameters):
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
        Share of hidden activations set to zero in each training step, rounded to a
        multiple of 1 / 65536.
    numerical_embedding : str, embedding or None, default=None
        Whether numbers become vectors before the first layer reads them:
        "piecewise_linear", "periodic", or a `PiecewiseLinearEmbedding` or
        `PeriodicEmbedding` with parameters of its own, which a grid search reaches as
        `numerical_embedding__n_bins`. Embedded features may lack values (NaN): one
        that did in `fit` gets a vector for it, otherwise the vector is zero. Bins are
        found in the first rows that are fitted, validation rows left out.
    embedded_features : array-like of str, int or bool, default=None
        Names, indices or mask of the features that are embedded; None means all. The
        others enter as they are.
    n_members : int, default=1
        Number of members of an ensemble that is trained as one network. Each is trained
        on a loss of its own, whose mean is the objective; predictions are the mean of
        the members' predictions or probabilities.
    member_weights : {"mini", "adapters", "independent"}, default="mini"
        What members have of their own, where there are several.

        - "mini": factors of the inputs and the output layer; all else is shared.
        - "adapters": factors of inputs and outputs of every layer, biases, and the
          output layer (Wen et al., 2020).
        - "independent": everything. This is as good as so many networks, and as dear.
    member_batches : {"shared", "own"}, default="shared"
        Whether the members of an ensemble see the same rows in a step, or each goes
        through the rows in an order of its own. Shared ones take less time, own ones
        make members differ more.

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

    Gorishniy, Y., Rubachev, I., & Babenko, A. (2022). On embeddings for numerical
    features in tabular deep learning. NeurIPS.

    Wen, Y., Tran, D., & Ba, J. (2020). BatchEnsemble: an alternative approach to
    efficient ensemble and lifelong learning. ICLR.

    Gorishniy, Y., Kotelnikov, A., & Babenko, A. (2025). TabM: Advancing tabular deep
    learning with parameter-efficient ensembling. ICLR.
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
        "numerical_embedding": [StrOptions(set(EMBEDDINGS)), NumericalEmbedding, None],
        "embedded_features": ["array-like", None],
        "n_members": [Interval(Integral, 1, None, closed="left")],
        "member_weights": [StrOptions(set(MEMBER_WEIGHTS))],
        "member_batches": [StrOptions({"shared", "own"})],
    }

    def _learns_of_inputs(self) -> bool:
        """Whether layers depend on the rows."""
        return self.numerical_embedding is not None

    def _takes_missing(self) -> bool:
        """Whether all columns are embedded."""
        return self._learns_of_inputs() and self.embedded_features is None

    def _survey(self, examples: Examples) -> Inputs:
        """What layers are to know of the columns of X."""
        n_columns = examples.n_features
        embedding = embedding_of(self.numerical_embedding)
        if embedding is None:
            return Inputs(n_columns)
        names = getattr(self, "feature_names_in_", None)
        columns = columns_of(self.embedded_features, n_columns, names)
        return embedding._survey(examples, columns, is_classifier(self))

    def _refuse_layers(self, n_samples: int) -> None:
        """Refuse layers that cannot work together, or with so few rows."""
        refuse_incompatible_layers(self, n_samples)

    def _members_have_own_orders(self) -> bool:
        """Whether each member of an ensemble goes through the rows in its own order."""
        return self.member_batches == "own"

    def _lay_out(self, inputs: Inputs, n_outputs: int) -> Architecture:
        """The layers of the network, and the table of their parameters."""
        embedding = embedding_of(self.numerical_embedding)
        return build_architecture(
            inputs,
            n_outputs,
            hidden_layer_sizes=self.hidden_layer_sizes,
            activation=self.activation,
            normalization=self.normalization,
            dropout=float(self._setting("dropout")),
            residual=self.residual,
            residual_block_size=self.residual_block_size,
            n_members=self._setting("n_members"),
            member_weights=self.member_weights,
            shaped_by={
                "numerical_embedding": embedding and embedding._description(),
                "embedded_features": embedding and _as_list(self.embedded_features),
            },
        )


def _as_list(chosen):
    """Features as given, in a form that compares by value."""
    return None if chosen is None else np.asarray(chosen).ravel().tolist()
