"""What the docstring of every public name has: shapes, errors, sources, an example."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest
from sklearn.base import BaseEstimator

import sklearn_backprop

pytestmark = pytest.mark.once

ROOT = Path(__file__).resolve().parents[1]
INDEX = (ROOT / "docs" / "api" / "index.rst").read_text(encoding="utf-8")
MODULES = re.findall(r"^   (sklearn_backprop[a-z_.]*)$", INDEX, flags=re.M)
SINGLE = re.findall(r"^   (sklearn_backprop[a-z_.]*)\.([A-Z]\w*)$", INDEX, flags=re.M)
NAMED_BY_THE_PACKAGE = {
    f"sklearn_backprop.{name}" for name in ("engine", "linear_model", "neural_network")
}
ARRAY = re.compile(r"\b(ndarray|array-like|sparse matrix)\b")


def public_names():
    for module in MODULES:
        names = importlib.import_module(module)
        yield from ((module, name) for name in names.__all__)
    yield from SINGLE


def is_kind(of, kind):
    return inspect.isclass(of) and issubclass(of, kind)


def sections_of(of) -> set[str]:
    """The sections that numpydoc knows and that a docstring of this kind needs."""
    if inspect.isfunction(of):
        signature = inspect.signature(of)
        takes = {"Parameters"} if signature.parameters else set()
        gives = {"Returns"} if signature.return_annotation is not None else set()
        return takes | gives | {"Raises", "References", "Examples"}
    if is_kind(of, BaseEstimator):
        fitted = {"Attributes"} if hasattr(of, "fit") else set()
        return {"Parameters", "References", "Examples"} | fitted
    if hasattr(of, "from_estimator"):
        return {"Parameters", "Attributes", "References", "Examples"}
    return {"Examples"}


def own_methods(of):
    """Public methods that this package defines, with their functions."""
    for name, member in inspect.getmembers(of, inspect.isroutine):
        module = getattr(member, "__module__", None) or ""
        if name[0] != "_" and module.startswith("sklearn_backprop."):
            yield name, member


def arrays_without_shapes(docstring) -> list[str]:
    entries = [
        entry
        for section in ("Parameters", "Attributes", "Returns")
        for entry in docstring[section]
    ]
    return [
        f"{entry.name} : {entry.type}"
        for entry in entries
        if ARRAY.search(entry.type)
        and "shape" not in entry.type
        and not re.search(
            r"\b(array-like of (int|str)|ndarray of str|(list|dict|tuple) of)\b",
            entry.type,
        )
    ]


def parsed(of):
    from sklearn.externals._numpydoc.docscrape import NumpyDocString  # 1.7 has none

    return NumpyDocString(inspect.getdoc(of) or "")


@pytest.mark.parametrize(("module", "name"), public_names())
def test_docstring_has_what_its_kind_needs(module, name):
    of = getattr(importlib.import_module(module), name)
    if not callable(of):  # a constant: its module says what it is
        return
    docstring = parsed(of)
    missing = {section for section in sections_of(of) if not docstring[section]}
    assert not missing
    assert ">>> " in "\n".join(docstring["Examples"])
    assert not arrays_without_shapes(docstring)


@pytest.mark.parametrize(("module", "name"), public_names())
def test_methods_say_what_they_take_and_give(module, name):
    of = getattr(importlib.import_module(module), name)
    if not inspect.isclass(of):
        return
    for method, function in own_methods(of):
        docstring = parsed(function)
        assert docstring["Summary"], method
        takes = list(inspect.signature(function).parameters)
        assert bool(docstring["Parameters"]) == bool(set(takes) - {"self"}), method
        assert docstring["Returns"] or docstring["Yields"], method
        assert not arrays_without_shapes(docstring), method
        if method in ("fit", "partial_fit", "from_estimator"):
            assert docstring["Raises"], method


def test_every_public_module_is_in_the_index():
    found = pkgutil.iter_modules(sklearn_backprop.__path__, "sklearn_backprop.")
    modules = {module.name for module in found if "._" not in module.name}
    assert modules - NAMED_BY_THE_PACKAGE <= set(MODULES)


def test_every_public_name_is_in_the_index():
    shown = {name for _, name in public_names()}
    for module in NAMED_BY_THE_PACKAGE:
        assert set(getattr(importlib.import_module(module), "__all__", [])) <= shown
