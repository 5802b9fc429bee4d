"""The report in a browser: as one file, without network, on a phone and in the dark."""

import pytest

pytestmark = pytest.mark.slow

PHONE = 360  # pixels


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
    assert page.run("return performance.getEntriesByType('resource').length + document.scripts.length") == 0
    unfold(page)
    text = page.run("return document.body.innerText")
    for stage in clone.lock():
        assert f"dvc repro {stage}" in text


def test_report_images_have_loaded_and_say_what_they_show(page):
    unfold(page)
    images = page.run("return [...document.images].map(i => [i.complete, i.naturalWidth, i.alt.length, i.clientWidth])")
    assert len(images) > 10
    assert all(complete and width > 100 and words > 10 and shown > 100 for complete, width, words, shown in images)


def test_report_fits_a_phone(page):
    page.resize(PHONE, 740)
    unfold(page)
    assert page.run("return innerWidth") == PHONE
    assert page.run("return document.documentElement.scrollWidth") <= PHONE
    # beyond the edge there is only what scrolls in a box of its own
    beyond = """return [...document.querySelectorAll('body *')]
        .filter(e => !e.closest('.scroll') && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"""
    assert page.run(beyond) == []
    assert page.run("return [...document.querySelectorAll('.scroll')].some(e => e.scrollWidth > e.clientWidth)")


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
    for text in ("body", "a", "figcaption", "thead th"):
        lighter, darker = sorted([luminance(page, "color", text), paper], reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) > 4.5, text  # the contrast that WCAG 2 asks for
    assert luminance(page, "background-color", "figure img") == 1  # figures are drawn on white
