"""Docstrings of public estimators show what their bases say, whole."""

import inspect
import itertools
import pydoc
from pathlib import Path

import pytest

import sklearn_backprop
from sklearn_backprop import (
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    BackpropRNNClassifier,
    BackpropRNNRegressor,
)
from sklearn_backprop._documentation import shows_inherited_text

ESTIMATORS = [
    BackpropMLPClassifier,
    BackpropMLPRegressor,
    BackpropRNNClassifier,
    BackpropRNNRegressor,
]


class Base:
    """A base.

    Parameters
    ----------
    shared : int, default=1
        Described here.

        In two paragraphs.
    common : int, default=2
        Described by both.

    Attributes
    ----------
    kept_ : int
        Left by fit.

    References
    ----------
    Base, A. (1950). What all
    have in common.
    """


class Own(Base):
    """A class.

    More about it.

    Parameters
    ----------
    own : int, default=0
        Described here.
    common : int, default=3
        Its own way.

    Examples
    --------
    >>> 1 + 1
    2
    """

    def __init__(self, own=0, *, shared=1, common=3): ...


def test_the_text_of_bases_is_shown():
    own = type(
        "Own", (Own,), {"__doc__": Own.__doc__, "__module__": "sklearn_backprop"}
    )
    Base.__module__ = "sklearn_backprop.some"
    assert inspect.getdoc(shows_inherited_text(own)) == inspect.cleandoc(
        """A class.

        More about it.

        Parameters
        ----------
        own : int, default=0
            Described here.
        shared : int, default=1
            Described here.

            In two paragraphs.
        common : int, default=3
            Its own way.

        Attributes
        ----------
        kept_ : int
            Left by fit.

        References
        ----------
        Base, A. (1950). What all
        have in common.

        Examples
        --------
        >>> 1 + 1
        2
        """
    )


@pytest.mark.parametrize(
    ("signature", "wrong"),
    [
        (lambda self, own, shared, common, more: None, "more"),
        (lambda self, own, shared: None, "common"),
    ],
)
def test_a_parameter_without_text_and_text_without_parameter(signature, wrong):
    Base.__module__ = Own.__module__ = "sklearn_backprop.some"
    strange = type("Strange", (Own,), {"__init__": signature, "__doc__": "Strange."})
    strange.__module__ = "sklearn_backprop.strange"
    with pytest.raises(TypeError, match=wrong):
        shows_inherited_text(strange)


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_help_shows_all_of_it(Estimator):
    shown = pydoc.plain(pydoc.render_doc(Estimator))
    for words in (
        "learning_rate_init : float, default=0.001",
        'track_gradients : {"epoch", "batch"} or None',
        "gradient_history_names_ : list of str",
        "Loshchilov, I., & Hutter, F. (2019)",
        ">>> model = Backprop",
    ):
        assert words in shown
        assert words in inspect.getdoc(Estimator)


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_a_subclass_without_a_docstring_shows_it_too(Estimator):
    class Mine(Estimator):
        pass

    assert inspect.getdoc(Mine) == inspect.getdoc(Estimator)


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_sections_stand_once_and_in_numpydocs_order(Estimator):
    lines = inspect.getdoc(Estimator).splitlines()
    headings = [a for a, b in itertools.pairwise(lines) if b and not b.strip("-")]
    assert headings == [
        "Parameters", "Attributes", "See Also", "Notes", "References", "Examples",
    ]  # fmt: skip


def test_a_description_has_one_home():
    package = Path(sklearn_backprop.__file__).parent
    text = "\n".join(path.read_text("utf-8") for path in package.rglob("*.py"))
    for name in (
        "early_stopping : bool",
        "activation : str or list of str",
        "coefs_ : ",
    ):
        assert text.count(f"    {name}") == 1
