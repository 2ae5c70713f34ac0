"""Imports point downward: engine and diagnosis, then estimators, then displays."""

import ast
from pathlib import Path

import pytest

import sklearn_backprop

PACKAGE = Path(sklearn_backprop.__file__).parent
# Room -> rooms above it, or beside it, of which it knows nothing.
UNKNOWN = {
    "engine": ["_diagnosis", "linear_model", "neural_network", "inspection"],
    "_diagnosis": ["engine", "linear_model", "neural_network", "inspection"],
    "linear_model": ["neural_network", "inspection"],
    "neural_network": ["linear_model", "inspection"],
    "inspection": ["engine", "linear_model", "neural_network"],
    "dask": ["inspection", "exchange"],
}


def imported_rooms(path: Path) -> set[str]:
    """Rooms of the package that a file imports from, wherever in it."""
    depth = len(path.relative_to(PACKAGE).parts)
    rooms = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level == depth:
            names = [node.module] if node.module else [n.name for n in node.names]
            rooms |= {name.partition(".")[0] for name in names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            rooms |= absolute(node.module)
        elif isinstance(node, ast.Import):
            rooms |= {room for name in node.names for room in absolute(name.name)}
    return rooms


def absolute(module: str) -> set[str]:
    package, _, rest = module.partition(".")
    return {rest.partition(".")[0]} if package == "sklearn_backprop" else set()


@pytest.mark.parametrize("room", UNKNOWN)
def test_a_room_knows_only_what_lies_below(room):
    files = list((PACKAGE / room).glob("*.py"))
    assert files
    for path in files:
        assert not imported_rooms(path) & set(UNKNOWN[room]), path


def test_what_all_rooms_share_knows_none_of_them():
    # `_fitted.py` reads fitted estimators for the tools above them.
    for path in set(PACKAGE.glob("_[a-z]*.py")) - {PACKAGE / "_fitted.py"}:
        rooms = imported_rooms(path)
        assert not rooms & (set(UNKNOWN) - {"engine", "_diagnosis"}), path
