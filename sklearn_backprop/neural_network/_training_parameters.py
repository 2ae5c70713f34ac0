"""The hyper-parameters of training: constraints, descriptions, and what loops read."""

from collections.abc import Sized
from numbers import Integral, Real

import numpy as np
from sklearn.utils._param_validation import Interval, Options, StrOptions

from .._parameters import CheckedParameters
from .._warning import warn
from ._epochs import Settings
from ._schedules import SCHEDULES, Schedule
from ._solvers import SOLVERS, engine_settings

__all__ = ["TrainingParameters"]


class TrainingParameters(CheckedParameters):
    """The hyper-parameters by which every network is trained.

    Parameters
    ----------
    solver : {"adam", "adamw", "muon", "sgd", "adagrad", "rmsprop", "lbfgs"}, \
            default="adam"
        All but "lbfgs" step once per mini-batch. "muon" gives the weight matrices of
        hidden layers steps that go equally far in all directions of their momentum
        (Jordan et al., 2024), as long as "adamw"'s, whose steps all else takes. "lbfgs"
        is a quasi-Newton method on all rows at once, for small tables.
    alpha : float, default=0.0001
        Strength of the L2 penalty on the weight matrices. The objective is the
        weighted mean loss + alpha / (2 * total weight of the training rows) * sum of
        squared weights, whatever the batch size.
    weight_decay : float, default=0.01
        Decoupled decay of the weight matrices for solver="adamw" and "muon" (Loshchilov
        & Hutter, 2019).
    clip : float or None, default=None
        Threshold beyond which gradients are clipped before the step.
    clip_mode : {"norm", "value"}, default="norm"
        Scale the whole gradient down to the norm `clip`, keeping its direction, or
        cut each element to [-clip, clip].
    batch_size : int or "auto", default="auto"
        Rows per mini-batch; "auto" is min(200, n_samples).
    learning_rate : str, default="constant"
        Rate of each epoch, for every solver but "lbfgs": "constant"; "invscaling",
        learning_rate_init / (`t_` + 1) ** power_t; "adaptive", divided by 5 whenever
        training stalls; "exponential", times `decay_rate` each epoch; "cosine", down
        to zero over `max_iter` epochs; "coslog", up from zero and down again four
        times over `max_iter` epochs, each rise and fall twice as long as the one
        before, with a rate of its own for each step (Holzmueller et al., 2024).
    learning_rate_init : float, default=0.001
        The rate that the schedule starts from.
    power_t : float, default=0.5
        Exponent of "invscaling".
    decay_rate : float in (0, 1], default=0.95
        Factor per epoch of "exponential".
    warmup_epochs : int, default=0
        Epochs over which the rate first grows linearly to the schedule's.
    max_iter : int, default=200
        Largest number of epochs, or of iterations of "lbfgs".
    shuffle : bool, default=True
        Whether to draw a new order of rows for every epoch.
    random_state : int, RandomState instance or None, default=None
        Determines the starting weights, the order of rows, the dropout masks and the
        rows held out by `early_stopping`.
    tol : float, default=1e-4
        Training stops when the loss, or the validation score, has not improved by
        `tol` for `n_iter_no_change` epochs; for "lbfgs" the bound on the gradient.
    verbose : bool or int, default=False
        Whether to print a line per epoch: loss, validation score, norm of the whole
        gradient, and seconds since the start.
    warm_start : bool, default=False
        Whether `fit` continues from the last fit: weights, optimizer, schedule and
        random numbers go on as if training had not been interrupted.
    momentum : float in [0, 1], default=0.9
        Momentum of "sgd", and of the matrices of "muon".
    nesterovs_momentum : bool, default=True
        Whether that momentum is Nesterov's.
    early_stopping : bool, default=False
        Whether to hold out `validation_fraction` of the rows and to stop when their
        score stalls; the best weights are kept.
    validation_fraction : float in [0, 1), default=0.1
        Share of rows held out by `early_stopping`.
    beta_1 : float in [0, 1), default=0.9
        Decay rate of the first moment of "adam", "adamw" and "muon", the mean
        gradient.
    beta_2 : float in [0, 1), default=0.999
        Decay rate of the second one, the mean squared gradient.
    epsilon : float, default=1e-8
        Keeps divisions finite in all solvers but "sgd" and "lbfgs".
    n_iter_no_change : int or inf, default=10
        Epochs without improvement after which training stops.
    max_fun : int, default=15000
        Largest number of evaluations of "lbfgs".
    track_gradients : {"epoch", "batch"} or None, default="epoch"
        Whether `gradient_history_` has a row per epoch, per mini-batch, or none.

    References
    ----------
    Jordan, K., Jin, Y., Boza, V., You, J., Cesista, F., Newhouse, L., & Bernstein, J.
    (2024). Muon: an optimizer for hidden layers in neural networks.

    Loshchilov, I., & Hutter, F. (2019). Decoupled weight decay regularization. ICLR.

    Holzmueller, D., Grinsztajn, L., & Steinwart, I. (2024). Better by default: strong
    pre-tuned MLPs and boosted trees on tabular data. NeurIPS.
    """

    _parameter_constraints: dict = {
        "solver": [StrOptions(set(SOLVERS))],
        "alpha": [Interval(Real, 0, None, closed="left")],
        "weight_decay": [Interval(Real, 0, None, closed="left")],
        "clip": [Interval(Real, 0, None, closed="neither"), None],
        "clip_mode": [StrOptions({"norm", "value"})],
        "batch_size": [
            StrOptions({"auto"}),
            Interval(Integral, 1, None, closed="left"),
        ],
        "learning_rate": [StrOptions(set(SCHEDULES))],
        "learning_rate_init": [Interval(Real, 0, None, closed="neither")],
        "power_t": [Interval(Real, 0, None, closed="left")],
        "decay_rate": [Interval(Real, 0, 1, closed="right")],
        "warmup_epochs": [Interval(Integral, 0, None, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "shuffle": ["boolean"],
        "random_state": ["random_state"],
        "tol": [Interval(Real, 0, None, closed="left")],
        "verbose": ["verbose"],
        "warm_start": ["boolean"],
        "momentum": [Interval(Real, 0, 1, closed="both")],
        "nesterovs_momentum": ["boolean"],
        "early_stopping": ["boolean"],
        "validation_fraction": [Interval(Real, 0, 1, closed="left")],
        "beta_1": [Interval(Real, 0, 1, closed="left")],
        "beta_2": [Interval(Real, 0, 1, closed="left")],
        "epsilon": [Interval(Real, 0, None, closed="neither")],
        "n_iter_no_change": [
            Interval(Integral, 1, None, closed="left"),
            Options(Real, {np.inf}),
        ],
        "max_fun": [Interval(Integral, 1, None, closed="left")],
        "track_gradients": [StrOptions({"epoch", "batch"}), None],
    }

    def _setting(self, name: str):
        """A parameter as the fit takes it."""
        return getattr(self, name)

    def _settings(self, batch_size: int, dropout_seed: int) -> Settings:
        """What the loop over epochs reads."""
        return Settings(
            solver=self._setting("solver"),
            optimizer=engine_settings(self),
            schedule=self._schedule(),
            alpha=float(self.alpha),
            batch_size=batch_size,
            clip=None if self.clip is None else float(self.clip),
            clip_mode=self.clip_mode,
            record=self.track_gradients,
            shuffle=bool(self.shuffle),
            members_have_own_orders=self._members_have_own_orders(),
            tol=self.tol,
            n_iter_no_change=self.n_iter_no_change,
            averaging=self._averaging(),
            verbose=self.verbose,
            dropout_seed=dropout_seed,
        )

    def _members_have_own_orders(self) -> bool:
        """Whether each member of an ensemble goes through the rows in its own order."""
        return False

    def _averaging(self) -> float:
        """Share that the mean of weights so far has in that of the next epoch."""
        return 0.0

    def _schedule(self) -> Schedule:
        return Schedule(
            self._setting("learning_rate"),
            float(self._setting("learning_rate_init")),
            power_t=self.power_t,
            decay_rate=self.decay_rate,
            max_iter=self._setting("max_iter"),
            warmup_epochs=self.warmup_epochs,
        )

    def _rows_per_batch(self, training: Sized, n_given: int) -> int:
        """Rows of a mini-batch; a batch larger than all rows that were given warns."""
        size = self._setting("batch_size")
        if size == "auto":
            return min(200, len(training))
        if size > n_given:
            warn(
                "Got `batch_size` less than 1 or larger than sample size. It is going "
                "to be clipped"
            )
        return int(min(size, len(training)))

    def _takes_batches(self) -> bool:
        """Whether `partial_fit` is there; `available_if` shows the reason if not."""
        if self.solver == "lbfgs":
            raise AttributeError(
                "partial_fit is only available for stochastic optimizers. "
                f"{self.solver} is not stochastic."
            )
        return True
