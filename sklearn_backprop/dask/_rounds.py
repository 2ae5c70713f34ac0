"""Rounds of local descent: shards train apart, and their networks are averaged."""

import copy
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from .._epochs import pass_batches
from .._immutable import immutable
from .._rows import Rows
from .._stored import stored
from ..exceptions import DivergenceError
from ..neural_network._epochs import NetworkEpochs, Settings, draw_order
from ..neural_network._network import Network
from ..neural_network._records import cut_by_name, join_measures
from ..neural_network._schedules import Progress
from ._shards import ShardedRows

__all__ = ["OUTER", "RoundEpochs", "RoundsState", "Summary"]

# Step and momentum of the descent that takes the mean change of the shards for its
# gradient (Douillard et al., 2023).
OUTER: dict[str, tuple[float, float]] = {"nesterov": (0.7, 0.9)}
# How often a round is tried that a worker could not finish.
_RETRIES = 2
# Dropout masks of shards differ in the upper half of their seed.
_SEEDS_APART = 2**32


@stored
@immutable
class Summary:
    """What passes of mini-batches tell; that of others can be added."""

    n_rows: int = 0
    n_steps: int = 0
    loss: float = 0.0  # the mean over rows
    status: str = "ok"
    layer: int = -1
    parameter: int = -1
    records: np.ndarray | None = None  # (n, 5 C + 2)

    @classmethod
    def of(cls, epoch: dict[str, Any], n_rows: int) -> "Summary":
        """Read what the engine says of so many rows."""
        return cls(n_rows=n_rows, **epoch)

    def merge(self, other: "Summary", *, one_record: bool) -> "Summary":
        """What is told of the rows of both, in one record or in one for each step."""
        if self.n_rows == 0 or other.n_rows == 0:
            return self if other.n_rows == 0 else other
        share = other.n_rows / (self.n_rows + other.n_rows)
        bad = next((s for s in (self, other) if s.status != "ok"), self)
        return Summary(
            self.n_rows + other.n_rows,
            self.n_steps + other.n_steps,
            self.loss + share * (other.loss - self.loss),
            bad.status,
            bad.layer,
            bad.parameter,
            self._merge_records(other, share, one_record),
        )

    def epoch(self) -> dict[str, Any]:
        """Say it as the engine does."""
        return {
            "loss": self.loss,
            "n_steps": self.n_steps,
            "status": self.status,
            "layer": self.layer,
            "parameter": self.parameter,
            "records": self.records,
        }

    def _merge_records(self, other, share_of_rows: float, one_record: bool):
        records = [r for r in (self.records, other.records) if r is not None and len(r)]
        if len(records) < 2 or not one_record:
            return np.concatenate(records) if records else self.records
        share = other.n_steps / (self.n_steps + other.n_steps)
        one, two = (
            {name: values[0] for name, values in cut_by_name(record).items()}
            for record in records
        )
        return join_measures(
            {
                name: MERGED[name](
                    one[name],
                    two[name],
                    share_of_rows if name == "saturated_fraction" else share,
                )
                for name in one
            }
        )


def _mean(one, two, share):
    return one + share * (two - one)


def _root_mean_square(one, two, share):
    return np.sqrt(_mean(np.square(one), np.square(two), share))


# Measure of a record -> how those of two are one; share is the second one's. A unit
# that is silent in all rows is so in each part: the least share bounds the whole's.
MERGED = {
    "gradient_norm": _root_mean_square,
    "gradient_norm_max": lambda one, two, share: np.maximum(one, two),
    "update_ratio": _mean,
    "dead_fraction": lambda one, two, share: np.minimum(one, two),
    "saturated_fraction": _mean,
    "clipped_fraction": _mean,
    "global_norm": _root_mean_square,
}


@immutable
class Start:
    """Where all shards begin a round, and how they go."""

    network: Network
    optimizer: dict[str, Any]  # the trainer's state
    random_state: np.random.RandomState  # of the first shard, as the epoch began
    settings: Settings
    progress: Progress
    number: int  # of the round in its epoch
    n_rounds: int
    n_rows: int  # of all shards
    total_weight: float
    weight_unit: float

    def rng(self, shard: int) -> np.random.RandomState:
        """What draws the epoch's order of a shard; the first one's is the fit's own."""
        if shard == 0:
            return copy.deepcopy(self.random_state)
        seed = [self.settings.dropout_seed, shard, int(self.progress.epoch)]
        return np.random.RandomState(seed)

    def batches(self, n_rows: int) -> slice:
        """Mini-batches of this round, of those of an epoch on so many rows."""
        n_batches = -(-n_rows // self.settings.batch_size)
        return slice(*((self.number + i) * n_batches // self.n_rounds for i in (0, 1)))


@immutable
class Local:
    """Where a shard, or several on average, have come to in a round."""

    weight: float  # of the rows that were trained on
    theta: np.ndarray
    running: np.ndarray
    optimizer: dict[str, Any]
    summary: Summary
    one_record: bool
    random_state: np.random.RandomState | None  # the first shard's, after its order

    def merge(self, other: "Local") -> "Local":
        """Average, by weights of rows."""
        weight = self.weight + other.weight
        share = other.weight / weight if weight > 0 else 0.0
        mine, others = self.optimizer, other.optimizer
        moments = _mean(mine["moments"], others["moments"], share)
        return Local(
            weight,
            _mean(self.theta, other.theta, share),
            _mean(self.running, other.running, share),
            {"t": max(mine["t"], others["t"]), "moments": moments},
            self.summary.merge(other.summary, one_record=self.one_record),
            self.one_record,
            self.random_state or other.random_state,
        )


def train_locally(rows: Rows, shard: int, start: Start) -> Local:
    """Train on a shard's rows of one round; a pure function."""
    settings, network = start.settings, start.network
    theta, running = network.snapshot()
    trainer = network.engine.trainer(settings.solver, **settings.optimizer)
    trainer.set_state(start.optimizer)
    rng = start.rng(shard)
    order = draw_order(rows, rng, settings, network.n_members)
    batches, size = start.batches(len(rows)), settings.batch_size
    mine = slice(batches.start * size, min(batches.stop * size, len(rows)))
    n_rows = max(0, mine.stop - mine.start)
    if n_rows < len(rows):
        order = (np.arange(len(rows)) if order is None else order)[mine]
    share = n_rows / start.n_rows
    rates = settings.rates(start.progress, len(rows))
    if isinstance(rates, np.ndarray):
        rates = rates[batches]
    of_pass = settings.of_pass(rates, start.weight_unit)
    summary, weight = Summary(), 0.0
    if n_rows > 0:
        epoch = pass_batches(
            trainer,
            theta,
            running,
            rows,
            order,
            total_weight=start.total_weight * share,
            constants=network.constants,
            **{**of_pass, "alpha": of_pass["alpha"] * share},
            seed=settings.dropout_seed + shard * _SEEDS_APART,
        )
        summary, weight = Summary.of(epoch, n_rows), _weight_of(rows, order)
    return Local(
        weight,
        theta,
        running,
        trainer.get_state(),
        summary,
        one_record=of_pass["record"] == "epoch",
        random_state=rng if shard == 0 else None,
    )


def _weight_of(rows: Rows, order) -> float:
    if rows.weight is None:
        return float(len(rows) if order is None else len(order))
    weight = (
        rows.weight if order is None else rows.weight[order.reshape(len(order), -1)]
    )
    return float(weight.mean(dtype=np.float64) * len(weight))


@stored
@dataclass
class RoundsState:
    """What a fit in rounds knows besides the state of training."""

    n_rounds: int  # of an epoch
    finished: list[Summary] = field(default_factory=list)  # rounds of this epoch
    velocity: np.ndarray | None = None  # of the outer descent


class RoundEpochs(NetworkEpochs):
    """Train a network on shards; an epoch is some rounds, after each they are averaged.

    The state is complete after every round, also when the cluster is lost.
    """

    rows: ShardedRows

    def __init__(self, *args, outer: str | None, rounds: RoundsState):
        super().__init__(*args)
        self.outer, self.rounds = outer, rounds

    def train(self):
        """Train for an epoch, or for the rest of one; undo it where it cannot end."""
        before = copy.copy(self.rounds), self.trainer.get_state()
        before[0].finished = list(self.rounds.finished)
        try:
            return super().train()
        except (DivergenceError, KeyboardInterrupt, MemoryError):
            vars(self.rounds).update(vars(before[0]))
            self.trainer.set_state(before[1])
            raise

    def _pass(self):
        rates = self.settings.rates(self.state.progress, len(self.rows))
        self.rate = float(np.mean(rates))
        while len(self.rounds.finished) < self.rounds.n_rounds:
            mean = self._train_shards()
            if mean.summary.status != "ok":
                return mean.summary.epoch()
            self._take(mean)
        whole = Summary()
        for summary in self.rounds.finished:
            whole = whole.merge(summary, one_record=mean.one_record)
        self.rounds.finished = []
        if not np.isfinite(self.state.network.theta).all():  # the step beyond the mean
            whole = replace(whole, status="weights")
        return whole.epoch()

    def _train_shards(self) -> Local:
        """Let each shard train for a round, and average."""
        cluster = self.rows.cluster
        start = cluster.send(self._start())
        shards = self.rows.shards
        results = cluster.submit_each(
            train_locally, shards, range(len(shards)), common=[start], retries=_RETRIES
        )
        return cluster.merge(results, Local.merge)

    def _start(self) -> Start:
        return Start(
            network=self.state.network,
            optimizer=self.trainer.get_state(),
            random_state=self.state.random_state,
            settings=self.settings,
            progress=self.state.progress,
            number=len(self.rounds.finished),
            n_rounds=self.rounds.n_rounds,
            n_rows=len(self.rows),
            total_weight=self.total_weight,
            weight_unit=self.rows.weight_unit,
        )

    def _take(self, mean: Local) -> None:
        """Go to where the shards are on average, or beyond."""
        network = self.state.network
        theta = mean.theta
        if self.outer is not None:
            theta = self._step_beyond(network.theta, theta)
        network.restore((theta, mean.running))
        self.trainer.set_state(mean.optimizer)
        self.rounds.finished.append(mean.summary)
        if len(self.rounds.finished) == self.rounds.n_rounds:
            self._go_on_drawing(mean.random_state)
        if self.settings.verbose > 1:
            self._say_round(mean.summary)

    def _step_beyond(self, theta: np.ndarray, mean: np.ndarray) -> np.ndarray:
        """Nesterov's step along the mean change of theta."""
        rate, momentum = OUTER[str(self.outer)]
        change = theta - mean
        before = self.rounds.velocity
        self.rounds.velocity = change if before is None else momentum * before + change
        return theta - rate * (change + momentum * self.rounds.velocity)

    def _go_on_drawing(self, drawn: np.random.RandomState | None) -> None:
        """Set the fit's own generator, which others may hold, as the epoch left it."""
        if drawn is not None:
            self.state.random_state.set_state(drawn.get_state())

    def _say_round(self, summary: Summary) -> None:
        number, n_rounds = len(self.rounds.finished), self.rounds.n_rounds
        self.lines.print(f"  Round {number} of {n_rounds}", summary.loss)
