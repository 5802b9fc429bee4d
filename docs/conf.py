"""The guide: `make docs` builds it into docs/_build/html, with every notebook executed."""

import os
import re
import sys
from typing import Any

from sphinx.application import Sphinx

import kadanoff

project = "Kadanoff"
author = "The Kadanoff developers"
version = release = kadanoff.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinxcontrib.bibtex",
]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "force"
nb_execution_timeout = 120  # seconds a notebook
nb_execution_raise_on_error = True
nb_merge_streams = True
os.environ |= {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "PYTHONPATH": os.pathsep.join(sys.path)}

autosummary_generate = True
autodoc_typehints = "none"  # numpydoc's sections say what they are
numpydoc_show_class_members = False
numpydoc_xref_param_type = False
bibtex_bibfiles = ["references.bib"]

html_theme = "furo"
html_title = "Kadanoff"
html_static_path: list[str] = []
html_show_sourcelink = False


def setup(app: Sphinx) -> None:
    """Links to Markdown files outside of the guide, the tables of records for one, become downloads; | is no markup."""
    outside = re.compile(r"\]\((\.\./[^)#]+\.md)\)")

    def downloads(_: Sphinx, __: str, source: list[str]) -> None:
        source[0] = outside.sub(r"](path:\1)", source[0])

    def bars(*arguments: Any) -> None:
        lines = arguments[-1]
        lines[:] = [re.sub(r"(?<!\\)([|*])", r"\\\1", line) for line in lines]

    app.connect("source-read", downloads)
    app.connect("autodoc-process-docstring", bars, priority=1)  # before numpydoc writes markup of its own
