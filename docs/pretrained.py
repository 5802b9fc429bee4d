"""Copy small trained networks into the package, with what their records say of them: `make pretrained`."""

import json
import shutil
from pathlib import Path

from kadanoff.models import PRETRAINED
from kadanoff.project.records.runinfo import flatten

ROOT = Path(__file__).parents[1]
RECORDS = {
    "coarsen/exact": "coarsen/exact",
    "coarsen/cnn": "coarsen/cnn",
    "superres/blocks": "superres/blocks",
    "upsample/kernel": "upsample/kernel",
    "classify/vit": "classify/vit",
}
"""Names in the package, and the records of the runs that trained them."""


def main() -> None:
    """Replace the package's networks by those of the present records."""
    described = {}
    for name, record in RECORDS.items():
        folder = ROOT / "reports" / record
        model = json.loads((folder / "run.json").read_text())["model"]
        value = flatten(json.loads((folder / "metrics.json").read_text()))[model["metric"]]
        file = f"{name.replace('/', '_')}.safetensors"
        shutil.copyfile(ROOT / model["weights"], PRETRAINED / file)
        described[name] = {key: model[key] for key in ("task", "metric", "md5")} | {"value": value, "file": file}
    text = json.dumps(described, indent=2) + "\n"
    (PRETRAINED / "models.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
