"""Constructors that take all that another class's takes, and more."""

import inspect
from collections.abc import Callable

__all__ = ["constructor_like"]


def constructor_like(base: type, **added) -> Callable:
    """A constructor with the parameters of a base class and those added, by keyword.

    It stores arguments untouched, as scikit-learn wants them; a parameter that the base
    gains is there at once.
    """
    inherited = inspect.signature(vars(base)["__init__"])
    more = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
        for name, default in added.items()
    ]
    signature = inherited.replace(parameters=[*inherited.parameters.values(), *more])

    def construct(self, *args, **kwargs):
        arguments = signature.bind(self, *args, **kwargs)
        arguments.apply_defaults()
        _, *named = arguments.arguments.items()
        for name, value in named:
            setattr(self, name, value)

    construct.__signature__ = signature  # type: ignore[attr-defined]
    return construct
