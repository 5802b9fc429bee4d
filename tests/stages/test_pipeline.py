"""dvc.yaml says what the code really is: dependencies are the imports, parameters are the sections."""

import ast
from pathlib import Path

import pytest

from kadanoff.lab.params import read_yaml

ROOT = Path(__file__).parents[2]
SOURCE = ROOT / "src"
PIPELINE = read_yaml(ROOT / "dvc.yaml")["stages"]
# how a run is shown and watched: nothing here can change a result
VIEW = ("kadanoff.lab.tracking", "kadanoff.lab.view", "kadanoff.lab.progress", "kadanoff.lab.lifeline")


def module_file(name):
    path = SOURCE / Path(*name.split("."))
    for candidate in (path.with_suffix(".py"), path / "__init__.py"):
        if candidate.exists():
            return candidate
    return None


def imports_of(file):
    """Modules of the package that a file imports, at its top or inside a function; not those for type checkers."""
    tree = ast.parse(file.read_text())
    hidden = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        for child in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def closure(stage):
    """Source files that a stage imports, directly or not, relative to the project."""
    found, todo = set(), [f"kadanoff.stages.{stage}"]
    while todo:
        name = todo.pop()
        file = module_file(name) if name.startswith("kadanoff.") and not name.startswith(VIEW) else None
        if file is None or file in found:
            continue
        found.add(file)
        todo.extend(imports_of(file))
    return named(found)


def named(files):
    """Paths as dvc.yaml writes them; a package file that only has a docstring defines nothing."""
    return {str(file.relative_to(ROOT)) for file in files if len(ast.parse(file.read_text()).body) > 1}


def listed(stage):
    """Source files among the dependencies of a stage; a folder stands for all that is in it."""
    paths = [ROOT / dependency for dependency in body(stage)["deps"] if dependency.startswith("src/")]
    return named(file for path in paths for file in ([path] if path.is_file() else path.rglob("*.py")))


def body(stage):
    entry = PIPELINE[stage]
    return entry.get("do", entry)


@pytest.mark.parametrize("stage", PIPELINE)
def test_code_dependencies_are_the_imports(stage):
    assert listed(stage) == closure(stage)


@pytest.mark.parametrize("stage", PIPELINE)
def test_a_stage_has_one_name_everywhere(stage):
    assert (SOURCE / "kadanoff" / "stages" / f"{stage}.py").exists()
    assert body(stage)["cmd"].split()[:2] == ["kadanoff", stage]
    # a record is a plot: DVC's run-cache, which restores the results of earlier parameters, passes by other Git outputs
    assert [next(iter(output)).split("/")[:2] for output in body(stage)["plots"]] == [["reports", stage]]


ORDER = [{"stages", "cli", "bench"}, {"inverse", "phases"}, {"montecarlo", "learning"}, {"lab", "networks"}, {"spins"}]


def level(name):
    room = name.split(".")[1]
    return next((number for number, rooms in enumerate(ORDER) if room in rooms), None)


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_imports_go_one_way(file):
    own = ".".join(file.relative_to(SOURCE).with_suffix("").parts)
    for name in imports_of(file):
        if name.startswith("kadanoff.") and level(own) is not None and level(name) is not None:
            below = level(name) > level(own)
            assert below or own.split(".")[1] == name.split(".")[1] or "cli" in own, f"{own} imports {name}"


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_one_room_imports_mlflow_and_one_opens_the_parameters(file):
    own = str(file.relative_to(SOURCE / "kadanoff"))
    if not own.startswith("lab/tracking"):
        assert not any(name.split(".")[0] == "mlflow" for name in imports_of(file))
    if own != "lab/params.py":
        assert '"params.yaml"' not in file.read_text()


def default_encoding(call):
    """Whether a call reads or writes text in whatever encoding the machine prefers."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    if "encoding" in given or ast.unparse(call.func) == "tarfile.open":
        return False
    if name in ("open", "fdopen"):
        modes = [argument.value for argument in call.args if isinstance(argument, ast.Constant)]
        return not any("b" in mode for mode in modes if isinstance(mode, str))
    return name in ("read_text", "write_text") or "text" in given


@pytest.mark.parametrize("file", sorted(SOURCE.rglob("*.py")), ids=lambda file: str(file.relative_to(SOURCE)))
def test_text_is_utf_8_on_every_machine(file):
    calls = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]
    found = [f"line {call.lineno}: {ast.unparse(call)}" for call in calls if default_encoding(call)]
    assert "lab/doctor" in str(file) or found == []
