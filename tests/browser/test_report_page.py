"""The report in a browser: as one file, without network, on a phone, on a wide screen and in the dark."""

from itertools import pairwise

import pytest

pytestmark = pytest.mark.slow

PHONES, DESK = (360, 390), 1920  # pixels


@pytest.fixture(scope="module")
def address(clone):
    clone.run("kadanoff", "report")
    return (clone.folder / "reports" / "index.html").as_uri()


@pytest.fixture
def page(browser, address):
    browser.requests()  # of what was open before
    browser.driver.get(address)
    return browser


def unfold(page):
    page.run("document.querySelectorAll('details').forEach(item => item.open = true)")


def test_report_is_one_file_with_every_run_that_asks_for_nothing(page, clone, address):
    page.see("coarsen_compare")
    assert page.requests() == [address]
    assert (clone.folder / "reports" / "index.html").stat().st_size < 6e6  # it travels by mail
    assert page.run("return performance.getEntriesByType('resource').length") == 0
    unfold(page)
    text = page.run("return document.body.innerText")
    for stage in clone.lock():
        assert f"dvc repro {stage}" in text


def test_report_images_have_loaded_and_say_what_they_show(page):
    unfold(page)
    images = page.run("return [...document.images].map(i => [i.complete, i.naturalWidth, i.alt.length, i.clientWidth])")
    assert len(images) > 10
    assert all(complete and width > 100 and words > 10 and shown > 100 for complete, width, words, shown in images)


@pytest.mark.parametrize("width", [*PHONES, DESK])
def test_report_fits_a_window_of(page, width):
    page.resize(width, 900)
    unfold(page)
    assert page.run("return innerWidth") == width
    assert page.run("return document.documentElement.scrollWidth") <= width
    # beyond the edge there is only what scrolls in a box of its own
    beyond = """return [...document.querySelectorAll('body *:not(.skip)')]
        .filter(e => !e.closest('.scroll') && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"""
    assert page.run(beyond) == []
    cut = page.run("return [...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth).length")
    assert cut == 0 if width == DESK else cut > 0


def test_report_contents_stay_in_sight(page):
    page.choose("coarsen_compare", "a")
    page.until(lambda: page.run("return scrollY > 1000"), "the stage")
    assert page.run("return document.querySelector('nav').getBoundingClientRect().top") == 0


def test_report_tables_sort_up_and_down_and_back(page):
    table = "const table = document.getElementById('stage:coarsen').nextElementSibling.querySelector('table');"
    took = f"{table} return [...table.tBodies[0].rows].map(row => +row.lastElementChild.dataset.value)"
    before = page.run(took)
    assert before != sorted(before)
    for order, expected in (("ascending", sorted(before)), ("descending", sorted(before)[::-1]), ("none", before)):
        page.click("//h3[@id='stage:coarsen']/following-sibling::div[1]//button[normalize-space()='took']")
        assert page.run(f"{table} return table.tHead.rows[0].lastElementChild.ariaSort") == order
        assert page.run(took) == expected


def test_report_can_be_listened_to(page):
    unfold(page)
    levels = page.run("return [...document.querySelectorAll('h1, h2, h3, h4, h5, h6')].map(h => +h.tagName[1])")
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert page.run("return document.querySelector('main h2').textContent") == "Findings"
    nameless = "return [...document.querySelectorAll('button, a, summary')].filter(e => !e.textContent.trim()).length"
    assert page.run(nameless) == 0
    page.driver.switch_to.active_element.send_keys("\t\n")  # the first link leads past the contents
    assert page.run("return location.hash") == "#main"


def luminance(page, what, where):
    """Relative luminance of the colour of an element: 0 black, 1 white."""
    colour = page.run(f"return getComputedStyle(document.querySelector('{where}'))['{what}']")
    numbers = [float(part) / 255 for part in colour.removeprefix("rgb(").removesuffix(")").split(",")]
    linear = [n / 12.92 if n <= 0.04045 else ((n + 0.055) / 1.055) ** 2.4 for n in numbers]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_report_is_readable_in(page, scheme):
    page.prefer(scheme)
    paper = luminance(page, "background-color", "body")
    assert paper < 0.02 if scheme == "dark" else paper > 0.9
    card = luminance(page, "background-color", "figure")
    assert card < 0.8 if scheme == "dark" else card == 1  # figures are drawn in black on white
    for text, ground in (("body", paper), ("a", paper), ("thead th", paper), ("dt", paper), ("figcaption", card)):
        lighter, darker = sorted([luminance(page, "color", text), ground], reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) > 4.5, text  # the contrast that WCAG 2 asks for
