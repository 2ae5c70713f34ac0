"""Let types name fitted attributes: in reStructuredText, n_iter_ would be a link."""

import re

TYPE = re.compile(r"^\s*(\*\*.*\*\*|\S+) : ")
FITTED_NAME = re.compile(r"(?<![`\w])(\w+)_(?=[\s,)\]]|$)")


def escape(app, what, name, obj, options, lines):
    """Escape the last underscore of names in lines that say what type something has."""
    for i, line in enumerate(lines):
        if head := TYPE.match(line):
            lines[i] = head[0] + FITTED_NAME.sub(r"\1\_", line[head.end() :])


def setup(app):
    """Read docstrings after numpydoc has."""
    app.connect("autodoc-process-docstring", escape, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
