"""How Sphinx builds the documentation: Markdown pages, and the reference from the docstrings."""

from napari_gandenoise import __version__

project = "napari-gandenoise"
author = copyright = "the napari-gandenoise contributors"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc"]
myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "none"  # numpydoc states the types
numpydoc_show_class_members = False
exclude_patterns = ["_build"]
html_theme = "alabaster"
