"""dvc.yaml says what the code really is: dependencies are the imports, parameters are the sections."""

import ast
import json
import subprocess
from functools import cache
from pathlib import Path

import pytest

from kadanoff.project.params import read_yaml

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
PIPELINE = read_yaml(ROOT / "dvc.yaml")["stages"]
FILES = sorted(SOURCE.rglob("*.py"))
NAMES = [str(file.relative_to(SOURCE)) for file in FILES]
LIBRARY = ("spins", "data", "networks", "montecarlo", "learning", "inverse", "phases", "renormalization")


@cache
def module_file(name):
    path = SOURCE / Path(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


@cache
def imports_of(file):
    """Modules of the package that a file imports, at its top or inside a function; not those for type checkers."""
    tree = ast.parse(file.read_text())
    hidden = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and id(node) not in hidden:
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and id(node) not in hidden:
            found += [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
    return found


def imported(file):
    """Source files that a file imports, directly or not, and itself."""
    found, todo = set(), [file]
    while todo:
        file = todo.pop()
        if file is not None and file not in found:
            found.add(file)
            todo.extend(module_file(name) for name in imports_of(file) if name.startswith("kadanoff."))
    return {file.relative_to(SOURCE / "kadanoff") for file in found}


def stage_file(stage):
    (found,) = (SOURCE / "kadanoff" / "studies").glob(f"*/{stage}.py")
    return found


def needed(stage):
    """Dependencies as dvc.yaml writes them: files of studies one by one, packages of the library by folder."""
    paths = imported(stage_file(stage))
    own = {str(path) for path in paths if path.parts[0] == "studies" and path.name != "__init__.py"}
    return own | {path.parts[0] for path in paths if path.parts[0] in LIBRARY}


def body(stage):
    entry = PIPELINE[stage]
    return entry.get("do", entry)


def dvc(*command):
    return subprocess.run(["dvc", *command], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_headline_numbers_fit_a_terminal():
    shown = [line for line in dvc("metrics", "show").splitlines() if line]
    assert len(shown) == 5
    assert max(map(len, shown)) <= 120


def test_dvc_draws_all_but_the_tables_in_markdown(tmp_path):
    found = json.loads(dvc("plots", "show", "--json", "--out", str(tmp_path)))
    assert {Path(error["name"]).suffix for error in found["errors"]} <= {".md", ".html"}
    assert {"critical exponent by sweeps", "error by network", "macro-F1 by model"} <= found["data"].keys()


@pytest.mark.parametrize("stage", PIPELINE)
def test_code_dependencies_are_the_imports(stage):
    listed = [name.removeprefix("src/kadanoff/") for name in body(stage)["deps"] if name.startswith("src/")]
    assert sorted(listed) == sorted(needed(stage))


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_has_one_name_everywhere(stage):
    assert f"def {stage}(root: Path" in stage_file(stage).read_text()
    assert body(stage)["cmd"] in (f"kadanoff run {stage}", f"kadanoff run {stage}@${{key}}")
    # a record is a plot: DVC's run-cache, which restores the results of earlier parameters, passes by other Git outputs
    assert [next(iter(output)).split("/")[:2] for output in body(stage)["plots"]] == [["reports", stage]]


# from the top: a package imports what stands below it
ORDER = [
    {"cli"},
    {"commands"},
    {"studies", "models", "__init__"},
    {"inverse", "phases", "renormalization"},
    {"montecarlo", "learning"},
    {"data", "networks"},
    {"spins", "runtime"},
    {"validation"},
    {"errors", "estimate"},
]


def level(package):
    return next(number for number, packages in enumerate(ORDER) if package in packages)


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_imports_go_one_way(file):
    own, *rest = file.relative_to(SOURCE / "kadanoff").with_suffix("").parts
    for name in imports_of(file):
        _, package, *below = [*name.split("."), "__init__"]
        if not name.startswith("kadanoff.") or package == own:
            study = rest[0] if own == "studies" and len(rest) > 1 else None
            same = study is None or name.split(".")[2:3] in ([study], []) or not name.startswith("kadanoff.")
            assert same or (SOURCE / "kadanoff" / "studies" / f"{below[0]}.py").exists(), f"{file} imports {name}"
        elif "project" in (own, package):  # it knows no physics, and the library does not know it
            assert own in ("project", "studies", "cli", "commands", "models"), f"{file} imports {name}"
            assert own != "project" or package in ("runtime", "validation", "errors", "estimate"), (
                f"{file} imports {name}"
            )
        elif package.startswith("__"):
            assert package == "__version__"
        else:
            assert level(package) > level(own), f"{file} imports {name}"


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_one_package_imports_mlflow_and_one_file_opens_the_parameters(file):
    own = str(file.relative_to(SOURCE / "kadanoff"))
    if not own.startswith("project/"):
        assert not any(name.split(".")[0] in ("mlflow", "dvc") for name in imports_of(file))
    if own != "project/params.py":
        assert '"params.yaml"' not in file.read_text()


def default_encoding(call):
    """Whether a call reads or writes text in whatever encoding the machine prefers."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in given or ast.unparse(call.func) in ("tarfile.open", "Image.open"):
        return False
    if name in ("open", "fdopen"):
        modes = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
        return not any("b" in mode for mode in modes if isinstance(mode, str))
    return name in ("read_text", "write_text") or "text" in given


@pytest.mark.parametrize("file", FILES, ids=NAMES)
def test_text_is_utf_8_on_every_machine(file):
    calls = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    found = [f"line {call.lineno}: {ast.unparse(call)}" for call in calls if default_encoding(call)]
    assert found == []
