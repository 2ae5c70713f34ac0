"""scikit-learn's callbacks where it has them (1.9 and newer); silence where not."""

from collections.abc import Callable
from typing import Any

try:
    from sklearn.callback import CallbackSupportMixin
except ImportError:  # scikit-learn 1.7 and 1.8

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Without callbacks there is nothing to support."""


__all__ = ["CallbackSupportMixin", "FitTasks"]


class FitTasks:
    """A fit and its subtasks, one after the other, as callbacks are told of them.

    Where the estimator has no callbacks, all methods return at once. Who begins
    subtasks sets `attributes_of` first: it turns a state of training into the
    attributes of an estimator whose fit stopped there. Callbacks are torn down by the
    `_fit_context` around `fit`, also when an exception leaves it.
    """

    attributes_of: Callable[[Any], dict[str, Any]]

    def __init__(
        self,
        estimator,
        max_subtasks: Callable[[], int],
        X,
        y,
        sample_weight,
    ):
        self._fit: Any = None
        self._task: Any = None
        if not hasattr(estimator, "_skl_callbacks"):
            return
        self._told = {
            "estimator": estimator,
            "X": X,
            "y": y,
            "metadata": {}
            if sample_weight is None
            else {"sample_weight": sample_weight},
        }
        self._fit = estimator._init_callback_context(max_subtasks=max_subtasks())
        self._fit.call_on_fit_task_begin(**self._told)

    @property
    def are_watched(self) -> bool:
        """Whether there are callbacks."""
        return self._fit is not None

    def begin(self, name: str) -> None:
        """Begin a subtask, unless one is under way."""
        if self._fit is not None and self._task is None:
            self._task = self._fit.subcontext(task_name=name)
            self._task.call_on_fit_task_begin(**self._told)

    def end(self, state: Callable[[], Any]) -> bool:
        """End the subtask; tell whether a callback asks to stop.

        `state` is called only if a callback wants to see a fitted estimator.
        """
        if self._task is None:
            return False
        task, self._task = self._task, None
        return task.call_on_fit_task_end(
            **self._told,
            reconstruction_attributes=lambda: self.attributes_of(state()),
        )

    def finish(self) -> None:
        """End the fit: the estimator itself is fitted now."""
        if self._fit is not None:
            self._fit.call_on_fit_task_end(**self._told, reconstruction_attributes={})
