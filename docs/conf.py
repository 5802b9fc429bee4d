"""The guide: `make docs` builds it into docs/_build/html, with every notebook executed."""

import os
import re
import sys
from inspect import signature
from types import SimpleNamespace
from typing import Any, get_type_hints

from numpy.typing import ArrayLike
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.util.inspect import stringify_signature
from sphinx.util.typing import stringify_annotation

import kadanoff

project = "Kadanoff"
author = "The Kadanoff developers"
version = release = kadanoff.__version__

extensions = [
    "myst_nb",
    "numpydoc",
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
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
nb_output_stderr = "remove"  # progress
os.environ |= {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "PYTHONPATH": os.pathsep.join(sys.path)}

default_role = "py:obj"
autosummary_generate = True
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 100
numpydoc_show_class_members = False
numpydoc_xref_param_type = True
numpydoc_xref_aliases = {"NDArray": "numpy.typing.NDArray", "Ensemble": "kadanoff.Ensemble"}
bibtex_bibfiles = ["references.bib"]

# the Python objects in the objects.inv of Debian's documentation packages: nothing is fetched
intersphinx_mapping = {
    name: (f"https://{address}/", f"inventories/{name}.inv")
    for name, address in {
        "python": "docs.python.org/3",
        "numpy": "numpy.org/doc/stable",
        "matplotlib": "matplotlib.org/stable",
        "pandas": "pandas.pydata.org/docs",
    }.items()
}

html_theme = "furo"
html_title = "Kadanoff"
html_static_path = ["_static"]
html_css_files = ["guide.css"]
html_show_copyright = html_show_sourcelink = False


NAMES = {  # types as the code writes them, by the pattern of what autodoc makes of them
    r"~numpy\.ndarray\[tuple\[~typing\.Any, \.\.\.\], ~numpy\.dtype\[([^]]*)\]\]": r"~numpy.typing.NDArray[\1]",
    re.escape(stringify_annotation(ArrayLike, "smart")): "~numpy.typing.ArrayLike",
    r"\[~[\w.]*_ScalarT\]": "",
    r"(?<![\w.])Axes\b": "~matplotlib.axes.Axes",
    "<factory>": "...",
}


def typed(_: Sphinx, __: str, ___: str, thing: Any, ____: Any, arguments: str | None, result: str | None) -> tuple:
    """Signature and result of what autodoc documents, with short names and without the checks of `Annotated`."""
    if "Annotated[" in (arguments or ""):
        own = signature(thing)
        holder = SimpleNamespace(__annotations__={each.name: each.annotation for each in own.parameters.values()})
        hints = get_type_hints(holder)
        plain = [each.replace(annotation=hints[name]) for name, each in own.parameters.items()]
        arguments = stringify_signature(own.replace(parameters=plain), show_return_annotation=False)
    for pattern, name in NAMES.items():
        arguments, result = (text and re.sub(pattern, name, text) for text in (arguments, result))
    return arguments, result


def setup(app: Sphinx) -> None:
    """Links to Markdown files outside of the guide, the tables of records for one, become downloads; | is no markup."""
    outside = re.compile(r"\]\((\.\./[^)#]+\.md)\)")

    def downloads(_: Sphinx, __: str, source: list[str]) -> None:
        source[0] = outside.sub(r"](path:\1)", source[0])

    def of_any_kind(_: Sphinx, __: Any, node: pending_xref, ___: Any) -> None:
        if node.get("refdomain") == "py":  # autodoc takes all types for classes, and NDArray is none
            node["reftype"] = "obj"

    def bars(*arguments: Any) -> None:
        lines = arguments[-1]
        lines[:] = [line if ">>> " in line else re.sub(r"(?<!\\)(\||\*(?! ))", r"\\\1", line) for line in lines]

    app.connect("source-read", downloads)
    app.connect("autodoc-process-signature", typed)
    app.connect("missing-reference", of_any_kind, priority=1)  # before intersphinx
    app.connect("autodoc-process-docstring", bars, priority=1)  # before numpydoc writes markup of its own
