"""A page that zooms into a lattice, from all of it to single spins: one HTML file without network."""

import base64
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from jinja2 import Environment, StrictUndefined
from numpy.typing import NDArray
from PIL import Image

from kadanoff.data.pyramid import FACTOR, SMALLEST

PAGE = Path(__file__).with_name("zoom.html.j2")
PIXELS = SMALLEST
DOWN, UP = (12, 35, 64), (255, 232, 190)  # dark and light, so that they differ without colours too

Means = NDArray[np.floating]
Read = Callable[[int, slice], Means]


def nested_pictures(read: Read, side: int, factor: int = FACTOR, pixels: int = PIXELS) -> list[Means]:
    """Central squares of a lattice of this side, each 1 / factor of the one before, for `zoom_page`.

    Float (pixels, pixels) each, from -1 to 1; the last has single spins. The first has blocks of a power of `factor`,
    the least with which the lattice has at most `pixels`; if that power does not divide the side, it is the middle of
    the lattice. `read(b, window)` gives the means of b x b spins, of the blocks in the slice `window` along both axes.
    """
    blocks = [1]
    while side > pixels * blocks[-1] and side % (factor * blocks[-1]) == 0:
        blocks.append(factor * blocks[-1])
    shown = min(pixels, side // blocks[-1])
    starts = [(side // block - shown) // 2 for block in blocks]
    windows = [slice(start, start + shown) for start in starts]
    return [read(block, window) for block, window in reversed(list(zip(blocks, windows, strict=True)))]


def means_of(spins: NDArray[np.int8]) -> Read:
    """What `nested_pictures` reads, from a lattice (y, x) in memory; a row of blocks at a time is averaged."""

    def read(block: int, window: slice) -> Means:
        columns = slice(block * window.start, block * window.stop)
        return np.array([row(block * number, block, columns) for number in range(window.start, window.stop)])

    def row(first: int, block: int, columns: slice) -> Means:
        return spins[first : first + block, columns].sum(0, dtype=np.int64).reshape(-1, block).sum(1) / block**2

    return read


def pyramid_page(path: Path) -> str:
    """The page of a pyramid that `write_pyramid` wrote, from the middles of its levels."""
    group = zarr.open_group(path, mode="r", zarr_format=3)
    attributes: Any = group.attrs.asdict()
    image = attributes["ome"]["multiscales"][0]
    levels: dict[int, Any] = {FACTOR**level: group[found["path"]] for level, found in enumerate(image["datasets"])}
    side = levels[1].shape[0]

    def read(block: int, window: slice) -> Means:
        return np.asarray(levels[block][window, window]) / 127.5 - 1

    captions = [f"level {level} of {path.name}" for level in reversed(range(len(levels)))]
    return zoom_page(nested_pictures(read, side), FACTOR, f"{image['name']}: {_square(side)} spins", captions)


def zoom_page(pictures: Sequence[Means], factor: int, title: str, captions: Sequence[str] = ()) -> str:
    """A page of HTML that zooms through `nested_pictures`: by wheel, slider, keys, or on its own.

    The title and the captions of the pictures are plain text.
    """
    blocks = [factor**power for power in reversed(range(len(pictures)))]
    shown = [
        {
            "address": _address(picture),
            "side": block * len(picture),
            "says": f"a pixel is the majority of {_square(block)} spins" if block > 1 else "a pixel is a spin",
            "caption": caption,
        }
        for picture, block, caption in zip(pictures, blocks, captions or [""] * len(pictures), strict=True)
    ]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    colours = {name: f"rgb{colour}" for name, colour in (("down", DOWN), ("up", UP))}
    return environment.from_string(PAGE.read_text(encoding="utf-8")).render(title=title, pictures=shown, **colours)


def _square(side: int) -> str:
    return f"{side:,} × {side:,}"


def _address(means: Means) -> str:
    """The signs of the means as a PNG of one bit a pixel in an address: at T_c all scales look alike so."""
    image = Image.fromarray((np.asarray(means) > 0).astype(np.uint8))
    image.putpalette([*DOWN, *UP])
    file = io.BytesIO()
    image.save(file, "PNG", bits=1, optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
