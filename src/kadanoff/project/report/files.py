"""Files of a record, as the page holds them."""

import base64
import struct
from dataclasses import dataclass

from kadanoff.project.published import Published
from kadanoff.project.report import words

PNG = b"\x89PNG\r\n\x1a\n"
LARGEST_FIGURE = 2**20  # bytes; the page is to stay at a few MB
LARGEST_TEXT = 2**18


@dataclass(frozen=True)
class Figure:
    """A figure inside the page. `width` and `height` in pixels; `shows` says what is seen."""

    name: str
    shows: str
    data: str
    width: int
    height: int


def figures(record: Published) -> tuple[list[Figure], list[str]]:
    """The PNG files of a record, and a sentence for each one that the page cannot hold."""
    found, problems = [], []
    for file in record.artifacts:
        if file.suffix != ".png":
            continue
        content = file.read_bytes()
        if not content.startswith(PNG) or len(content) < 24:
            problems.append(f"{record.path}/{file.name} is left out: it is not a PNG image.")
        elif len(content) > LARGEST_FIGURE:
            problems.append(f"{record.path}/{file.name} is left out: it has {len(content) / 2**20:.1f} MB, over 1 MB.")
        else:
            width, height = struct.unpack(">II", content[16:24])
            shows = words.figure(file.stem, record.info.title, record.history)
            data = f"data:image/png;base64,{base64.b64encode(content).decode()}"
            found.append(Figure(file.stem, shows, data, width, height))
    return found, problems


def tables(record: Published) -> tuple[list[str], list[str]]:
    """The Markdown files of a record, and a sentence for each one that is too long."""
    found, problems = [], []
    for file in record.artifacts:
        if file.suffix != ".md":
            continue
        if file.stat().st_size > LARGEST_TEXT:
            problems.append(f"{record.path}/{file.name} is left out: it has over {LARGEST_TEXT // 2**10} kB.")
        else:
            found.append(file.read_text(encoding="utf-8", errors="replace"))
    return found, problems
