"""README and guide: the tables are those of the records, links lead somewhere, commands exist."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

from kadanoff.cli import app

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / name for name in ("README.md", "CONTRIBUTING.md")] + sorted((ROOT / "docs").glob("*.md"))
CODE = re.compile(r"`([^`\n]+)`|^ {4}([^ ].*)$|^\$ (.*)$", re.MULTILINE)  # inline, indented, at a prompt


def test_every_table_is_that_of_the_records():
    """`make readme` writes them."""
    source = importlib.util.spec_from_file_location("readme", ROOT / "docs" / "readme.py")
    readme = importlib.util.module_from_spec(source)
    source.loader.exec_module(readme)
    for page in readme.pages():
        text = page.read_text()
        assert text.count("<!-- table ") == text.count("<!-- end -->") == len(readme.PLACE.findall(text))
        assert readme.filled(text) == text, f"{page.name} is stale: run `make readme`"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere_and_commands_exist(page):
    text = page.read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("http") or (page.parent / target).exists(), target
    code = " ; ".join("".join(parts) for parts in CODE.findall(text))
    command = get_command(app)
    for name, then in re.findall(r"\bkadanoff ([a-z]+)(?: ([a-z]+))?", code):
        assert name in command.commands, name
        if name == "runs":
            assert then in command.commands[name].commands, then
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name in re.findall(r"\bmake ([a-z-]+)", code):
        assert name in targets, name


def test_the_first_snippet_runs(tmp_path):
    code = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[1]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, env=os.environ | {"MPLBACKEND": "agg"})
    assert (tmp_path / "magnetization.png").stat().st_size > 5000
    assert (tmp_path / "mine.zarr").is_dir()


def test_the_readme_is_a_screen_and_a_half():
    lines = (ROOT / "README.md").read_text().splitlines()
    assert len(lines) <= 130
    assert max(map(len, lines)) <= 120
