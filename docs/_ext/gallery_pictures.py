"""What the site takes from the package and its examples without saying it twice."""

import shutil
from pathlib import Path

from sphinx_gallery.scrapers import figure_rst

PICTURE = "picture.png"


def output_option(gallery_conf, script_vars) -> list[str]:
    """Let an example save its picture where `saved_picture` looks for it."""
    return ["--output", str(Path(gallery_conf["src_dir"]) / "gallery" / PICTURE)]


def saved_picture(block, block_vars, gallery_conf) -> str:
    """Take the picture that an example has saved, and show it."""
    made = Path(gallery_conf["src_dir"]) / "gallery" / PICTURE
    if not made.exists():
        return ""
    shown = next(block_vars["image_path_iterator"])
    shutil.move(made, shown)
    return figure_rst([shown], gallery_conf["src_dir"])
