"""The Markdown of a record as HTML that can neither run, nor load, nor lead anywhere."""

import re
from collections.abc import Sequence
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markupsafe import Markup

LITERATURE = re.compile(r"(report|paper)\b")  # rows that `tables.py` files give to published numbers
DEEPEST = 6


def render(source: str, level: int) -> Markup:
    """HTML of `source`; its highest heading becomes h`level`, and no heading skips a level below the one before.

    Raw HTML, links and images are shown as the text that they are. Tables scroll in a box of their own, and rows
    of published numbers (`report: cnn`) have the class `literature`.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.disable(["html_block", "html_inline", "image", "link", "autolink", "reference"])
    parser.add_render_rule("table_open", _open_table)
    parser.add_render_rule("table_close", _close_table)
    tokens = parser.parse(source)
    _shift_headings(tokens, level)
    _label_tables(tokens)
    _mark_rows(tokens)
    return Markup(parser.renderer.render(tokens, parser.options, {}))  # the renderer has escaped all text


def _shift_headings(tokens: Sequence[Token], level: int) -> None:
    headings = [token for token in tokens if token.type in ("heading_open", "heading_close")]
    ranks = {tag: rank for rank, tag in enumerate(sorted({token.tag for token in headings}))}
    previous = level - 1
    for opening, closing in zip(headings[::2], headings[1::2], strict=True):
        previous = min(level + ranks[opening.tag], previous + 1, DEEPEST)
        opening.tag = closing.tag = f"h{previous}"


def _label_tables(tokens: Sequence[Token]) -> None:
    """Give each table the heading above it as its name."""
    title = "table"
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and following is not None:
            title = following.content.replace("`", "")
        elif token.type == "table_open":
            token.meta["title"] = title


def _mark_rows(tokens: Sequence[Token]) -> None:
    """The first cell of a row in the body is its header."""
    for index, token in enumerate(tokens):
        if token.type == "tr_open" and tokens[index + 1].type == "td_open":
            first, content = tokens[index + 1 : index + 3]
            first.tag = tokens[index + 3].tag = "th"
            first.attrSet("scope", "row")
            if LITERATURE.match(content.content):
                token.attrSet("class", "literature")


def _open_table(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    title = Markup.escape(tokens[index].meta["title"])
    return f'<div class="scroll" role="region" tabindex="0" aria-label="{title}"><table>\n'


def _close_table(renderer: Any, tokens: Sequence[Token], index: int, options: Any, env: Any) -> str:
    return "</table></div>\n"
