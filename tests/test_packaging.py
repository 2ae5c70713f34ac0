"""What is installed: no more and no less than a user needs."""

import subprocess
import sys
from importlib import metadata, resources

DISTRIBUTION = "sklearn-backprop"


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


def test_import_needs_no_optional_dependency(tmp_path):
    # Hidden rather than looked for: scikit-learn itself imports rich where it can.
    code = (
        f"import sys; sys.modules.update(dict.fromkeys({OPTIONAL})); "
        "import sklearn_backprop.inspection, sklearn_backprop.exchange"
    )
    subprocess.run([sys.executable, "-P", "-c", code], cwd=tmp_path, check=True)


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
