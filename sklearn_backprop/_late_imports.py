"""Modules that are imported when they are needed, and the errors of that moment."""

import importlib
import mmap
import sys
from types import ModuleType

__all__ = ["import_late", "require"]

# Package -> the extra that installs it.
_EXTRAS = {
    "onnx": "onnx",
    "skl2onnx": "onnx",
    "skops": "skops",
    "dask": "dask",
    "distributed": "dask",
}
_ROOM = 2**25  # bytes: some times what scikit-learn's trees take


def import_late(module: str) -> ModuleType:
    """Import in the midst of work, where memory that runs out is a MemoryError.

    Room is asked for first: a compiled module that finds none raises ImportError, and
    some that fail in the midst of their own imports end the process.
    """
    if module not in sys.modules:
        try:
            mmap.mmap(-1, _ROOM).close()
        except OSError as error:
            raise MemoryError(f"There is no memory left to load {module}.") from error
    return importlib.import_module(module)


def require(package: str, caller: str) -> ModuleType:
    """Import a package that is no dependency, or say how it is installed."""
    try:
        return import_late(package)
    except ImportError as error:
        raise ImportError(
            f"{caller} needs the package {package}, which is not installed. It comes "
            f'with the extra "{_EXTRAS[package]}": pip install '
            f'"sklearn-backprop[{_EXTRAS[package]}]"'
        ) from error
