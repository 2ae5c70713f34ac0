"""Fitted state as plain data, so that what is stored today can be read later.

A pickle names the module and the class of every object in it. Estimators therefore
store dicts, lists, numbers and arrays in place of their private objects: modules may be
renamed, and fields and parameters that a later release adds take their defaults.
"""

from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from importlib.metadata import version
from inspect import signature
from typing import Any, TypeVar

from ._warning import warn
from .exceptions import InconsistentVersionWarning

__all__ = ["StoredStateMixin", "pack", "stored", "this_version", "unpack"]

_KIND = "_kind"
_VERSION = "_sklearn_backprop_version"
_KINDS: dict[str, type] = {}

_C = TypeVar("_C", bound=type)


def stored(cls: _C) -> _C:
    """Register a dataclass that fitted estimators hold, by its name."""
    _KINDS[cls.__name__] = cls
    return cls


def pack(thing: Any) -> Any:
    """Write registered dataclasses, also inside lists and dicts, as dicts."""
    if type(thing) in _KINDS.values():
        names = [
            field.name for field in fields(thing) if not field.name.startswith("_")
        ]
        values = {name: pack(getattr(thing, name)) for name in names}
        return {_KIND: type(thing).__name__, **values}
    if isinstance(thing, dict):
        return {name: pack(value) for name, value in thing.items()}
    if type(thing) in (list, tuple):
        return type(thing)(map(pack, thing))
    return thing


def unpack(plain: Any) -> Any:
    """Make again what `pack` has written."""
    if isinstance(plain, dict):
        values = {name: unpack(value) for name, value in plain.items()}
        kind = values.pop(_KIND, None)
        return values if kind is None else _KINDS[kind](**values)
    if type(plain) in (list, tuple):
        return type(plain)(map(unpack, plain))
    return plain


@cache
def this_version() -> str:
    """Look up the version of the package: that takes longer than to train a network."""
    return version("sklearn-backprop")


class StoredStateMixin:
    """Stores private state as plain data, with the version that wrote it."""

    def __getstate__(self) -> dict[str, Any]:
        state: Mapping[str, Any] = super().__getstate__()  # type: ignore[assignment]
        packed = {
            name: pack(value) if name.startswith("_") else value
            for name, value in state.items()
        }
        return {**packed, _VERSION: this_version()}

    def __setstate__(self, state: Mapping[str, Any]) -> None:
        written_by = state.get(_VERSION, "before 0.1.0")
        if written_by != this_version():
            warn(
                InconsistentVersionWarning(
                    estimator_name=type(self).__name__,
                    current_version=this_version(),
                    original_version=written_by,
                )
            )
        unpacked = {
            name: unpack(value) if name.startswith("_") else value
            for name, value in state.items()
            if name != _VERSION
        }
        super().__setstate__({**_defaults(type(self)), **unpacked})  # type: ignore[misc]


def _defaults(cls: type) -> dict[str, Any]:
    """Give the defaults of constructor's arguments, for those that came later."""
    return {name: of.default for name, of in signature(cls).parameters.items()}
