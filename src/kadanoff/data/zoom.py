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

PIXELS = SMALLEST
DOWN, UP = (12, 35, 64), (255, 232, 190)  # dark and light, so that they differ without colours too

Means = NDArray[np.floating]
Read = Callable[[int, slice], Means]


def nested_pictures(read: Read, side: int, factor: int = FACTOR, pixels: int = PIXELS) -> list[Means]:
    """Central squares of a lattice, each 1 / factor of the one before, for `zoom_page`.

    Parameters
    ----------
    read
        `read(b, window)` gives the means of b x b spins, of the blocks in the slice `window` along both axes.
    side
        Of the lattice, in sites.
    factor, pixels
        The first picture has blocks of a power of `factor`, the least with which the lattice has at most `pixels`; if
        that power does not divide the side, the picture is the middle of the lattice.

    Returns
    -------
    float (pixels, pixels) each, from -1 to 1; the last has single spins.
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
    """A page of HTML that zooms through nested pictures: by wheel, slider, keys, or on its own.

    Parameters
    ----------
    pictures
        Means of spins, from -1 to 1, (pixels, pixels) each. Each is the central 1 / factor of the one before; a pixel
        of the last is a spin. `nested_pictures` makes them.
    factor
        Ratio of the sides of two pictures.
    title, captions
        Plain text: of the page, and of each picture.
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
    return environment.from_string(PAGE).render(title=title, pictures=shown, **colours)


def _square(side: int) -> str:
    return f"{side:,} × {side:,}"


def _address(means: Means) -> str:
    """The signs of the means as a PNG of one bit a pixel in an address: at T_c all scales look alike so."""
    image = Image.fromarray((np.asarray(means) > 0).astype(np.uint8))
    image.putpalette([*DOWN, *UP])
    file = io.BytesIO()
    image.save(file, "PNG", bits=1, optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


PAGE = """\
<!DOCTYPE html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ title }}</title>
<style>
:root { --paper: #fdfcf9; --ink: #201f1d; --quiet: #6b665f; --line: #8a847b; --accent: #14507f; }
:root { color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #16181b; --ink: #e4e1da; --quiet: #9c978e; --line: #6f7378; --accent: #8fbfe8; }
}
* { box-sizing: border-box; }
body { margin: 0; padding: 1rem; background: var(--paper); color: var(--ink); }
body, button { font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif; }
main { width: min(100%, max(16rem, 100vh - 13rem)); margin: 0 auto; }
h1 { margin: 0 0 0.6rem; font-size: 1.2rem; line-height: 1.3; overflow-wrap: anywhere; }
canvas { display: block; width: 100%; aspect-ratio: 1; background: {{ down }}; }
p { margin: 0.5rem 0 0; font-variant-numeric: tabular-nums; }
.quiet { margin: 0; font-size: 0.875rem; color: var(--quiet); overflow-wrap: anywhere; }
.controls { display: flex; gap: 0.5rem; align-items: center; margin-top: 0.7rem; }
input { flex: 1; min-width: 0; accent-color: var(--accent); }
button { min-width: 2.4rem; padding: 0.1rem 0.6rem; border: 1px solid var(--line); border-radius: 0.3rem; }
button { background: none; color: inherit; cursor: pointer; }
i { display: inline-block; width: 0.9em; height: 0.9em; border: 1px solid var(--line); vertical-align: -0.1em; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 2px; }
</style>
<main>
<h1>{{ title }}</h1>
<canvas role="img" aria-label="The middle of the lattice, as far as it is seen"></canvas>
<div class="controls">
<button id="out" aria-label="Zoom out">−</button>
<input type="range" min="0" max="1" step="any" value="0" aria-label="Zoom">
<button id="in" aria-label="Zoom in">+</button>
<button id="play">Play</button>
</div>
<p><strong id="seen"></strong> sites are seen; <span id="says"></span></p>
<p class="quiet"><i style="background: {{ up }}"></i> spin +1 <i style="background: {{ down }}"></i> spin −1
<span id="caption"></span></p>
<noscript><p>It zooms by a script, which this viewer does not run.</p></noscript>
{% for picture in pictures %}
<img hidden alt="" data-side="{{ picture.side }}" data-says="{{ picture.says }}" data-caption="{{ picture.caption }}"
src="{{ picture.address }}">
{% endfor %}
</main>
<script>
"use strict";
const get = name => document.querySelector(name), canvas = get("canvas"), brush = canvas.getContext("2d");
const slider = get("input"), pictures = [...document.images], sides = pictures.map(picture => +picture.dataset.side);
const last = pictures.length - 1, most = sides[0], fewest = 32;
let least = most, seen = most, playing = 0;

function put(number, opacity) {
  const side = canvas.width * sides[number] / seen, corner = (canvas.width - side) / 2;
  brush.globalAlpha = opacity;
  brush.imageSmoothingEnabled = number < last || side < 3 * pictures[last].naturalWidth;  // large spins have edges
  brush.imageSmoothingQuality = "high";
  brush.drawImage(pictures[number], corner, corner, side, side);
}

function draw() {
  const width = Math.round(canvas.clientWidth * devicePixelRatio);
  if (canvas.width !== width) canvas.width = canvas.height = width;
  const outer = sides.findLastIndex(side => side >= seen * (1 - 1e-9));
  put(outer, 1);
  let main = outer;
  if (outer < last) {  // the finer picture appears as it grows into the frame
    const part = Math.max(0, (sides[outer + 1] / seen - 0.6) / 0.4), opacity = part * part * (3 - 2 * part);
    put(outer + 1, opacity);
    if (opacity > 0.5) main = outer + 1;
  }
  const side = Math.round(seen).toLocaleString("en");
  get("#seen").textContent = `${side} × ${side}`;
  get("#says").textContent = pictures[main].dataset.says;
  get("#caption").textContent = pictures[main].dataset.caption && `· ${pictures[main].dataset.caption}`;
  slider.value = most > least ? Math.log(most / seen) / Math.log(most / least) : 0;
  slider.setAttribute("aria-valuetext", `${side} sites`);
}

function show(side) {
  seen = Math.min(most, Math.max(least, side));
  draw();
}

function stop() {
  cancelAnimationFrame(playing);
  playing = 0;
  get("#play").textContent = "Play";
}

function play() {
  if (playing) return stop();
  const inward = seen > least * 1.001, end = inward ? least : most;
  let before = performance.now();
  const step = now => {
    show(seen * 3 ** ((inward ? -1 : 1) * (now - before) / 3000));
    before = now;
    if (seen === end) stop(); else playing = requestAnimationFrame(step);
  };
  get("#play").textContent = "Stop";
  playing = requestAnimationFrame(step);
}

function turn(steps) {
  stop();
  show(seen * 3 ** (steps / 8));
}

canvas.addEventListener("wheel", event => {
  event.preventDefault();
  turn(event.deltaY * [1, 16, 400][event.deltaMode] / 100);
}, {passive: false});
slider.addEventListener("input", () => {
  stop();
  show(most * (least / most) ** slider.value);
});
get("#in").addEventListener("click", () => turn(-1));
get("#out").addEventListener("click", () => turn(1));
get("#play").addEventListener("click", play);
addEventListener("keydown", event => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (["+", "=", "-"].includes(event.key)) turn(event.key === "-" ? 1 : -1);
});
addEventListener("resize", draw);
addEventListener("load", () => {
  least = Math.min(most, sides[last] * fewest / pictures[last].naturalWidth);
  draw();
});
</script>
</html>
"""
