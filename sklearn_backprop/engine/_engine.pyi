"""What Python sees of the compiled engine.

Legend: n rows, p features, K outputs; ``theta`` all parameters in one flat vector;
``running`` the running statistics of batch normalisation, (0,) without any;
``constants`` numbers that layers read and nothing trains, None without any. All arrays
are C-contiguous, of the dtype of the network, and never converted: another dtype or
layout is a TypeError. ``X`` is an array (n, p) or a SciPy CSR matrix or array of that
dtype (indices int32 or int64); ``Y`` is (n, K): targets, one-hot rows, or 0/1 labels.
"""

from collections.abc import Mapping, Sequence
from enum import Enum
from typing import Any, Generic, Literal, NotRequired, TypeAlias, TypedDict, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, csr_matrix

def load_blas(capsules: dict[str, Any]) -> None:
    """Take the addresses of the BLAS routines out of SciPy's capsules."""

def activation_names() -> list[str]:
    """Names that an activation layer accepts."""

def cell_names() -> list[str]:
    """Names that a recurrent layer accepts."""

def layer_kinds() -> list[str]:
    """Values of "kind" that a layer accepts."""

def loss_links() -> list[tuple[str, str]]:
    """Pairs (loss, link) that a network accepts."""

def optimizer_names() -> list[str]:
    """Names that `NetworkFloat64.trainer` accepts."""

def array_measures() -> list[str]:
    """Names of what a record holds for each of the C recorded arrays, in order.

    A row of `Epoch.records` holds C numbers for each of these names, then one for each
    of `step_measures`, then for every recurrent layer in the order of their numbers,
    and each step of sequences, the norm of dJ/d(state) over the rows (NaN where no row
    has that step, and below the lowest layer that learns). Norms are taken before
    clipping, those of arrays include the penalty. "gradient_norm", "global_norm" and
    norms of states are root mean squares over the record's steps, "gradient_norm_max"
    is the largest, "update_ratio" the mean of |update| / |W|. A unit is silent in a row
    when |f'(z)| < 1e-3, and counts as dead when silent in every row of the record; a
    bounded unit (tanh, logistic) is saturated in a row when |f'(z)| < 0.01 max |f'|.
    These fractions are of the activation that follows the
    array, and NaN where none does (the output layer).
    """

def step_measures() -> list[str]:
    """Names of what a record holds once: "clipped_fraction" of steps, "global_norm"."""

# ---- Parameters and layers --------------------------------------------------------
# The table of parameters has a row for every array, in the order of theta. A network is
# a plain list of dicts in the order of the forward pass. "W", "b", "P", "gamma" and
# "beta" are rows of the table, "running" counts elements of running; blocks hold lists
# of their own. Layers are numbered as they are read here, a block before what it holds.
# One hidden layer of 4 units with batch normalisation in an "add" block on 3 features,
# with 1 output:
#
#   [
#     {"name": "hidden 1 weights", "start": 0, "size": 12, "penalty": 1.0, ...},
#     {"name": "hidden 1 biases", "start": 12, "size": 4, "penalty": 0.0, ...},
#     {"name": "hidden 1 scales", "start": 16, "size": 4, "penalty": 0.0, ...},
#     {"name": "hidden 1 shifts", "start": 20, "size": 4, "penalty": 0.0, ...},
#     {"name": "hidden 1 projection", "start": 24, "size": 12, "penalty": 1.0, ...},
#     {"name": "output weights", "start": 36, "size": 4, "penalty": 1.0, ...},
#     {"name": "output biases", "start": 40, "size": 1, "penalty": 0.0, ...},
#   ]
#   [
#     {"kind": "add", "n_in": 3, "n_out": 4, "scale": 1.0, "P": 4, "layers": [
#         {"kind": "dense", "n_in": 3, "n_out": 4, "W": 0, "b": 1},
#         {"kind": "batch_norm", "width": 4, "gamma": 2, "beta": 3, "running": 0},
#         {"kind": "activation", "name": "relu", "width": 4},
#     ]},
#     {"kind": "dense", "n_in": 4, "n_out": 1, "W": 5, "b": 6},
#   ]
#
# The engine checks widths, sizes, and that every array belongs to one layer. Keys that
# it does not read are the caller's own.

class Parameter(TypedDict):
    """One array of theta: theta[start : start + size]."""

    name: str
    start: int
    size: int
    penalty: float  # factor of alpha; weights decay where it is not 0
    matrix: NotRequired[tuple[int, int]]  # shape of each matrix that "muon" turns
    rate: float  # factor of the learning rate; 0 leaves the array as it is
    recorded: bool  # whether records have a column for it

class DenseLayer(TypedDict):
    """z = x @ W + b; W (n_in, n_out). Leave "b" out for no intercept.

    With "row_by_row", the bits of a predicted row do not depend on the rows beside it.
    """

    kind: Literal["dense"]
    n_in: int
    n_out: int
    W: int
    b: NotRequired[int]
    row_by_row: NotRequired[int]

class BatchNormLayer(TypedDict):
    """Statistics over the rows; running[running:] holds width means, then variances.

    With "frozen", training reads those and leaves them as they are.
    """

    kind: Literal["batch_norm"]
    width: int
    gamma: int
    beta: int
    running: int
    frozen: NotRequired[int]

class LayerNormLayer(TypedDict):
    """Statistics over the width of each row."""

    kind: Literal["layer_norm"]
    width: int
    gamma: int
    beta: int

class ActivationLayer(TypedDict):
    """a = f(z); the names are those of `activation_names`."""

    kind: Literal["activation"]
    name: str
    width: int

class DropoutLayer(TypedDict):
    """a * mask / (1 - rate) in training, a in prediction; 0 <= rate < 1."""

    kind: Literal["dropout"]
    width: int
    rate: float

class AddBlock(TypedDict):
    """x + scale * F(x), or x @ P + scale * F(x) where "P" (n_in, n_out) is given."""

    kind: Literal["add"]
    n_in: int
    n_out: int
    scale: float
    P: NotRequired[int]
    layers: list[Layer]

class ConcatBlock(TypedDict):
    """[x, F(x)]; n_out = n_in + the width of F."""

    kind: Literal["concat"]
    n_in: int
    n_out: int
    layers: list[Layer]

class SequenceBlock(TypedDict):
    """Layers that see steps of sequences as rows, and the pooling of what they give.

    Reads n_steps * n_channels columns, step after step; NaN in all channels from a step
    on: the sequence ends before it, and such steps count for nothing. "pooling" is
    "mean", or "last": the first n_forward columns are the state in the last step, the
    others that in the first, where layers end that go backwards. The layers are
    recurrent ones, dropout, and blocks of them. A trace shows steps of all sequences as
    rows: step by step, in each the sequences that have it, longest first.
    """

    kind: Literal["sequence"]
    n_steps: int
    n_channels: int
    n_out: int
    pooling: Literal["last", "mean"]
    n_forward: int
    layers: list[Layer]

class RecurrentLayer(TypedDict):
    """States of a cell in every step, from the last step to the first if "reverse".

    Gates lie one beside the other in W (n_in, .), U (width, .) and b. "tanh":
    y = tanh(z). "lstm": i, f, o, g. "gru": n, r, u in W; r, u, n in U; biases of n, r,
    u and of the state's part of n, which r multiplies.
    """

    kind: Literal["recurrent"]
    cell: str  # one of `cell_names`
    n_in: int
    width: int
    reverse: int
    W: int
    U: int
    b: int

class BesideBlock(TypedDict):
    """[F_1(x), F_2(x), ...]; n_out is the sum of their widths."""

    kind: Literal["beside"]
    n_in: int
    n_out: int
    layers: list[Layer]

Layer: TypeAlias = (
    DenseLayer
    | BatchNormLayer
    | LayerNormLayer
    | ActivationLayer
    | DropoutLayer
    | AddBlock
    | ConcatBlock
    | BesideBlock
    | SequenceBlock
    | RecurrentLayer
)

_T = TypeVar("_T", np.float32, np.float64)
_Array: TypeAlias = np.ndarray[Any, np.dtype[_T]]
_Data: TypeAlias = _Array[_T] | csr_matrix | csr_array

# ---- Results ----------------------------------------------------------------------

class Epoch(TypedDict):
    """What one call of ``train_epoch`` did.

    ``status`` is "ok"; "activation" when a layer's output, "loss" when only the loss,
    and "gradient" when only a gradient was not finite. ``layer`` is the number of the
    layer whose output was the first, ``parameter`` the row of the array whose gradient
    was (the last one, where backpropagation begins), both -1 otherwise. The offending
    step is not made: theta is what the last good step left; running may hold the
    batch's. "weights" says that all steps were made, and theta or running is not
    finite now.
    """

    loss: float  # sum over batches of objective * share of the rows
    n_steps: int  # mini-batches of zero weight make none
    status: Literal["ok", "activation", "loss", "gradient", "weights"]
    layer: int
    parameter: int
    # One row with record="epoch", one per step with record="batch": see
    # `array_measures`.
    records: NDArray[np.float64] | None

class OptimizerState(TypedDict):
    """All that a trainer remembers from step to step; plain, so that it pickles."""

    t: int  # steps made so far
    moments: NDArray[Any]  # (n_slots, n_parameters): velocity, or m and v, or s

class LayerTrace(TypedDict, Generic[_T]):
    """What passed one layer; None where it was not computed."""

    number: int
    output: _Array[_T] | None  # (n, width)
    output_gradient: _Array[_T] | None  # dJ/dy (n, width)
    input_gradient: _Array[_T] | None  # dJ/dx (n, n_in)

class Trace(TypedDict, Generic[_T]):
    """One mini-batch on its way through the network and back."""

    value: float
    gradient: _Array[_T]
    input_gradient: _Array[_T]  # dJ/dX (n, p)
    layers: list[LayerTrace[_T]]

# ---- Networks ---------------------------------------------------------------------

class _Network(Generic[_T]):
    """A chain of layers with a loss; holds no parameters.

    Parameters
    ----------
    parameters : sequence of Parameter
        The table of parameters, see above.
    layers : sequence of Layer
        The layers, see above.
    loss, link : str
        One of `loss_links`: "squared_error", "absolute_error", "huber", "quantile" with
        "identity"; "poisson" with "exp"; "log_loss" and "squared_error" with "sigmoid"
        or "softmax".
    loss_parameter : float, default=0.0
        delta of "huber", q of "quantile".
    n_members : int, default=1
        How many groups of K raw outputs a row has; the loss is the mean of theirs, the
        prediction the mean of their predictions.
    fuse : bool, default=True
        Whether an activation adds the biases of the dense layer before it. A trace
        shows pre-activations without the biases then.
    """

    def __init__(
        self,
        parameters: Sequence[Parameter | Mapping[str, Any]],
        layers: Sequence[Layer | Mapping[str, Any]],
        *,
        loss: str,
        link: str,
        loss_parameter: float = 0.0,
        n_members: int = 1,
        fuse: bool = True,
    ) -> None: ...
    @property
    def n_inputs(self) -> int: ...
    @property
    def n_outputs(self) -> int: ...
    @property
    def n_parameters(self) -> int: ...
    @property
    def n_running(self) -> int: ...
    @property
    def n_constants(self) -> int: ...
    @property
    def n_recorded(self) -> int:
        """C of `array_measures`."""

    def predict(
        self,
        theta: _Array[_T],
        running: _Array[_T],
        X: _Data[_T],
        order: NDArray[np.int64] | None = None,
        *,
        constants: _Array[_T] | None = None,
        n_threads: int = 1,
    ) -> _Array[_T]:
        """Outputs (n, K) after the link, in prediction mode, in bounded memory.

        Of the rows of ``order`` (n,), or of all rows as they lie.
        Looks for signals about every 0.1 s; KeyboardInterrupt ends it.
        """

    def raw_outputs(
        self,
        theta: _Array[_T],
        running: _Array[_T],
        X: _Data[_T],
        order: NDArray[np.int64] | None = None,
        *,
        constants: _Array[_T] | None = None,
        n_threads: int = 1,
    ) -> _Array[_T]:
        """Outputs (n, n_members K) before the link, otherwise as `predict`."""

    def prediction_gradients(
        self,
        theta: _Array[_T],
        running: _Array[_T],
        X: _Data[_T],
        *,
        constants: _Array[_T] | None = None,
    ) -> _Array[_T]:
        """Derivatives (n, K, p) of each row's predictions in it, in prediction mode.

        On one thread; looks for signals as `predict` does.
        """

    def predictions(self, raw: _Array[_T]) -> _Array[_T]:
        """Predictions (n, K) that raw outputs (n, n_members K) mean."""

    def row_losses(self, raw: _Array[_T], Y: _Array[_T]) -> _Array[_T]:
        """Loss (n,) of each row, from raw outputs (n, n_members K)."""

    def loss(
        self,
        theta: _Array[_T],
        running: _Array[_T],
        X: _Data[_T],
        Y: _Array[_T],
        sample_weight: _Array[_T] | None = None,
        order: NDArray[np.int64] | None = None,
        *,
        constants: _Array[_T] | None = None,
        n_threads: int = 1,
    ) -> float:
        """Weighted mean loss of rows as `predict` takes them, without the penalty."""

    def value_and_gradient(
        self,
        theta: _Array[_T],
        X: _Data[_T],
        Y: _Array[_T],
        sample_weight: _Array[_T] | None = None,
        *,
        running: _Array[_T] | None = None,
        constants: _Array[_T] | None = None,
        alpha: float = 0.0,
        total_weight: float | None = None,
        seed: int | None = None,
        step: int = 0,
        n_threads: int = 1,
    ) -> tuple[float, _Array[_T]]:
        """Objective on all rows as one mini-batch, and its gradient in theta.

        Batch normalisation uses the statistics of these rows and keeps no running ones;
        frozen, it reads ``running``. The gradient of frozen arrays is zero.
        Without ``seed`` dropout is off; with it the masks are those of that step of
        ``train_epoch``. ``total_weight`` defaults to the weight of these rows.
        """

    def trace(
        self,
        theta: _Array[_T],
        X: _Data[_T],
        Y: _Array[_T],
        sample_weight: _Array[_T] | None = None,
        *,
        running: _Array[_T] | None = None,
        constants: _Array[_T] | None = None,
        alpha: float = 0.0,
        total_weight: float | None = None,
        seed: int | None = None,
        step: int = 0,
    ) -> Trace[_T]:
        """`value_and_gradient` with all that passed between the layers."""

    def trainer(
        self,
        optimizer: str,
        *,
        momentum: float = 0.9,
        nesterov: bool = True,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        decay: float = 0.9,
        weight_decay: float = 0.0,
    ) -> _Trainer[_T]:
        """Return a trainer in its initial state; each optimizer reads what it knows.

        "sgd": momentum, nesterov; "adam", "adamw": beta_1, beta_2, epsilon, and
        weight_decay for the latter; "muon": momentum and nesterov for matrices, and
        what "adamw" reads; "adagrad": epsilon; "rmsprop": decay, epsilon.
        """

class _Trainer(Generic[_T]):
    """An optimizer's state beside the network that it trains."""

    def train_epoch(
        self,
        theta: _Array[_T],
        running: _Array[_T],
        X: _Data[_T],
        Y: _Array[_T],
        sample_weight: _Array[_T] | None = None,
        order: NDArray[np.int64] | None = None,
        *,
        constants: _Array[_T] | None = None,
        batch_size: int,
        learning_rate: float | NDArray[np.float64],
        alpha: float = 0.0,
        total_weight: float | None = None,
        clip: float | None = None,
        clip_mode: Literal["norm", "value"] = "norm",
        record: Literal["epoch", "batch"] | None = None,
        seed: int = 0,
        n_threads: int = 1,
    ) -> Epoch:
        """Run every mini-batch of one epoch, updating theta and running in place.

        Mini-batches are consecutive stretches of ``order`` (row indices; None: rows as
        they lie), the last one may be shorter. With S the total weight over the number
        of rows, a mini-batch of k rows has the objective (sum of weight * loss) / (k S)
        + alpha / (2 total_weight) |penalised parameters|^2, whose mean over batches is
        that of all rows; ``total_weight`` defaults to the weight of the rows.
        ``learning_rate`` is one number, or (n_batches,) with one for each. Runs
        without the GIL, takes it back about every 0.1 s to look for signals:
        KeyboardInterrupt leaves theta, running and the state as after the last finished
        step. ``seed`` draws the dropout masks, together with the step counter t. BLAS
        uses as many threads as it is allowed to: limit it (threadpoolctl) to one for
        the same bits on every machine.
        """

    def gradient(
        self,
        theta: _Array[_T],
        running: _Array[_T],
        X: _Data[_T],
        Y: _Array[_T],
        sample_weight: _Array[_T] | None = None,
        order: NDArray[np.int64] | None = None,
        *,
        constants: _Array[_T] | None = None,
        alpha: float = 0.0,
        total_weight: float | None = None,
        first_row: int = 0,
        seed: int = 0,
        n_threads: int = 1,
    ) -> tuple[float, _Array[_T]]:
        """Objective and gradient (n_parameters,) of the next step's mini-batch.

        The rows of ``order`` may be a part of a mini-batch, from its row ``first_row``
        on: gradients of parts, weighted by their weights, sum up to that of the whole
        (batch normalisation's to that with statistics of the parts). ``total_weight``
        divides the penalty alone and defaults to the weight of these rows. Updates
        running in place.
        """

    def step(
        self,
        theta: _Array[_T],
        gradient: _Array[_T],
        *,
        learning_rate: float,
        clip: float | None = None,
        clip_mode: Literal["norm", "value"] = "norm",
    ) -> None:
        """Take the optimizer's step along the gradient, in place, clipped if asked."""

    def get_state(self) -> OptimizerState:
        """Return a copy of the state."""

    def set_state(self, state: OptimizerState) -> None:
        """Continue from a state of the same optimizer and network."""

class NetworkFloat32(_Network[np.float32]): ...
class NetworkFloat64(_Network[np.float64]): ...
class TrainerFloat32(_Trainer[np.float32]): ...
class TrainerFloat64(_Trainer[np.float64]): ...

# ---- Linear models ----------------------------------------------------------------
# Legend: m = p or p + 1 coefficients (an intercept comes last), k targets; float64.

_Float64: TypeAlias = NDArray[np.float64]

def accumulate_gram(
    x: NDArray[Any],
    y: _Float64,
    weight: _Float64 | None,
    shift: _Float64,
    gram: _Float64,
    n_threads: int,
) -> None:
    """Add A'A to the upper triangle of gram, A = sqrt(weight) * [1, x, y] - [0, shift].

    x (n, p) float32 or float64 of any strides, y (n, k), shift (p + k,),
    gram (1 + p + k, 1 + p + k).
    """

class ResidualSums:
    """Sums over rows of r = y - x coef - intercept, kept in double-double."""

    def __init__(self, n_features: int, n_targets: int) -> None: ...
    def add(
        self,
        x: NDArray[Any],
        y: _Float64,
        weight: _Float64 | None,
        coef: _Float64,
        intercept: _Float64,
        n_threads: int,
    ) -> None:
        """Add rows: x (n, p) as in accumulate_gram, y (n, k), coef (k, p)."""

    @property
    def shape(self) -> tuple[int, int]:
        """How many features and targets."""

    def merge(self, other: ResidualSums) -> None:
        """Add the sums over other rows."""

    def __getstate__(self) -> tuple[int, _Float64]: ...
    def __setstate__(self, state: tuple[int, _Float64]) -> None: ...
    def gradient(self, center: _Float64, offset: _Float64) -> _Float64:
        """Sums (k, p) of weight * r * (x - center - offset), rounded once."""

    @property
    def residual(self) -> _Float64:
        """Sums (k,) of weight * r."""

    @property
    def squares(self) -> _Float64:
        """Sums (k,) of weight * r**2."""

class Cost:
    """A least-squares cost J of coefficients theta (k, m)."""

    def evaluate(self, theta: _Float64) -> tuple[float, _Float64]:
        """J and its gradient (k, m)."""

class GramCost(Cost):
    """J = sum over targets of (theta H theta)/2 - b theta, plus constant / 2."""

    def __init__(
        self, hessian: _Float64, linear: _Float64, constant: float
    ) -> None: ...

class DenseCost(Cost):
    """J of dense rows x (n, p); they are not copied.

    y (n, k), share (n,) of the total weight, center (p,), scale (p,).
    """

    def __init__(
        self,
        x: _Float64,
        y: _Float64,
        share: _Float64,
        center: _Float64,
        scale: _Float64,
        has_intercept: bool,
        n_threads: int,
    ) -> None: ...

class SparseCost(Cost):
    """J of compressed sparse rows; the rest as in DenseCost."""

    def __init__(
        self,
        data: _Float64,
        indices: NDArray[np.int32],
        indptr: NDArray[np.int32],
        n_features: int,
        y: _Float64,
        share: _Float64,
        center: _Float64,
        scale: _Float64,
        has_intercept: bool,
        n_threads: int,
    ) -> None: ...

class Status(Enum):
    """Why descent is where it is."""

    RUNNING = 0
    CONVERGED = 1
    DIVERGED = 2
    STALLED = 3

class Descent:
    """A run of gradient descent from theta (k, m).

    l1 (p,) and l2 (p,) weigh |theta_j| and theta_j**2 / 2; gradient_floor (k,).
    """

    def __init__(
        self,
        cost: Cost,
        theta: _Float64,
        *,
        l1: _Float64,
        l2: _Float64,
        gradient_floor: _Float64,
        learning_rate: float,
        schedule: str,
        power_t: float,
        momentum: float,
        nesterov: bool,
        tol: float,
        largest_stable_rate: float,
        positive: bool,
        track_path: bool,
    ) -> None: ...
    def run(self, n_iter: int, seconds: float) -> None:
        """At most n_iter further iterations, or about so many seconds."""

    @property
    def status(self) -> Status: ...
    @property
    def n_iter(self) -> int: ...
    @property
    def learning_rate(self) -> float: ...
    @property
    def start_loss(self) -> float: ...
    @property
    def theta(self) -> _Float64:
        """Coefficients (k * m,)."""

    @property
    def path(self) -> _Float64:
        """Coefficients from the start on ((n_iter + 1) * k * m,)."""

    @property
    def loss_curve(self) -> _Float64: ...
    @property
    def gradient_norm_curve(self) -> _Float64: ...
