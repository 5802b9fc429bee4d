"""The report: what stands in the page, in which order, and that nothing in a record becomes more than text."""

import base64
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise

import pytest
from matplotlib.figure import Figure

from kadanoff.errors import KadanoffError
from kadanoff.project.report import markdown, words, write_report

PIPELINE = """
stages:
  simulate:
    foreach: ${datasets}
    do:
      cmd: kadanoff simulate ${key}
      desc: Configurations, one dataset an entry.
  coarsen:
    foreach: ${coarsen.variants}
    do:
      cmd: kadanoff coarsen ${key}
  compare:
    cmd: kadanoff compare
"""
PARAMETERS = "{datasets: {b16: {}, a32: {}}, coarsen: {variants: {mlp: {}, cnn: {}}}}"
MD5 = "0123456789abcdef0123456789abcdef"
EVIL = "<script>alert(1)</script>"


class Page(HTMLParser):
    """Tags with their attributes, and the text without style."""

    def __init__(self, source):
        super().__init__()
        self.tags, self.words, self._hidden = [], [], False
        self.feed(source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self._hidden = tag == "style"

    def handle_endtag(self, tag):
        self._hidden = False

    def handle_data(self, data):
        if not self._hidden:
            self.words.append(data)

    def all(self, *names):
        return [attributes for tag, attributes in self.tags if tag in names]


@pytest.fixture
def project(tmp_path):
    (tmp_path / "dvc.yaml").write_text(PIPELINE)
    (tmp_path / "params.yaml").write_text(PARAMETERS)
    return tmp_path


@pytest.fixture(scope="module")
def png():
    content = io.BytesIO()
    Figure(figsize=(1, 0.4)).savefig(content)
    return content.getvalue()


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
        "duration_s": 125.0,
        "git_commit": "6d1ebcf9decd840f0d213fa21a59d5d920c48edc",
    }
    (folder / "run.json").write_text(json.dumps(known | info))
    (folder / "metrics.json").write_text(json.dumps(metrics or {}))
    for name, content in (files or {}).items():
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def page_of(project):
    write_report(project)
    return Page((project / "reports/index.html").read_text())


def test_a_run_stands_with_its_numbers_its_inputs_and_its_command(project, png):
    model = {"weights": "models/coarsen/cnn.safetensors", "md5": MD5, "metric": "test/mse", "task": "2 x 2 blocks"}
    write_record(
        project,
        "coarsen",
        "cnn",
        metrics={"epochs": 50, "test": {"mse": {"mean": 1.444e-4, "error": 1.5e-5}}},
        files={"history.csv": "epoch,train_loss,learning_rate\n1,0.5,1\n2,0.25,1\n", "history.png": png},
        mlflow_run_id=MD5,
        model=model | {"contender": True, "takes": [-1, 16, 16], "gives": [-1, 8, 8]},
    )
    page = page_of(project)
    for expected in (
        "dvc repro coarsen@cnn",
        "2026-11-20 06:55 UTC",
        "2 min 05 s",
        "6d1ebcf9decd",
        f"MLflow run {MD5}",
        f"data/b16.zarr , md5 {MD5}.dir",
        "2 x 2 blocks, test/mse 1.44(15)e-4",
        "epochs 50",
        "numpy 2.4.6",
    ):
        assert expected in page.text
    (image,) = page.all("img")
    assert (
        image["alt"]
        == "Training and validation loss of coarsen/cnn over epochs: train loss from 0.5 to 0.25 at epoch 2."
    )
    assert base64.b64decode(image["src"].removeprefix("data:image/png;base64,")) == png
    assert (image["width"], image["height"]) == ("100", "40")


def test_a_page_with_scripts_is_named_and_not_run(project):
    write_record(project, "compare", files={"zoom.html": f"<html>{EVIL}</html>"})
    page = page_of(project)
    assert "to be opened in a browser: reports/compare/zoom.html" in page.text
    assert not page.all("script", "iframe")


def test_stages_and_variants_come_as_in_the_pipeline_and_unknown_ones_after(project):
    for stage, variant in (
        ("zeta", "new"), ("compare", None), ("coarsen", "cnn"), ("coarsen", "mlp"), ("coarsen", "added"),
        ("simulate", "a32"), ("simulate", "b16"),
    ):  # fmt: skip
        write_record(project, stage, variant)
    page = page_of(project)
    contents = page.text.split("What the pipeline did")[1]
    assert contents.split() == ["simulate", "coarsen", "compare", "zeta", "Machines", "and", "versions"]
    anchors = [link["href"] for link in page.all("a")]
    runs = [target for target in dict.fromkeys(anchors) if "/" in target]
    assert runs == ["#simulate/b16", "#simulate/a32", "#coarsen/mlp", "#coarsen/cnn", "#coarsen/added", "#zeta/new"]
    assert "Configurations, one dataset an entry." in page.text
    assert "dvc repro compare" in page.text


def test_published_results_stand_after_the_present_ones_under_their_name(project):
    write_record(project, "compare", metrics={"n": 7})
    write_record(project, "coarsen", "cnn", metrics={"n": 8})
    write_record(project, "coarsen", "cnn", place="reports/published/paper-scale", metrics={"n": 9})
    page = page_of(project)
    assert page.text.split("What the pipeline did")[1].split()[:4] == ["coarsen", "compare", "paper-scale:", "coarsen"]
    assert page.text.count("dvc repro coarsen@cnn , with the parameters below in params.yaml") == 1
    assert [attributes["id"] for _, attributes in page.tags if "/" in attributes.get("id", "")] == [
        "coarsen/cnn",
        "stage:paper-scale/coarsen",
        "published/paper-scale/coarsen/cnn",
    ]


def test_every_link_leads_to_a_place_in_the_page_and_places_have_one_name(project):
    for stage, variant in (("coarsen", "cnn"), ("coarsen", "mlp"), ("compare", None), ("stage", "coarsen")):
        write_record(project, stage, variant, metrics={"n": 1})
    page = page_of(project)
    names = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(names) == len(set(names))
    assert {link["href"] for link in page.all("a")} <= {f"#{name}" for name in names}
    assert {attributes["aria-labelledby"] for attributes in page.all("section")} <= set(names)


def test_headings_skip_no_level(project):
    write_record(project, "compare", files={"tables.md": "### A\n\n# B\n\n## C\n\n|a|b|\n|-|-|\n|1|2|\n"})
    write_record(project, "coarsen", "cnn", files={"tables.md": "## Only\n"})
    levels = [int(tag[1]) for tag, _ in page_of(project).tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))


def test_nothing_in_a_record_becomes_more_than_text(project, png):
    folder = write_record(
        project,
        "coarsen",
        "cnn",
        metrics={EVIL: {EVIL: 1}},
        parameters={EVIL: EVIL, "list": ["</details>", '" onload="']},
        inputs=[{"path": EVIL, "md5": None}],
        environment={EVIL: {EVIL: EVIL}, "python": "\ud800"},
        dvc_experiment=EVIL,
        files={
            f"{EVIL[:8]}.png": png,
            "tables.md": f"# {EVIL}\n\n|<b>x|y|\n|-|-|\n|<img src=x>|{EVIL}|\n\n{EVIL}\n\n"
            "![x](http://evil.example/x.png) [x](javascript:alert(1)) <http://evil.example>\n",
        },
    )
    assert (folder / "tables.md").exists()
    (project / "reports/bench.json").write_text(
        json.dumps(
            {
                "machine": EVIL,
                "versions": {EVIL: EVIL},
                "rows": [{"program": EVIL, "sampler": EVIL, "size": 1, "cores": 1, "ns_per_site": 1}],
                "sharing": {
                    "datasets": 1,
                    "spins": 8_000_000,
                    "rows": [{"program": EVIL, "action": "push", "seconds": 1, "bytes": 1_000_000}],
                },
            }
        )
    )
    page = page_of(project)
    assert page.text.count(EVIL) > 10
    assert "8,000,000 spins" in page.text
    assert not page.all("script", "b", "iframe", "object", "form")
    assert all(link["href"].startswith("#") for link in page.all("a"))
    assert [image["src"][:22] for image in page.all("img")] == ["data:image/png;base64,"]
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    (policy,) = [meta["content"] for meta in page.all("meta") if "http-equiv" in meta]
    assert policy == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_rows_of_published_numbers_are_set_apart():
    html = markdown.render("|a|b|\n|-|-|\n|cnn|1|\n|report: cnn|2|\n", level=3)
    assert html.count('<tr class="literature">') == 1
    assert '<th scope="row">report: cnn</th>' in html


def test_a_broken_record_is_named_and_the_others_are_there(project):
    write_record(project, "coarsen", "cnn")
    (write_record(project, "coarsen", "mlp") / "metrics.json").write_text("{")
    write_record(project, "coarsen", "fig", files={"history.png": b"GIF89a", "large.png": b"\x89PNG\r\n\x1a\n" * 2**18})
    (project / "reports/bench.json").write_text("{}")
    with pytest.raises(KadanoffError) as caught:
        write_report(project)
    message = str(caught.value)
    page = Page((project / "reports/index.html").read_text())
    for problem in (
        "reports/coarsen/mlp is left out: reports/coarsen/mlp/metrics.json is not valid JSON",
        "reports/coarsen/fig/history.png is left out: it is not a PNG image.",
        "reports/coarsen/fig/large.png is left out: it has 2.0 MB, over 1 MB.",
        "bench.json: its machine is wrong: Field required; write it anew with `make bench`.",
    ):
        assert problem in message
        assert problem in page.text
    assert "dvc repro coarsen@cnn" in page.text
    assert "dvc repro coarsen@mlp" not in page.text


def test_wrong_projects_are_sentences(project):
    with pytest.raises(KadanoffError, match=r"there is no record in .*reports; run `dvc repro`"):
        write_report(project)
    (project / "dvc.yaml").write_text("stages: [")
    with pytest.raises(KadanoffError, match=r"dvc\.yaml is not valid YAML"):
        write_report(project)
    (project / "dvc.yaml").write_text("stages: {a: 1}")
    with pytest.raises(KadanoffError, match=r"dvc\.yaml has no mapping `stages`"):
        write_report(project)


def test_the_same_records_give_the_same_page(project, png):
    write_record(project, "coarsen", "cnn", metrics={"b": 1, "a": 2}, files={"history.png": png})
    first = page_of(project).text
    assert page_of(project).text == first
    assert "index.html: 1 runs" in write_report(project)


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"mse": 0.1234, "mse_error": 0.0056}, {"mse": "0.1234(56)"}),
        ({"c/mean": 0.5, "c/error": 0.01, "c/sd": 0.25}, {"c": "0.500(10)", "c/sd": "0.25"}),
        ({"energy_error": 0.1}, {"energy_error": "0.1"}),
        ({"n": 305856.0, "x": 1234567.5}, {"n": "305856", "x": "1.235e+06"}),
        ({"a": 5e-324, "a_error": 5e-324}, {"a": "4.941e-324 ± 4.9e-324"}),
        ({"a": 1e300, "a_error": 1e-300}, {"a": "1e+300 ± 1e-300"}),
        ({"a": 0.0, "a_error": 0.0}, {"a": "0(0)"}),
        ({"T=10/e": 1.0, "T=2/e": 2.0}, {"T=2/e": "2", "T=10/e": "1"}),
    ],
)
def test_numbers_are_printed_with_their_errors(metrics, expected):
    assert list(words.numbers(metrics).items()) == list(expected.items())


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [(0.04, "0.0 s"), (59.9, "59.9 s"), (59.97, "1 min 00 s"), (125, "2 min 05 s"), (7620, "2 h 07 min")],
)
def test_durations_are_readable(seconds, expected):
    assert words.duration(seconds) == expected


def test_an_unknown_figure_is_named_in_words():
    assert words.figure("phase_diagram", "classify/vit", []) == "Phase diagram: a figure of classify/vit."


def test_reporting_imports_neither_mlflow_nor_torch_nor_dvc():
    script = "import sys, kadanoff.project.report; print([m for m in ('mlflow', 'torch', 'dvc') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
