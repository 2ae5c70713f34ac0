"""Classes of values that nothing changes."""

from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

__all__ = ["immutable"]

_T = TypeVar("_T")


@dataclass_transform(frozen_default=True)
def immutable(cls: type[_T]) -> type[_T]:
    """Make a dataclass whose fields the type checker lets nobody assign.

    `dataclass(frozen=True)` writes and compiles code for comparisons, a repr and the
    refusal of assignments, which for the package's forty such classes would take half
    of the time of importing it. Classes that users see have all that.
    """
    return dataclass(eq=False, repr=False)(cls)
