"""What freezing layers saves: steps of the same network, frozen from the input on."""

import argparse
import warnings

import numpy as np
from measuring import interleaved
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklearn_backprop import BackpropMLPClassifier

# features-(hidden layers), rows of a mini-batch
JOBS = {
    "64-(256, 256, 256), 128": (64, (256, 256, 256), 128),
    "100-(512, 512, 512), 512": (100, (512, 512, 512), 512),
    "64-(128,) * 8, 200": (64, (128,) * 8, 200),
    "64-(256, 256) batch normalization, 128": (64, (256, 256), 128),
}
N_CLASSES, N_STEPS = 10, 40


def run_frozen(options: argparse.Namespace) -> None:
    """Time steps with no layer, half of them, and all but the last one frozen."""
    warnings.simplefilter("ignore", ConvergenceWarning)
    for dtype in ("float32", "float64"):
        print(f"\n{dtype:40} us/step, and how many times as fast with frozen layers")
        for name, job in JOBS.items():
            print_job(name, job, dtype, options)


def print_job(name: str, job, dtype: str, options: argparse.Namespace) -> None:
    n_features, widths, batch_size = job
    rng = np.random.default_rng(0)
    X = rng.standard_normal((N_STEPS * batch_size, n_features)).astype(dtype)
    y = rng.integers(N_CLASSES, size=len(X))
    norm = "batch" if "normalization" in name else None
    usual = {
        "batch_size": batch_size,
        "normalization": norm,
        "random_state": 0,
        "n_iter_no_change": np.inf,
    }
    source = BackpropMLPClassifier(widths, **usual, max_iter=1).fit(X, y)
    n_layers = len(widths) + 1

    def prepare(n_frozen):
        rates = None if n_frozen == 0 else np.arange(n_layers) >= n_frozen
        model = BackpropMLPClassifier(
            widths, **usual, pretrained=source, layer_rates=rates
        )
        model.partial_fit(X, y, classes=np.arange(N_CLASSES))
        return lambda: model.partial_fit(X, y)

    calls = {n: prepare(n) for n in (0, n_layers // 2, n_layers - 1)}
    with threadpool_limits(options.jobs):
        measured = interleaved(calls, options.repeat, options.budget)
    whole = measured[0].best
    gains = [
        f"{n_frozen} of {n_layers} frozen: {whole / measured[n_frozen].best:.2f}"
        for n_frozen in list(calls)[1:]
    ]
    print(f"{name:40} {whole / N_STEPS * 1e6:8.0f}   {',  '.join(gains)}")
