"""Documentation that can lie is executed: README, examples, names of make's targets."""

import doctest
import os
import re
import runpy
import subprocess
import sys
import tomllib
import warnings
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import pytest
from threadpoolctl import threadpool_limits

import sklearn_backprop
from sklearn_backprop._diagnosis._finding import _TITLES
from sklearn_backprop.neural_network._initializers import INITIALIZERS
from sklearn_backprop.neural_network._labels import CLASSIFICATION_LOSSES
from sklearn_backprop.neural_network._numbers import REGRESSION_LOSSES
from sklearn_backprop.neural_network._perceptron import ACTIVATIONS
from sklearn_backprop.neural_network._schedules import SCHEDULES
from sklearn_backprop.neural_network._solvers import STOCHASTIC_SOLVERS

ROOT = Path(__file__).resolve().parents[1]
PAGES = [
    "README.md",
    "README.zh-CN.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    "docs/design.md",
]
SITE_PAGES = sorted(
    str(path.relative_to(ROOT))
    for pages in ("index.rst", "guide/**/*.rst", "how_to/**/*.rst")
    for path in (ROOT / "docs").glob(pages)
)
EXAMPLES = [
    # Of the cluster's own test, Dask is as new with the oldest dependencies.
    pytest.param(path, marks=[pytest.mark.once] if "dask" in path.stem else [])
    for path in sorted((ROOT / "examples").glob("*.py"))
]
# Every line runs on a smaller problem, too; `make docs` runs the whole.
SMALLER = {
    "compare_dask": "--rows 2000",
    "compare_networks": "--seeds 1",
    "plot_fine_tuning": "--draws 2",
    "plot_residual_depth": "--depths 5 30 --epochs 5",
    "plot_sequences": "--rows 500",
}


QUOTED = re.compile(r"^\.\. literalinclude:: (\S+)\n((?:   +:.*\n)*)", flags=re.M)


def run_python(arguments: list[str], folder: Path) -> str:
    """Run Python in ``folder`` on the installed package; warnings are errors."""
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONSAFEPATH": "1"}
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def blocks(page: str, language: str) -> list[str]:
    text = (ROOT / page).read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```$", text, flags=re.M | re.S)


def python_blocks(page: str) -> list[str]:
    return blocks(page, "python")


def once(page):
    return pytest.param(page, marks=pytest.mark.once)


@pytest.mark.parametrize(
    "page", ["README.md", once("README.zh-CN.md"), once("CONTRIBUTING.md")]
)
def test_code_of_a_page_runs_from_top_to_bottom(page, tmp_path):
    script = tmp_path / "page.py"
    script.write_text("\n".join(python_blocks(page)), encoding="utf-8")
    run_python([str(script)], tmp_path)


@pytest.mark.once
def test_the_layer_that_is_shown_compiles(tmp_path):
    (header,) = blocks("CONTRIBUTING.md", "cpp")
    source = tmp_path / "layer.cpp"
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers" / "layer.hpp").write_text(header, encoding="utf-8")
    source.write_text(
        '#include "layers/layer.hpp"\n'
        "template class sklearn_backprop::LowRank<float>;\n",
        encoding="utf-8",
    )
    engine = ROOT / "sklearn_backprop" / "engine"
    compiler = os.environ.get("CXX", "c++").split()
    subprocess.run(
        [*compiler, "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-Werror",
         "-iquote", engine / "layers", source],
        check=True,
    )  # fmt: skip


@pytest.mark.once
@pytest.mark.parametrize("page", SITE_PAGES)
def test_code_of_the_site_gives_what_is_shown(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    matplotlib.use("Agg")
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("error")
        path = str(ROOT / page)
        done = doctest.testfile(path, module_relative=False, optionflags=flags)
    plt.close("all")
    assert done.failed == 0


@pytest.mark.parametrize("page", SITE_PAGES)
def test_python_on_the_site_is_run(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    begin = r"^\.\. (?:plot::|code-block:: py).*\n(?: +:.*\n)*\s*\n(.*)"
    assert all(
        line.lstrip().startswith(">>> ") for line in re.findall(begin, text, re.M)
    )


@pytest.mark.parametrize("name", ["BackpropMLPClassifier", "BackpropMLPRegressor"])
def test_the_page_for_users_of_scikit_learn_names_every_parameter(name):
    text = (ROOT / "docs" / "how_to" / "from_scikit_learn.rst").read_text("utf-8")
    parameters = getattr(sklearn_backprop, name)().get_params()
    assert not [name for name in parameters if f"``{name}``" not in text]


def test_the_guide_names_all_that_can_be_diagnosed_or_chosen():
    kinds = (ROOT / "docs" / "guide" / "diagnosis.rst").read_text("utf-8")
    assert not [kind for kind in _TITLES if f'* - "{kind}"' not in kinds]
    schedules = (ROOT / "docs" / "guide" / "learning_rate.rst").read_text("utf-8")
    assert not [name for name in SCHEDULES if f'- ``"{name}"``' not in schedules]
    for registry, page in [
        (ACTIVATIONS, "activations"),
        (STOCHASTIC_SOLVERS, "optimizers"),
        (INITIALIZERS, "starts"),
        ([*REGRESSION_LOSSES, *CLASSIFICATION_LOSSES], "losses"),
    ]:
        text = (ROOT / "docs" / "guide" / f"{page}.rst").read_text("utf-8")
        assert not [name for name in registry if f'"{name}"' not in text]


def test_readme_has_code():
    assert python_blocks("README.md")


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_to_files(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    links = re.findall(r"\]\((?!https?://|#)([^)#]+)", text)
    broken = [
        link for link in links if not (ROOT / page).parent.joinpath(link).exists()
    ]
    assert not broken


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_exist(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, flags=re.M))
    named = set(re.findall(r"^make ([a-z-]+)|`make ([a-z-]+)`", text, flags=re.M))
    assert {first or second for first, second in named} <= targets


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_example_runs_without_a_warning(example, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    arguments = SMALLER.get(example.stem, "").split()
    monkeypatch.setattr(sys, "argv", [str(example), *arguments])
    matplotlib.use("Agg")
    runpy.run_path(str(example), run_name="__main__")
    plt.close("all")
    assert capsys.readouterr().out
    picture = (tmp_path / f"{example.stem}.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert (ROOT / "docs" / "images" / f"{example.stem}.png").exists()


def test_readme_states_the_oldest_releases_that_are_declared():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for requirement in project["project"]["dependencies"]:
        name, oldest = requirement.split(">=")
        assert f"{name} {oldest}" in readme.lower()


@pytest.mark.parametrize("page", SITE_PAGES)
def test_code_that_a_page_quotes_begins_and_ends_where_it_says(page):
    for source, options in QUOTED.findall((ROOT / page).read_text()):
        text = ((ROOT / page).parent / source).read_text()
        for place in re.findall(r":(?:start-at|end-before): (.+)", options):
            assert place in text, source
            text = text[text.index(place) :]
