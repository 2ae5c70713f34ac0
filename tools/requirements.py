"""Print requirements that pyproject.toml already states, for pip's command line.

``build``: what building the wheel needs, CMake and Ninja only where they are missing.
``oldest``: the run-time dependencies at the lowest releases that are declared.
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


def oldest(project: dict) -> list[str]:
    """Each declared lower bound as the one release allowed."""
    return [line.replace(">=", "==") for line in project["project"]["dependencies"]]


if __name__ == "__main__":
    asked = {"build": build, "cmake": cmake, "oldest": oldest}[sys.argv[1]]
    print(*asked(tomllib.loads(PYPROJECT.read_text(encoding="utf-8"))))
