"""What is installed: no more and no less than a user needs."""

import os
import re
import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib import metadata, resources
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import sklearn_backprop

DISTRIBUTION = "sklearn-backprop"
ROOT = Path(__file__).resolve().parents[1]


def test_run_time_dependencies_are_three():
    requirements = metadata.requires(DISTRIBUTION)
    always = [line for line in requirements if "extra ==" not in line]
    names = {line.split(">")[0].strip() for line in always}
    assert names == {"scikit-learn", "numpy", "scipy"}


def test_extras_promised_in_the_documentation_exist():
    extras = metadata.metadata(DISTRIBUTION).get_all("Provides-Extra")
    assert {"plot", "progress", "onnx", "skops", "dask", "test", "lint"} <= set(extras)


def test_types_are_installed():
    package = resources.files("sklearn_backprop")
    assert package.joinpath("py.typed").is_file()
    names = [entry.name for entry in package.joinpath("engine").iterdir()]
    assert [name for name in names if name.endswith(".pyi")]


def test_no_sources_are_installed():
    unwanted = {".cpp", ".hpp", ".txt", ".cmake", ".clang-format"}
    installed = [
        path
        for path in metadata.files(DISTRIBUTION)
        if path.parts[0] == "sklearn_backprop"
    ]
    assert not [path for path in installed if path.suffix in unwanted]
    assert not [path for path in installed if "tests" in path.parts]
    top_level = {path.parts[0] for path in metadata.files(DISTRIBUTION)}
    assert "tests" not in top_level


OPTIONAL = "matplotlib", "rich", "onnx", "skl2onnx", "skops", "dask", "distributed"


@pytest.mark.once
def test_import_needs_no_optional_dependency(tmp_path):
    # Hidden rather than looked for: scikit-learn itself imports rich where it can.
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL})); "
        "import sklearn_backprop.inspection, sklearn_backprop.exchange"
    )
    subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, check=True)


@pytest.mark.once
def test_import_needs_no_callbacks(tmp_path):
    """As with scikit-learn 1.7 and 1.8: without set_callbacks, and fitting."""
    code = (
        "import sys, sklearn.neural_network, sklearn.linear_model, sklearn.pipeline\n"
        "hidden = {n: m for n, m in sys.modules.items() if n == 'sklearn.callback'}\n"
        "sys.modules['sklearn.callback'] = None\n"
        "import sklearn_backprop\n"
        "del sys.modules['sklearn.callback']\n"
        "sys.modules.update(hidden)\n"
        "for name in sklearn_backprop.__all__:\n"
        "    model = getattr(sklearn_backprop, name)(max_iter=2)\n"
        "    assert not hasattr(model, 'set_callbacks')\n"
        "    assert model.fit([[0.0], [1.0]], [0, 1]).n_iter_ == 2 or 'GD' in name\n"
    )
    subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, check=True)


# ---- A release -----------------------------------------------------------------------


def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
        "project"
    ]


def test_the_version_is_stated_once():
    stated = project()["version"]
    assert sklearn_backprop.__version__ == metadata.version(DISTRIBUTION) == stated
    places = [*ROOT.glob("sklearn_backprop/**/*.py"), ROOT / "docs" / "conf.py"]
    places += [ROOT / "CITATION.cff", *ROOT.glob("sklearn_backprop/engine/*.txt")]
    assert not [path for path in places if stated in path.read_text(encoding="utf-8")]


def releases():
    """Return the headings of the changelog as (name, date), newest first."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## \[(.+?)\](?: - (\d{4}-\d\d-\d\d))?$", text, re.M)
    assert len(headings) == len(re.findall(r"^## ", text, re.M))
    return headings


def test_each_release_has_its_changes():
    dated = [(Version(name), date) for name, date in releases() if name != "Unreleased"]
    assert all(date for _, date in dated)
    versions = [version for version, _ in dated]
    assert versions == sorted(set(versions), reverse=True)
    current = Version(project()["version"])
    if current.is_prerelease:
        assert releases()[0][0] == "Unreleased"
        assert all(current > version for version in versions)
    else:
        assert releases()[0][0] == str(current)


def test_each_release_has_its_stored_models():
    folder = ROOT / "tests" / "data" / "models"
    names = {name for name, _ in releases() if name != "Unreleased"}
    assert names <= {path.name for path in folder.iterdir()}


def test_the_license_is_the_same_everywhere():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"license: {project()['license']}" in citation


def needed(name, found):
    """Names of distributions that an installed one needs, extras left out."""
    for line in metadata.requires(name) or []:
        requirement = Requirement(line)
        is_asked = requirement.marker is None or requirement.marker.evaluate(
            {"extra": ""}
        )
        if is_asked and requirement.name not in found:
            found.add(requirement.name)
            needed(requirement.name, found)
    return found


def link_into(folder, names):
    """Make distributions importable from a folder, and nothing else."""
    for name in names:
        distribution = metadata.distribution(name)
        tops = {path.parts[0] for path in distribution.files} - {"..", "__pycache__"}
        for top in tops:
            (folder / top).symlink_to(distribution.locate_file(top))


@pytest.mark.once
def test_the_wheel_works_where_neither_compiler_nor_anything_else_is(tmp_path):
    wheels = sorted(ROOT.glob("build/release/wheel/*.whl"))
    if not wheels:
        pytest.skip("`make` builds the wheel that is tried here")
    venv.create(tmp_path / "empty", with_pip=False)
    base = {"base": str(tmp_path / "empty"), "platbase": str(tmp_path / "empty")}
    site = Path(sysconfig.get_path("purelib", "venv", base))
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index"]
    subprocess.run([*pip, "--no-deps", "--target", site, wheels[-1]], check=True)
    link_into(site, needed(DISTRIBUTION, set()))
    python = Path(sysconfig.get_path("scripts", "venv", base), "python")
    done = subprocess.run(
        [python, "-W", "ignore", ROOT / "tools" / "check_wheel.py"],
        cwd=tmp_path,
        env={"PATH": str(tmp_path), "HOME": str(tmp_path)}
        | {key: os.environ[key] for key in ("OMP_NUM_THREADS",) if key in os.environ},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "GDLinearRegression: 0." in done.stdout
