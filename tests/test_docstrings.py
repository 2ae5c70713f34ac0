"""The examples in docstrings of public modules, run on the installed package."""

import doctest
import importlib
import pkgutil
import warnings

import pytest

import sklearn_backprop


def modules() -> list[str]:
    found = pkgutil.walk_packages(sklearn_backprop.__path__, "sklearn_backprop.")
    return ["sklearn_backprop", *(module.name for module in found)]


@pytest.mark.parametrize("name", modules())
def test_docstring_examples(name):
    module = importlib.import_module(name)
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "Creating scratch directories")  # by Dask
        assert doctest.testmod(module, optionflags=flags).failed == 0


@pytest.mark.parametrize("name", sklearn_backprop.__all__)
def test_public_classes_show_an_example(name):
    assert ">>> " in getattr(sklearn_backprop, name).__doc__
