"""How Sphinx builds the documentation: Markdown pages, and the reference from the docstrings and the code itself."""

import sys
from pathlib import Path

from napari_gandenoise import __version__

sys.path.insert(0, str(Path(__file__).parent))  # for reference_tables, which is no part of the package

project = "napari-gandenoise"
author = copyright = "the napari-gandenoise contributors"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "reference_tables"]
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "none"  # numpydoc states the types
autodoc_member_order = "bysource"
numpydoc_show_class_members = False
exclude_patterns = ["_build"]
html_theme = "alabaster"
html_theme_options = {
    "description": "Denoise electron micrographs in the latent space of a GAN",
    "page_width": "1080px",
}
