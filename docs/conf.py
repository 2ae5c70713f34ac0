"""Settings of the site, which ``make docs`` builds without a network."""

import sys
from pathlib import Path

import sklearn_backprop

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

project = "sklearn_backprop"
author = "the sklearn_backprop developers"
copyright = author
release = sklearn_backprop.__version__
version = release

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "matplotlib.sphinxext.plot_directive",
    "sphinx_gallery.gen_gallery",
    "sphinx_copybutton",
    "sphinx_design",
    "myst_parser",
    "sphinx-mathjax-offline",
    "scikit_learn_links",
    "fitted_names",
    "chinese_lines",
]
exclude_patterns = ["README.md", "_ext", "_templates", "images"]
source_suffix = {".rst": "restructuredtext", ".md": "markdown"}
templates_path = ["_templates"]
default_role = "literal"
smartquotes = False  # names of choices are typed as they are shown, and links find them
toc_object_entries_show_parents = "hide"

# -- What docstrings say ---------------------------------------------------------------
autosummary_generate = True
autosummary_ignore_module_all = False  # __all__ says what is public
autosummary_imported_members = True
autodoc_typehints = "none"  # numpydoc's sections say more
numpydoc_class_members_toctree = False
numpydoc_show_class_members = False
numpydoc_validation_checks = {
    "all",
    "EX01",  # tests ask for examples where they teach something
    "ES01",  # a summary that says it all needs no more
    "SA01",  # so does a name whose neighbours are in the same table
    "SA04",
    "GL01",  # the house style begins on the first line
    "RT02",  # a returned value may have a name
    "GL08",  # Sphinx shows what is public; tests ask for its sections
}
numpydoc_validation_exclude = {
    r"\.set_\w+_request$",  # scikit-learn's
    r"\.get_metadata_routing$",
    # Results: users read their attributes and never make one.
    r"\.(Backpropagation|GradientCheck|LayerPass|Step)$",
    r"\.Step\.",  # fields of a tuple
}

# -- Pictures that are made while the site is built ------------------------------------
plot_formats = [("png", 100)]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_include_source = True
plot_rcparams = {
    "figure.figsize": (6.4, 3.8),
    "figure.constrained_layout.use": True,
    "savefig.bbox": "tight",
}
plot_apply_rcparams = True
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "gallery",
    "filename_pattern": r"/(plot|compare)_",
    "image_scrapers": ("gallery_pictures.saved_picture",),
    "reset_argv": "gallery_pictures.output_option",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    "write_computation_times": False,  # a page that asks the network
    "plot_gallery": True,
}

# -- How it looks ----------------------------------------------------------------------
html_theme = "pydata_sphinx_theme"
html_title = "sklearn_backprop"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_align": "left",
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
myst_enable_extensions = ["dollarmath", "amsmath", "colon_fence"]
myst_heading_anchors = 3
