"""Packages that are no dependency: imported when they are needed."""

import importlib
from types import ModuleType

__all__ = ["require"]

# Package -> the extra that installs it.
_EXTRAS = {
    "onnx": "onnx",
    "skl2onnx": "onnx",
    "skops": "skops",
    "dask": "dask",
    "distributed": "dask",
}


def require(package: str, caller: str) -> ModuleType:
    """Import a package, or say how it is installed."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise ImportError(
            f"{caller} needs the package {package}, which is not installed. It comes "
            f'with the extra "{_EXTRAS[package]}": pip install '
            f'"sklearn-backprop[{_EXTRAS[package]}]"'
        ) from error
