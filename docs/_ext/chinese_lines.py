"""Join lines of Chinese text: between its characters, the end of a line is no space."""

import re

CHINESE = "[\u3000-\u303f\u4e00-\u9fff\uff00-\uffef]"
END_OF_LINE = re.compile(rf"(?<={CHINESE})\n(?={CHINESE})")


def join(app, docname, source):
    """Take out ends of lines that stand between two Chinese characters."""
    source[0] = END_OF_LINE.sub("", source[0])


def setup(app):
    """Read sources before Sphinx does."""
    app.connect("source-read", join)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
