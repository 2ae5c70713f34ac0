"""What a notebook shows of an estimator: tables, tooltips, and nothing costly."""

import email.message
import html
import inspect
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import sklearn
from sklearn.base import BaseEstimator
from sklearn.datasets import load_iris
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import estimator_html_repr
from sklearn.utils.fixes import parse_version

import sklearn_backprop
from sklearn_backprop import _documentation, dask, preprocessing
from sklearn_backprop.neural_network import PeriodicEmbedding

ESTIMATORS = [getattr(sklearn_backprop, name) for name in sklearn_backprop.__all__]
HAS_TOOLTIPS = parse_version(sklearn.__version__) >= parse_version("1.8")
HAS_ATTRIBUTES = hasattr(BaseEstimator, "_get_fitted_attr_html")
pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


class Tables(HTMLParser):
    """Reads the tooltip of every linked name, and where links lead to."""

    def __init__(self, text):
        super().__init__()
        self.tooltips, self.targets, self._inside = [], [], False
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "a" and "href" in attributes:
            self.targets.append(attributes["href"])
        if attributes.get("class") == "param-doc-description":
            self.tooltips.append("")
            self._inside = True

    def handle_endtag(self, tag):
        self._inside = self._inside and tag != "span"

    def handle_data(self, data):
        if self._inside:
            self.tooltips[-1] += data + " "


def names_with_tooltips(text):
    return {tip.split(":")[0].strip() for tip in Tables(text).tooltips}


@pytest.fixture(params=ESTIMATORS)
def fitted(request):
    return request.param(max_iter=3).fit(*load_iris(return_X_y=True))


@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_parameters_are_shown(Estimator):
    text = html.unescape(estimator_html_repr(Estimator()))
    for name, value in Estimator().get_params().items():
        assert name in text
        assert repr(value) in text or isinstance(value, tuple)


@pytest.mark.skipif(not HAS_TOOLTIPS, reason="scikit-learn < 1.8 shows no tooltips")
@pytest.mark.parametrize("Estimator", ESTIMATORS)
def test_every_parameter_has_its_description(Estimator):
    text = estimator_html_repr(Estimator())
    assert names_with_tooltips(text) == set(Estimator().get_params())
    # In a pipeline as well, where each step links its own.
    pipeline = make_pipeline(StandardScaler(), Estimator())
    assert names_with_tooltips(estimator_html_repr(pipeline)) >= set(
        Estimator().get_params()
    )


@pytest.mark.skipif(not HAS_TOOLTIPS, reason="scikit-learn < 1.8 shows no tooltips")
def test_a_tooltip_is_the_docstring():
    model = sklearn_backprop.BackpropMLPClassifier()
    tips = Tables(estimator_html_repr(model)).tooltips
    (tip,) = (tip for tip in tips if tip.strip().startswith("beta_2:"))
    words = re.sub(r"\s+", " ", tip).strip()
    assert words == (
        "beta_2: float in [0, 1), default=0.999 "
        "Decay rate of the second one, the mean squared gradient."
    )


def test_no_link_leads_to_a_page_that_does_not_exist(fitted, monkeypatch):
    monkeypatch.delenv("SKLEARN_BACKPROP_SITE", raising=False)
    monkeypatch.setattr(_documentation, "_published_site", lambda: None)
    targets = Tables(estimator_html_repr(fitted)).targets
    assert all(target.startswith("#") for target in targets)


PAGES = [
    (f"{module.__name__}.{name}", getattr(module, name))
    for module in (sklearn_backprop, preprocessing, dask)
    for name in module.__all__
] + [
    ("sklearn_backprop.neural_network.PeriodicEmbedding", PeriodicEmbedding),
]


@pytest.mark.parametrize("variable", [True, False])
@pytest.mark.parametrize(("page", "Estimator"), PAGES)
def test_links_lead_to_the_page_of_a_site_that_is_known(
    page, Estimator, variable, monkeypatch
):
    address = "https://example.org/site"
    if variable:
        monkeypatch.setenv("SKLEARN_BACKPROP_SITE", address + "/")
    else:
        monkeypatch.setattr(_documentation, "_published_site", lambda: address)
    link = Estimator()._get_doc_link()
    assert link == f"{address}/api/generated/{page}.html"
    targets = Tables(estimator_html_repr(Estimator())).targets
    assert all(target.startswith(link) for target in targets)


def test_the_address_of_the_site_is_that_of_the_project(monkeypatch):
    stated = email.message.Message()
    stated["Project-URL"] = "Source, https://example.org/source"
    stated["Project-URL"] = "Documentation, https://example.org/site"
    monkeypatch.setattr(_documentation, "metadata", lambda name: stated)
    assert _documentation._published_site.__wrapped__() == "https://example.org/site"


@pytest.mark.skipif(not HAS_ATTRIBUTES, reason="scikit-learn < 1.9 does not show them")
def test_fitted_attributes_are_shown_and_described(fitted):
    text = estimator_html_repr(fitted)
    described = names_with_tooltips(text)
    names = {n for n in vars(fitted) if n.endswith("_") and n[0] != "_"}
    if hasattr(fitted, "coefs_"):
        names.add("gradient_history_")
    assert "Fitted attributes" in text
    assert names <= described


def test_showing_computes_nothing(fitted):
    properties = [
        name
        for name, member in inspect.getmembers_static(type(fitted))
        if isinstance(member, property) and name.endswith("_") and name[0] != "_"
    ]
    assert set(properties) <= {"gradient_history_"}  # it joins rows that are there
    before = {name: id(value) for name, value in vars(fitted).items()}
    estimator_html_repr(fitted)
    assert {name: id(value) for name, value in vars(fitted).items()} == before


def test_a_large_network_is_shown_in_short():
    model = sklearn_backprop.BackpropMLPRegressor((300,) * 10, max_iter=2)
    X = np.random.default_rng(0).standard_normal((50, 100))
    text = estimator_html_repr(model.fit(X, X[:, 0]))
    small = sklearn_backprop.BackpropMLPRegressor((3,), max_iter=2)
    assert len(text) < len(estimator_html_repr(small.fit(X, X[:, 0]))) + 5000
