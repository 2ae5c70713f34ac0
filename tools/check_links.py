"""Find links of a built site that lead nowhere in it, anchors and images included.

``python tools/check_links.py build/site``
"""

import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit


class Page(HTMLParser):
    """What a page links to, and the places in it that links may name."""

    def __init__(self, path: Path):
        super().__init__()
        self.path = path
        self.targets: list[str] = []
        self.places: set[str] = {"", "top"}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attributes):
        """Note what the tag leads to, and what leads to it."""
        of_tag = dict(attributes)
        self.places |= {of_tag[key] for key in ("id", "name") if of_tag.get(key)}
        self.targets += [of_tag[key] for key in ("href", "src") if of_tag.get(key)]


def dead_links(site: Path) -> list[str]:
    """Return "page: target" of every link that leads nowhere."""
    found = sorted(site.rglob("*.html"))
    pages = {
        path.resolve(): Page(path)
        for path in found
        if "_static" not in path.relative_to(site).parts  # templates of the theme
    }
    return [
        f"{path.relative_to(site.resolve())}: {target}"
        for path, page in pages.items()
        for target in dict.fromkeys(page.targets)
        if not _is_alive(path, target, pages)
    ]


def _is_alive(path: Path, target: str, pages: dict[Path, Page]) -> bool:
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:  # the network is not asked
        return True
    there = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if there not in pages:
        return there.is_file()
    return unquote(parts.fragment) in pages[there].places


if __name__ == "__main__":
    site = Path(sys.argv[1])
    if not (site / "index.html").is_file():
        sys.exit(f"There is no site in {site}: it has no index.html.")
    if dead := dead_links(site):
        sys.exit("Links that lead nowhere:\n" + "\n".join(dead))
