"""MLflow's pages of a fresh clone, as a person goes through them."""

import json

import pytest
from selenium.webdriver.common.by import By

pytestmark = pytest.mark.slow

TAB = "*[@role='tab']"


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
    browser.driver.get("about:blank")  # else only the fragment of the address changes, and the old page stays a while
    browser.driver.get(f"{prepared}/#/experiments")
    yield browser
    assert browser.banner() is None
    assert [url for url in browser.requests() if not url.startswith(prepared)] == []


def metrics(clone, run):
    return json.loads((clone.folder / "reports" / run / "metrics.json").read_text())


def open_runs(pages, study="coarsen"):
    pages.choose(study, "a")
    pages.see("matching runs")


def open_run(pages, name, tab="Overview"):
    open_runs(pages)
    pages.choose(name, "a")
    pages.choose(tab, TAB)


def curves(pages):
    """How many different curves each chart of curves draws, over at least half of its width."""
    found = pages.run(
        """return [...document.querySelectorAll('.js-plotly-plot')].map(chart => new Set(
            [...chart.querySelectorAll('path.js-line')]
                .filter(line => line.getBBox().width > chart.clientWidth / 2).map(line => line.getAttribute('d'))
        ).size)"""
    )
    return [count for count in found if count]  # a single number is a dot or a bar


def test_ui_of_a_fresh_clone_has_computed_nothing(mlflow_ui, clone):
    made = {path.name for path in clone.folder.iterdir()} & {"data", "models", ".checkpoints"}
    assert made == set()
    assert clone.run("git", "status", "--short", "--", "reports", "dvc.lock") == ""


def test_ui_lists_an_experiment_for_each_stage(pages, clone):
    for address in clone.lock():
        assert pages.see(address.split("@")[0]).tag_name == "a"


def test_ui_lists_every_run_of_a_study(pages, clone):
    open_runs(pages)
    names = [address.split("@")[1] for address in clone.lock() if address.startswith("coarsen@")]
    assert len(names) > 5
    for name in names:
        pages.see(name)
    assert str(len(names)) in pages.see("matching runs").text


def test_ui_draws_the_curves_of_a_study_together(pages):
    open_runs(pages)
    pages.click("//input[@name='runs-view-mode' and @value='CHART']/ancestor::label")
    search_charts(pages, "loss")
    # MLflow shows the first ten runs; early stopping ends some curves before the middle
    pages.until(lambda: len(curves(pages)) == 2 and min(curves(pages)) > 5, "curves")


def search_charts(pages, text):
    field = pages.until(
        lambda: pages.driver.find_element(By.XPATH, "//input[@placeholder='Search metric charts']"), "search"
    )
    field.send_keys(text)


def test_ui_shows_a_run_with_its_numbers_and_parameters(pages, clone):
    open_run(pages, "cnn")
    pages.see("Finished")
    pages.see(str(metrics(clone, "coarsen/cnn")["test"]["mse"]["mean"]))
    pages.see("early_stopping_patience")
    pages.see("kadanoff run coarsen@cnn")
    pages.choose("Show more", "button")
    command = "dvc get . data/coarsen/coarsen16.zarr --rev COMMIT"
    pages.until(lambda: command in pages.run("return document.body.innerText"), command)


def input_md5(clone, record):
    (found,) = json.loads((clone.folder / "reports" / record / "run.json").read_text())["inputs"]
    return found["md5"]


def test_ui_compares_two_runs(pages, clone):
    open_runs(pages)
    for name in ("cnn", "mlp"):
        row = f"//*[@role='row'][.//a[normalize-space()='{name}']]"
        pages.click(f"{row}//*[contains(@class, 'ag-checkbox-input-wrapper')]")
    pages.choose("Compare", "button")
    pages.see("Comparing 2 Runs from 1 Experiment")
    for name in ("cnn", "mlp"):
        pages.see(str(metrics(clone, f"coarsen/{name}")["parameters"]))
    pages.until(lambda: pages.run("return document.querySelectorAll('.js-plotly-plot .axis-title').length"), "axes")


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
    pages.see(f"coarsen/{best} (test/mse")
    pages.see(f"coarsen16 {input_md5(clone, f'coarsen/{best}')}")
    assert all("path=MLmodel" in line for line in pages.complaints())  # its weights were not pulled yet


def test_ui_says_when_there_is_no_such_page(browser, prepared):
    """The negative control of the check that nothing is amiss."""
    browser.driver.get(f"{prepared}/#/models/no_such_model")
    browser.see("Page Not Found")
    assert "Not Found" in browser.banner()
    browser.complaints()  # the request for it failed, as it should
