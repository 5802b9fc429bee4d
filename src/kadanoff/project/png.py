"""Figures as small PNG files that carry their captions."""

import io
from pathlib import Path
from typing import Any, Protocol

COLOURS = 256  # of the palette: a third of the bytes, and no difference that an eye sees


class Figure(Protocol):
    """A Matplotlib figure."""

    def savefig(self, fname: Any, **options: Any) -> None:
        """Write the figure to a file."""


def save_png(figure: Figure, path: Path, caption: str) -> None:
    """Write a figure as a PNG with a palette; the same figure gives the same bytes."""
    from PIL import Image, PngImagePlugin  # most stages draw nothing until they end

    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    text = PngImagePlugin.PngInfo()
    text.add_itxt("Description", caption)
    with Image.open(drawn) as image:
        small = image.convert("RGB").quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
        small.save(path, "PNG", optimize=True, pnginfo=text)


def caption_of(path: Path) -> str:
    """The caption that a PNG carries; empty if it has none or is no PNG."""
    from PIL import Image

    try:
        with Image.open(path, formats=["PNG"]) as image:
            return str(getattr(image, "text", {}).get("Description", ""))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return ""
