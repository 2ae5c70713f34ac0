"""The line that `verbose` prints of an epoch or iteration."""

import time

__all__ = ["ProgressLines"]


class ProgressLines:
    """Lines of one fit; their times count from its start."""

    def __init__(self):
        self._start = time.perf_counter()

    def print(
        self,
        step: str,
        loss: float,
        *,
        score: float | None = None,
        gradient_norm: float | None = None,
        left: tuple[float, float] | None = None,
    ) -> None:
        """Print what is known after `step`, such as "Iteration 3".

        `left` are bounds of the work to come, as multiples of what is done.
        """
        line = f"{step}, loss = {loss:.8f}"
        if score is not None:
            line += f", validation score = {score:.6f}"
        if gradient_norm is not None:
            line += f", gradient norm = {gradient_norm:.3e}"
        seconds = time.perf_counter() - self._start
        line += f", time = {seconds:.2f} s"
        if left is not None:
            least, most = (f"{seconds * share:.0f}" for share in left)
            line += f", left = {least if least == most else f'{least} to {most}'} s"
        print(line, flush=True)
