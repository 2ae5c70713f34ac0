"""Where the notebook face of estimators leads to."""

__all__ = ["DocumentationLinkMixin"]


class DocumentationLinkMixin:
    """Keeps the page of documentation from being looked for at scikit-learn's.

    scikit-learn shows the descriptions of parameters as tooltips of links. Docstrings
    are all the documentation there is, so the links stay on the page that shows them.
    """

    _doc_link_module = "sklearn_backprop"
    _doc_link_template = "#"
