"""The applications of the library, a folder each. Stage NAME is the function NAME in studies/*/NAME.py."""

import ast
import os
from importlib import import_module
from inspect import signature
from pathlib import Path

from kadanoff.errors import KadanoffError, shown

HERE = Path(__file__).parent
FAST = ("classify",)  # transformers would take more than twice as long; these weights depend on the processor


def _files() -> dict[str, Path]:
    """Files of the stages, by stage name: those that define a function of their own name, of the project root."""
    named = sorted(
        path for path in HERE.glob("*/*.py") if f"\ndef {path.stem}(root: Path" in path.read_text(encoding="utf-8")
    )
    return {path.stem: path for path in named}


def stages() -> dict[str, str]:
    """What each stage does, by name: the first sentence of its docstring."""
    return {name: _first_line(path) for name, path in _files().items()}


def _first_line(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))  # to import it would load torch
    found = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == path.stem)
    return (ast.get_docstring(found) or "").partition("\n")[0]


def run_stage(root: Path, address: str) -> None:
    """Run stage STAGE or STAGE@VARIANT of the project in `root`.

    Raises
    ------
    KadanoffError
        If there is no such stage, or a variant is missing or one too many.
    """
    name, at, variant = address.partition("@")
    files = _files()
    if name not in files:
        raise KadanoffError(f"there is no stage {shown(name)}; the stages are: {', '.join(files)}.")
    study = files[name].parent.name
    if study not in FAST:
        # without it MKL rounds in another way on Intel's processors than on AMD's, and weights differ
        os.environ.setdefault("MKL_CBWR", "COMPATIBLE")  # read once, when PyTorch first multiplies
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # else a GPU does not repeat its matrix products
    function = getattr(import_module(f"kadanoff.studies.{study}.{name}"), name)
    needed = [each for each in signature(function).parameters.values() if each.default is each.empty]
    if len(needed) == 1:
        if at:
            raise KadanoffError(f"stage {name} has no variants; call `kadanoff run {name}`.")
        function(root)
    elif not variant:
        raise KadanoffError(f"stage {name} needs a variant: `kadanoff run {name}@VARIANT`, one that dvc.yaml names.")
    else:
        function(root, variant)
