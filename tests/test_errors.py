"""Text from outside: what is shown of it holds no secret and steers no terminal."""

import io
import sys

import pytest

from kadanoff.cli import main
from kadanoff.errors import KadanoffError, printable, printable_lines, without_secret
from kadanoff.runtime.progress import progress


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("http://me:hush123@host:5000/path", "http://host:5000/path"),
        ("http://me:pa/hush123@host/x failed", "http://host/x failed"),
        ("http://me:p@hush123@host/x", "http://host/x"),
        ("http://me:pa?hush123@host/x failed", "http://... failed"),
        ("http://host/?token=a@hush123", "http://..."),
        ("http://host/x?token=hush123", "http://host/x"),
        ("http://host/x#hush123 failed", "http://host/x failed"),
        ("postgresql://me:hush123@host/base and http://hush123@host", "postgresql://host/base and http://host"),
        ("exceeded with url: /api?a=1&token=hush123 (Caused by x)", "exceeded with url: /api (Caused by x)"),
        ("sqlite:////a/me@home#1/mlflow.db?token=hush123", "sqlite:////a/me@home#1/mlflow.db"),
    ],
)  # fmt: skip
def test_no_secret_of_an_address_is_left(text, shown):
    assert without_secret(text) == shown


@pytest.mark.parametrize("text", ["Was it written by a newer version? Take models:/coarsen@champion.", "why?because"])
def test_other_text_stays(text):
    assert without_secret(text) == text


def test_only_what_shows_is_printed():
    assert printable("\x1b[31mred\x1b[0m\r\n\x07\x9b\u202e\udcff") == r"\x1b[31mred\x1b[0m\r\n\x07\x9b\u202e\udcff"
    assert printable("Größe 磁化 [bold]") == "Größe 磁化 [bold]"
    assert printable_lines("a\x1b\nb\r") == "a\\x1b\nb\\r"


def test_errors_of_the_command_line_are_printed_that_way(monkeypatch, capsys):
    def refuse():
        raise KadanoffError("\x1b]0;title\x07 is no dataset.\nGive another.")

    monkeypatch.setattr("kadanoff.cli.app", refuse)
    with pytest.raises(SystemExit):
        main()
    assert capsys.readouterr().err == "error: \\x1b]0;title\\x07 is no dataset.\nGive another.\n"


def test_a_bar_shows_names_as_they_are(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "dumb")
    with progress("[bold]a\x1b[7m", 1) as advance:
        advance()
    assert "[bold]a\\x1b[7m" in terminal.getvalue()
