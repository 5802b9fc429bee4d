"""The stage `grow` on small lattices: what it records, and what it refuses."""

import json

import pytest
import yaml

from kadanoff.errors import KadanoffError
from kadanoff.studies.grow.grow import grow

PARAMS = {"model": "upsample/kernel", "published": "upsample/seed_kernel", "dataset": "seeds", "seeds": [6]}
PARAMS |= {"sweeps": 8, "seed": 0, "truth": {"chains": [6], "sweeps": 40}, "compare": {"levels": 1, "sweeps": [0, 2]}}


def write(project, **changes):
    (project / "params.yaml").write_text(yaml.safe_dump({"grow": PARAMS | changes}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": [17]}, r"grow.seeds is 17, but seeds has 16 configurations.* raise datasets\.grow\.seeds\.samples"),
        ({"model": "upsample/none"}, r"cannot read .*none.safetensors"),
        ({"model": "upsample/seed_kernel"}, "grow.model is upsample/seed_kernel, no network of the kind Blocks"),
        ({"model": "upsample/chain"}, r"grow.model is upsample/chain, no network .* for square lattices; take"),
        ({"published": "upsample/kernel"}, "grow.published is upsample/kernel, no network of the kind SeedKernel"),
        ({"dataset": "none"}, "there is no dataset"),
        ({"dataset": "warm"}, "grow.dataset is warm, which has .* needs square lattices at the critical temperature"),
        ({"seeds": [4, 8]}, "the numbers do not rise"),
        ({"seeds": [8, 4]}, "give one number a size"),
        ({"compare": {"levels": 1, "sweeps": [-1]}}, "grow.compare.sweeps"),
    ],
)
def test_bad_input_is_a_sentence(project, changes, message):
    write(project, **changes)
    with pytest.raises(KadanoffError, match=message):
        grow(project)
    assert not (project / "reports").exists()


def test_a_network_that_knows_nothing_is_seen_with_any_number_of_threads(project, monkeypatch):
    records = []
    for threads in (1, 3):
        monkeypatch.setattr("os.cpu_count", lambda: threads)  # noqa: B023
        write(project)
        grow(project)
        records.append((project / "reports/grow/metrics.json").read_text())
    assert records[0] == records[1]
    found = json.loads(records[0])["L=384"]
    assert found["raw"]["c10_excess"]["mean"] < -0.1
    assert abs(found["Monte Carlo"]["c10_excess"]["mean"]) < 4 * found["Monte Carlo"]["c10_excess"]["error"]
    assert found["raw"]["block_sums_variation"] > 2 * found["refined"]["block_sums_variation"]  # sweeps repair blocks
    assert abs(found["refined"]["paired_ratio_off"]["mean"]) > 0.2  # and nothing larger
    assert {path.name for path in (project / "reports/grow").iterdir()} == {
        "cascade.png", "comparison.csv", "correlations.png", "headlines.json", "metrics.json", "run.json",
        "summary.json", "tables.md", "zoom.html",
    }  # fmt: skip
