"""Docstrings: where shared text is kept, and where the notebook face leads to.

A class describes what it defines: its own parameters, attributes and sources. A public
class shows the text of all its bases as well, by `shows_inherited_text`.
"""

import inspect
import os
import re
import sys
from collections.abc import Sequence
from functools import cache
from importlib.metadata import metadata
from itertools import takewhile

__all__ = ["DocumentationLinkMixin", "shows_inherited_text"]

_PACKAGE = __name__.partition(".")[0]
_HEADING = re.compile(r"^(\w[\w ]*)\n-+\n", flags=re.M)
# "name : type", with the indented lines below.
_ENTRY = re.compile(r"^\S.*\n(?:[ \t]+.*\n|\n(?=[ \t]))*", flags=re.M)
_PARAGRAPH = re.compile(r"^(?:.*\S.*\n)+", flags=re.M)


class DocumentationLinkMixin:
    """Leads from what a notebook shows of an estimator to its page of the site.

    scikit-learn shows the descriptions of parameters as tooltips of links. Where no
    site is known, the links stay on the page that shows them.
    """

    _doc_link_module = _PACKAGE

    @property
    def _doc_link_template(self) -> str:
        address = os.environ.get("SKLEARN_BACKPROP_SITE") or _published_site()
        return f"{address.rstrip('/')}/api/generated/{{page}}.html" if address else "#"

    def _doc_link_url_param_generator(self) -> dict[str, str]:
        return {"page": f"{_public_module(type(self))}.{type(self).__name__}"}


@cache
def _published_site() -> str | None:
    """The address that pyproject.toml states under [project.urls]."""
    stated = metadata(_PACKAGE).get_all("Project-URL") or []
    return dict(url.split(", ") for url in stated).get("Documentation")


def _public_module(cls: type) -> str:
    """Where users import a class from: the package itself, or a folder of it."""
    if getattr(sys.modules[_PACKAGE], cls.__name__, None) is cls:
        return _PACKAGE
    parts = cls.__module__.split(".")
    return ".".join(takewhile(lambda part: not part.startswith("_"), parts))


def shows_inherited_text(cls: type) -> type:
    """Complete the docstring of a class by what its bases say of what they define.

    Parameters come in the order of the signature. Where a class describes what a base
    does, too, its own text stands.
    """
    if cls.__doc__ is None:  # python -OO
        return cls
    texts = [_sections(base) for base in cls.__mro__ if _is_described(base)]
    own = texts[0]
    sections = {
        "Parameters": _of_signature(cls, _joined(texts, "Parameters", _ENTRY)),
        "Attributes": "".join(_joined(texts, "Attributes", _ENTRY).values()),
        "See Also": own.get("See Also", ""),
        "Notes": "\n".join(_joined(texts, "Notes", _PARAGRAPH).values()),
        "References": "\n".join(_joined(texts, "References", _PARAGRAPH).values()),
        "Examples": own.get("Examples", ""),
    }
    parts = [own[""]] + [
        f"{name}\n{'-' * len(name)}\n{text}" for name, text in sections.items() if text
    ]
    lines = "\n\n".join(part.rstrip() for part in parts).split("\n")
    indented = [f"    {line}".rstrip() for line in lines]
    cls.__doc__ = "\n".join([*indented, "    "]).lstrip()
    return cls


def _is_described(cls: type) -> bool:
    return cls.__module__.partition(".")[0] == _PACKAGE and bool(vars(cls)["__doc__"])


@cache
def _sections(cls: type) -> dict[str, str]:
    """Cut a docstring at its headings; what stands before them has the key ""."""
    parts = _HEADING.split(inspect.cleandoc(vars(cls)["__doc__"]) + "\n")
    return {"": parts[0], **dict(zip(parts[1::2], parts[2::2], strict=True))}


def _joined(texts: Sequence[dict[str, str]], name: str, unit: re.Pattern) -> dict:
    """Units of a section of all texts, by what stands before " : "; the first stays."""
    units: dict[str, str] = {}
    for text in texts:
        for found in unit.findall(text.get(name, "")):
            units.setdefault(found.partition(" : ")[0], found.rstrip() + "\n")
    return units


def _of_signature(cls: type, described: dict[str, str]) -> str:
    """Sort descriptions as parameters are; refuse a missing and a strange one."""
    names = list(inspect.signature(cls).parameters)
    if wrong := described.keys() ^ set(names):
        raise TypeError(f"{cls.__name__} and its bases do not agree in {wrong}.")
    return "".join(described[name] for name in names)
