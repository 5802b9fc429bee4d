"""MLflow's pages of a fresh clone, as a person goes through them."""

import json

import pytest

pytestmark = pytest.mark.slow

NAMES = """return [...document.querySelectorAll("div[row-index]")].filter(row => row.querySelector("a"))
    .sort((one, other) => one.getAttribute("row-index") - other.getAttribute("row-index"))
    .map(row => row.querySelector("a").textContent)"""
TAB = "*[@role='tab']"
CHART = "//label[.//input[@value='CHART']]"


@pytest.fixture(scope="module")
def prepared(window, mlflow_ui):
    """A visitor who has chosen model training, which MLflow then remembers, and closed its assistant."""
    window.driver.get(f"{mlflow_ui}/#/experiments")
    window.choose("Model training")
    window.click("//button[@aria-label='Close']")
    return mlflow_ui


@pytest.fixture
def pages(browser, prepared):
    """MLflow's pages from the list of experiments; they ask for nothing from elsewhere, and nothing is amiss."""
    browser.requests()  # of what was open before
    browser.driver.get("about:blank")  # else only the fragment of the address changes, and the old page stays a while
    browser.driver.get(f"{prepared}/#/experiments")
    yield browser
    assert browser.banner() is None
    assert [url for url in browser.requests() if not url.startswith(prepared)] == []


def metrics(clone, run):
    return json.loads((clone.folder / "reports" / run / "metrics.json").read_text())


def headlines(clone, run):
    return json.loads((clone.folder / "reports" / run / "headlines.json").read_text())


def open_view(pages, study, view):
    """The rows of a saved view, by their names, from the first to the last."""
    pages.choose(study, "a")
    pages.choose("Views", "button")
    pages.click(f"//*[contains(text(), '{view}')]")
    pages.see("viewing a shared view")
    pages.until(lambda: pages.run(NAMES), "rows")
    return pages.run(NAMES)


def open_runs(pages, study="coarsen"):
    pages.choose(study, "a")
    pages.see("matching runs")


def open_run(pages, name, tab="Overview"):
    open_runs(pages)
    pages.choose(name, "a")
    pages.choose(tab, TAB)


def test_ui_of_a_fresh_clone_has_computed_nothing(mlflow_ui, clone):
    made = {path.name for path in clone.folder.iterdir()} & {"data", "models", ".checkpoints"}
    assert made == set()
    assert clone.run("git", "status", "--short", "--", "reports", "dvc.lock") == ""


def test_ui_lists_an_experiment_for_each_stage(pages, clone):
    for address in clone.lock():
        name = address.split("@")[0]
        pages.until(lambda name=name: pages._all(f'//a[normalize-space()="{name}"]'), name)


def test_ui_lists_every_run_of_a_study(pages, clone):
    open_runs(pages)
    names = [address.split("@")[1] for address in clone.lock() if address.startswith("coarsen@")]
    assert len(names) > 5
    for name in names:
        pages.see(name)
    assert str(len(names)) in pages.see("matching runs").text


def test_ui_shows_a_run_with_its_numbers_and_parameters(pages, clone):
    open_run(pages, "cnn")
    pages.see("Finished")
    pages.see("mean squared error")
    pages.see(str(headlines(clone, "coarsen/cnn")["test_mse"]))
    pages.see("early_stopping_patience")
    pages.see("kadanoff run coarsen@cnn")
    pages.choose("Show more", "button")
    command = "dvc get . data/coarsen/coarsen16.zarr --rev COMMIT"
    pages.until(lambda: command in pages.run("return document.body.innerText"), command)


def test_the_best_network_is_the_first_row(pages, clone):
    errors = {
        path.parent.name: headlines(clone, f"coarsen/{path.parent.name}")["test_mse"]
        for path in clone.folder.glob("reports/coarsen/*/headlines.json")
    }
    assert open_view(pages, "coarsen", "Headline numbers") == sorted(errors, key=errors.__getitem__)


def test_a_chart_shows_the_exponent_by_sweeps(pages):
    names = open_view(pages, "exponents", "What is compared")
    assert "blocks, sweeps = 8, L = 128" in names
    pages.click(CHART)
    pages.see("sweeps vs. gamma_over_nu")


def input_md5(clone, record):
    (found,) = json.loads((clone.folder / "reports" / record / "run.json").read_text())["inputs"]
    return found["md5"]


def test_ui_shows_the_registered_model(pages, clone):
    records = [path.parent for path in clone.folder.glob("reports/coarsen/*/run.json")]
    models = {record.name: json.loads((record / "run.json").read_text())["model"] for record in records}
    contenders = [name for name, model in models.items() if model["contender"]]
    best = min(contenders, key=lambda name: metrics(clone, f"coarsen/{name}")["test"]["mse"]["mean"])
    pages.choose("Model registry", "a")
    pages.choose("Try it now", "button")  # with this MLflow greets a new visitor
    pages.choose("coarsen", "a")
    pages.see("Networks of the study coarsen")
    pages.see("champion")
    version = 1 + sorted(models).index(best)
    pages.choose(f"Version {version}", "a")
    pages.see(f"coarsen/{best}")
    pages.see("int8 [-1, -1, -1] (-1: any)")
    pages.see(f"coarsen16 {input_md5(clone, f'coarsen/{best}')}")
    assert all("path=MLmodel" in line for line in pages.complaints())  # its weights were not pulled yet


def test_ui_says_when_there_is_no_such_page(browser, prepared):
    """The negative control of the check that nothing is amiss."""
    browser.driver.get(f"{prepared}/#/models/no_such_model")
    browser.see("Page Not Found")
    assert "Not Found" in browser.banner()
    browser.complaints()  # the request for it failed, as it should
