"""Lead labels of scikit-learn's docstrings, which estimators inherit, to its site.

Without an inventory, since the site is built without a network.
"""

from docutils import nodes

SITE = "https://scikit-learn.org/stable/"
LABELS = {
    "accuracy_score": "modules/model_evaluation.html#accuracy-score",
    "df_output_transform": "modules/df_output_transform.html",
    "meta-estimator": "glossary.html#term-meta-estimator",
    "metadata_routing": "metadata_routing.html#metadata-routing",
    "r2_score": "modules/model_evaluation.html#r2-score",
    "sphx_glr_auto_examples_miscellaneous_plot_set_output.py": (
        "auto_examples/miscellaneous/plot_set_output.html"
    ),
}


def resolve(app, env, node, contnode):
    """Answer Sphinx's question where a reference leads to."""
    label = node["reftarget"]
    if node["reftype"] not in ("ref", "term") or label not in LABELS:
        return None
    text = contnode.astext().replace(label, label.replace("_", " "))
    return nodes.reference("", text, refuri=SITE + LABELS[label], internal=False)


def setup(app):
    """Let Sphinx ask."""
    app.connect("missing-reference", resolve)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
