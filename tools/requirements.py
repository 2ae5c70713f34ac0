"""Print requirements that pyproject.toml already states, for pip's command line.

``build``: what building the wheel needs, CMake and Ninja only where they are missing.
``newest EXTRA ...``: the run-time dependencies, and those of the named extras.
``oldest EXTRA ...``: the same, the former at the lowest releases that are declared.
"""

import sys
import tomllib
from pathlib import Path

PYPROJECT = Path(__file__).resolve().parents[1] / "pyproject.toml"


def build(project: dict) -> list[str]:
    """``build-system.requires``."""
    return project["build-system"]["requires"]


def cmake(project: dict) -> list[str]:
    """Tell what scikit-build-core, installed by now, misses on this machine."""
    from scikit_build_core.build import get_requires_for_build_wheel

    return get_requires_for_build_wheel()


def newest(project: dict, *extras: str) -> list[str]:
    """All lower bounds as they are declared."""
    optional = project["project"]["optional-dependencies"]
    of_extras = [line for extra in extras for line in optional[extra]]
    return project["project"]["dependencies"] + of_extras


def oldest(project: dict, *extras: str) -> list[str]:
    """Each lower bound of a run-time dependency as the one release allowed."""
    return [
        line.replace(">=", "==") if line in project["project"]["dependencies"] else line
        for line in newest(project, *extras)
    ]


if __name__ == "__main__":
    kinds = {"build": build, "cmake": cmake, "newest": newest, "oldest": oldest}
    kind, *extras = sys.argv[1:]
    project = tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))
    print(*kinds[kind](project, *extras))
