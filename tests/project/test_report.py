"""The report: the page's content and order, and that nothing in a record becomes more than text."""

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from PIL import Image, PngImagePlugin

from kadanoff.errors import KadanoffError
from kadanoff.project.report import write_report

PIPELINE = """
stages:
  simulate:
    foreach: ${datasets}
    do: {cmd: kadanoff run simulate, deps: [src/kadanoff/studies/simulate/simulate.py]}
  coarsen:
    foreach: ${coarsen.variants}
    do: {cmd: kadanoff run coarsen, deps: [src/kadanoff/studies/coarsening/coarsen.py]}
  compare: {cmd: kadanoff run compare, deps: [src/kadanoff/studies/coarsening/compare.py]}
metrics: [reports/compare/summary.json]
"""
MD5 = "0123456789abcdef0123456789abcdef"
EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Tags with their attributes, the text, and the script."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.words, self.script, self._tag = [], [], "", ""
        self.feed(source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._tag = tag

    def handle_endtag(self, tag):
        self._tag = ""

    def handle_data(self, data):
        if self._tag == "script":
            self.script += data
        elif self._tag != "style":
            self.words.append(data)

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.fixture
def project(tmp_path):
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    return tmp_path


@pytest.fixture(scope="module")
def png(tmp_path_factory):
    path, text = tmp_path_factory.mktemp("png") / "x.png", PngImagePlugin.PngInfo()
    text.add_itxt("Description", "Losses <over> epochs")
    Image.new("P", (9, 9)).save(path, pnginfo=text)
    return path.read_bytes()


def write_record(project, stage, variant=None, *, metrics=None, files=None, place="reports", **info):
    folder = project / place / stage / (variant or "")
    folder.mkdir(parents=True)
    known = {
        "stage": stage,
        "variant": variant,
        "parameters": {"epochs": 2},
        "inputs": [{"path": "data/b16.zarr", "md5": f"{MD5}.dir"}],
        "environment": {"python": "3.11.7", "packages": {"numpy": "2.4.6"}},
        "started": "2026-11-20T06:55:12Z",
        "duration_s": 150.0,
        "git_commit": "6d1ebcf9decd840f0d213fa21a59d5d920c48edc",
    }
    (folder / "run.json").write_text(json.dumps(known | info))
    (folder / "metrics.json").write_text(json.dumps(metrics or {}))
    for name, content in (files or {}).items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def page_of(project):
    write_report(project)
    return Page((project / "reports/index.html").read_text())


def test_a_run_stands_with_its_numbers_its_inputs_and_its_command(project, png):
    model = {"weights": "models/coarsen/cnn.safetensors", "md5": MD5, "metric": "test/mse", "task": "2 x 2 blocks"}
    write_record(
        project,
        "coarsen",
        "cnn",
        metrics={"epochs": 50, "n": 305856.0, "test": {"mse": {"mean": 1.444e-4, "error": 1.5e-5}}},
        files={"history.png": png, "tables.md": "## Errors\n\n| |b|\n|-|-|\n|x|1|\n"},
        mlflow_run_id=MD5,
        model=model | {"contender": True, "takes": [-1, 16, 16], "gives": [-1, 8, 8]},
    )
    page = page_of(project)
    for expected in (
        "dvc repro coarsen@cnn",
        "2026-11-20 06:55 UTC",
        "2.5 min",
        "6d1ebcf9decd",
        f"MLflow run {MD5}",
        f"data/b16.zarr, md5 {MD5}.dir",
        "task: 2 x 2 blocks",
        "run epochs n test mse started took cnn 50 305856 1.44(15)e-4",
        "numpy 2.4.6",
        "Errors b x 1",
        "reports/coarsen/cnn/metrics.json",
    ):
        assert expected in page.text
    assert page.text.count("Errors") == 1  # a table's heading is its caption
    (image,) = page.all("img")
    assert image["alt"] == "Losses <over> epochs"
    assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) == png


def test_findings_come_first_with_a_sentence_numbers_with_errors_and_a_figure(project, png):
    write_record(
        project,
        "compare",
        metrics={"far": {"away": 1.0}},
        files={
            "headlines.json": json.dumps({"beta_over_nu": 0.12407, "beta_over_nu_stderr": 0.00089, "weights": 4929}),
            "comparison.csv": "method,L,beta,beta_stderr,gap\nblocks <b>,128,0.12407,0.00089,\npixels,64,,,2e-7\n",
            "beta.png": png,
            "alone.png": b"",
        },
        result="`blocks` give beta = 0.12407(89).",
        figure="beta",
        compared_by=["method", "L"],
    )
    write_record(project, "coarsen", "cnn", files={"beta.png": png}, result="Not among the findings.")
    write_record(project, "compare", place="reports/published/paper", metrics={"weights": 7})
    page = page_of(project)
    sentence = "blocks give beta = 0.12407(89). beta over nu 0.12407(89) weights 4929"
    assert f"Findings coarsening {sentence} Losses <over> epochs More of compare coarsening coarsen" in page.text
    assert page.text.count(sentence) == 2  # the second in its stage
    assert "method L beta gap blocks <b> 128 0.12407(89) – pixels 64 – 2e-07" in page.text
    assert "compare 0.12407(89) 4929 2026" in page.text
    assert "compare [paper] – 7 2026" in page.text
    assert [image["alt"] for image in page.all("img")][:2] == ["Losses <over> epochs"] * 2
    assert "#findings" in [link["href"] for link in page.all("a")]


def test_stages_stand_in_their_studies_in_the_order_of_the_pipeline(project):
    for stage, variant in (("zeta", "new"), ("compare", None), ("coarsen", "cnn"), ("coarsen", "mlp")):
        write_record(project, stage, variant)
    write_record(project, "coarsen", "cnn", place="reports/published/paper-scale", metrics={"n": 9})
    page = page_of(project)
    links = [link["href"] for link in page.all("a")]
    assert links[:8] == [
        "#main", "#findings", "#study:coarsening", "#stage:coarsen", "#stage:compare", "#study:zeta", "#stage:zeta",
        "#stage:compare",  # of its finding
    ]  # fmt: skip
    anchors = [attributes["id"] for attributes in page.all("div") if "id" in attributes]
    assert anchors == ["coarsen/cnn", "coarsen/mlp", "published/paper-scale/coarsen/cnn", "compare", "zeta/new"]
    assert page.text.count("dvc repro coarsen@cnn, with the parameters below in params.yaml") == 1
    assert "cnn [paper-scale]" in page.text


def test_links_lead_to_places_in_the_page_and_headings_skip_no_level(project):
    files = {"t.md": "### A\n\n# B\n\ntext\n\n|a|b|\n|-|-|\n|1|2|\n", "headlines.json": '{"n": 1}'}
    for stage, variant in (("coarsen", "cnn"), ("coarsen", "mlp"), ("compare", None), ("stage", "coarsen")):
        write_record(project, stage, variant, metrics={"n": 1}, files=files)
    page = page_of(project)
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    assert {link["href"] for link in page.all("a")} <= {f"#{name}" for name in names}
    assert {attributes["aria-labelledby"] for attributes in page.all("section")} <= set(names)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert (levels[0], levels.count(1)) == (1, 1)
    assert all(after <= before + 1 for before, after in pairwise(levels))
    assert all(header["scope"] in ("col", "row") for header in page.all("th"))
    assert len(page.all("caption")) == len(page.all("table"))
    assert len(page.all("main")) == len(page.all("nav")) == len(page.all("header")) == len(page.all("footer")) == 1


def test_nothing_in_a_record_becomes_more_than_text(project, png):
    write_record(
        project,
        "coarsen",
        "cnn",
        metrics={EVIL: {EVIL: 1}, "a": {"mean": 5e-324, "error": 5e-324}, "b": {"mean": 1e300, "error": 1e-300}},
        parameters={EVIL: EVIL, "list": ["</details>", '" onload="']},
        inputs=[{"path": EVIL, "md5": None}],
        environment={EVIL: {EVIL: EVIL}, "python": "\ud800"},
        dvc_experiment=EVIL,
        result=f"{EVIL} <b>",
        compared_by=["a"],
        files={
            f"{EVIL[:8]}.png": png,
            "headlines.json": json.dumps({EVIL: 1}),
            "comparison.csv": f"a,{EVIL}\n{EVIL},1\n",
            "zoom.html": f"<html>{EVIL}</html>",
            "tables.md": f"# {EVIL}\n\n|<b>x|y|\n|-|-|\n|<img src=x>|{EVIL}|\n\n{EVIL}\n\n"
            "![x](http://evil.example/x.png) [x](javascript:alert(1)) <http://evil.example>\n",
        },
    )
    page = page_of(project)
    assert page.text.count(EVIL) > 12
    assert not page.all("b", "iframe", "object", "form")
    assert page.all("script") == [{}]
    assert all(link["href"].startswith("#") for link in page.all("a"))
    assert [image["src"][:22] for image in page.all("img")] == ["data:image/png;base64,"]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    (policy,) = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    known = base64.b64encode(hashlib.sha256(page.script.encode()).digest()).decode()
    assert policy == f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{known}'"


def test_a_broken_record_is_named_and_the_others_are_there(project):
    write_record(project, "coarsen", "cnn")
    write_record(project, "coarsen", "mlp", files={"metrics.json": "{"})
    write_record(project, "coarsen", "fig", files={"phase_diagram.png": b"GIF89a"})
    with pytest.raises(KadanoffError) as caught:
        write_report(project)
    page = Page((project / "reports/index.html").read_text())
    problem = "reports/coarsen/mlp is left out: reports/coarsen/mlp/metrics.json is not valid JSON"
    assert problem in str(caught.value)
    assert problem in page.text
    assert page.all("img")[0]["alt"] == "Phase diagram of coarsen/fig"
    assert "dvc repro coarsen@cnn" in page.text
    assert "dvc repro coarsen@mlp" not in page.text


def test_wrong_projects_are_sentences(project):
    with pytest.raises(KadanoffError, match=r"there is no record in .*reports; run `dvc repro`"):
        write_report(project)
    (project / "dvc.yaml").write_text("stages: [")
    with pytest.raises(KadanoffError, match=r"dvc\.yaml is not valid YAML"):
        write_report(project)
    (project / "dvc.yaml").write_text("stages: [a]")
    with pytest.raises(KadanoffError, match=r"dvc\.yaml has no mapping `stages`"):
        write_report(project)
