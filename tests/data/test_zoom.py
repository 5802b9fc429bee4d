"""The page that zooms into a lattice: its pictures are the lattice's, and a browser shows them without network."""

import base64
import html
import io
import json
import re
import shutil
import subprocess

import numpy as np
import pytest
from PIL import Image

from kadanoff.data import zoom
from kadanoff.data.pyramid import write_pyramid
from kadanoff.data.store import Ensemble, create_lattice, finish_lattice
from kadanoff.data.zoom import means_of, nested_pictures, pyramid_page, zoom_page

ADDRESS = re.compile(r"data:image/png;base64,([A-Za-z0-9+/=]+)")


def random_spins(side):
    return 2 * np.random.default_rng(side).integers(0, 2, (side, side), np.int8) - 1


def drawn(page):
    """Pictures of a page."""
    return [Image.open(io.BytesIO(base64.b64decode(found))) for found in ADDRESS.findall(page)]


def up(image):
    """How much of the colour of a spin up each pixel has, from 0 to 1."""
    red = np.asarray(image.convert("RGB"))[..., 0].astype(float)
    return (red - zoom.DOWN[0]) / (zoom.UP[0] - zoom.DOWN[0])


@pytest.mark.parametrize(("side", "factor", "pixels"), [(864, 3, 40), (96, 3, 96), (64, 2, 16), (100, 3, 30)])
def test_pictures_are_means_of_nested_squares(side, factor, pixels):
    spins = random_spins(side)
    found = nested_pictures(means_of(spins), side, factor, pixels)
    shown = {864: 32, 96: 96, 64: 16, 100: 30}[side]
    assert [picture.shape for picture in found] == [(shown, shown)] * {864: 4, 96: 1, 64: 3, 100: 1}[side]
    for power, picture in enumerate(reversed(found)):
        block = factor**power
        start = (side - shown * block) // 2
        part = spins[start : start + shown * block, start : start + shown * block]
        np.testing.assert_allclose(picture, part.reshape(shown, block, shown, block).mean((1, 3)), atol=1e-12)


def test_page_holds_the_pictures_and_asks_for_nothing():
    pictures = nested_pictures(means_of(random_spins(864)), 864, 3, 32)
    page = zoom_page(pictures, 3, "Seeds & <b>lattices</b>", ["a", "b", "c", '"d"'])
    images = drawn(page)
    assert len(images) == page.count("<img") == 4
    for image, picture, block in zip(images, pictures, (27, 9, 3, 1), strict=True):
        np.testing.assert_array_equal(up(image), picture > 0)
        assert f'data-side="{32 * block}"' in page
    assert not re.search(r"https?:|//[a-z]|@import|url\(", page)
    assert "<title>Seeds &amp; &lt;b&gt;lattices&lt;/b&gt;</title>" in page
    assert 'data-caption="&#34;d&#34;"' in page
    with pytest.raises(ValueError, match="zip"):
        zoom_page(pictures, 3, "title", ["one"])


@pytest.fixture
def pyramid(tmp_path):
    """A pyramid of 1536 x 1536 random spins, and the spins."""
    spins = random_spins(1536)
    array = create_lattice(tmp_path / "large.zarr", 1536)
    array[0, 0] = spins
    zero = np.zeros((1, 1))
    finish_lattice(tmp_path / "large.zarr", Ensemble(array, np.array([2.0]), zero, zero, np.array([np.nan])))
    write_pyramid(tmp_path / "large.zarr", tmp_path / "pyramid.zarr")
    return tmp_path / "pyramid.zarr", spins


def test_page_of_a_pyramid_is_that_of_its_lattice(pyramid):
    path, spins = pyramid
    page = pyramid_page(path)
    assert "<h1>large: 1,536 × 1,536 spins</h1>" in page
    assert "level 1 of pyramid.zarr" in page
    expected = drawn(zoom_page(nested_pictures(means_of(spins), 1536), 3, ""))
    for found, image in zip(drawn(page), expected, strict=True):
        np.testing.assert_array_equal(up(found), up(image))
    np.testing.assert_array_equal(up(drawn(page)[-1]), spins[512:1024, 512:1024] > 0)


VISIT = """<script>
addEventListener("load", () => {
  const found = {}, text = () => document.querySelector("p").textContent;
  const colours = () => {
    const bytes = new Uint32Array(brush.getImageData(0, 0, canvas.width, canvas.height).data.buffer);
    return new Set(bytes).size;
  };
  const key = name => dispatchEvent(new KeyboardEvent("keydown", {key: name}));
  found.first = text();
  found.shades = colours();
  key("+");
  found.plus = text();
  key("-");
  found.minus = text();
  canvas.dispatchEvent(new WheelEvent("wheel", {deltaY: -800, cancelable: true}));
  found.wheel = text();
  slider.value = 1;
  slider.dispatchEvent(new Event("input"));
  found.last = text();
  found.spins = colours();
  found.wide = document.documentElement.scrollWidth > innerWidth;
  document.body.append(Object.assign(document.createElement("pre"), {id: "found", textContent: JSON.stringify(found)}));
});
</script>"""


@pytest.mark.slow
def test_a_browser_zooms(tmp_path):
    page = zoom_page(nested_pictures(means_of(random_spins(1536)), 1536), 3, "Spins", ["all", "the middle"])
    (tmp_path / "page.html").write_text(page + VISIT)
    program = shutil.which("chromium")
    assert program, "there is no chromium: on Debian `apt-get install chromium`"
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", f"--user-data-dir={tmp_path}/profile"]
    command = [program, *options, "--dump-dom", (tmp_path / "page.html").as_uri()]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120).stdout
    found = json.loads(html.unescape(re.search(r'<pre id="found">(.*?)</pre>', shown)[1]))
    assert found["first"] == "1,536 × 1,536 sites are seen; a pixel is the majority of 3 × 3 spins"
    assert found["plus"] == "1,339 × 1,339 sites are seen; a pixel is the majority of 3 × 3 spins"
    assert found["minus"] == found["first"]
    assert found["wheel"] == "512 × 512 sites are seen; a pixel is a spin"
    assert found["last"] == "32 × 32 sites are seen; a pixel is a spin"
    assert found["shades"] > 1  # majorities; the canvas blends them where a pixel is not a pixel of the screen
    assert found["spins"] == 2
    assert not found["wide"]
