"""Records written by hand, as another machine would have, for the tests of tracking."""

import json

import yaml

from kadanoff.project.records.dvclock import folder_md5

MD5 = "0123456789abcdef0123456789abcdef.dir"
RUN = {
    "stage": "coarsen",
    "parameters": {"epochs": 2, "network": {"name": "cnn"}},
    "inputs": [{"path": "data/coarsen/coarsen16.zarr", "md5": MD5}],
    "environment": {"python": "3.11"},
    "started": "2026-01-02T03:04:05Z",
    "duration_s": 100.0,
    "git_commit": "a" * 40,
    "mlflow_run_id": None,
}


def write_record(root, variant="cnn", stage="coarsen", mse=0.5, **changes):
    """Write a record by hand, as another machine would have."""
    folder = root / "reports" / stage / (variant or "")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "run.json").write_text(json.dumps(RUN | {"stage": stage, "variant": variant} | changes))
    (folder / "metrics.json").write_text(json.dumps({"mse": {"mean": mse, "error": 0.1}, "n": 3, "T=2.27": {"e": 1}}))
    (folder / "history.csv").write_text("epoch,train_loss,lr\n0,0.5,0.1\n1,0.25,\n")
    (folder / "history.png").write_bytes(b"\x89PNG")
    return folder


def lock(root, cmd="kadanoff"):
    """Write the dvc.lock of all records that there are, each with weights."""
    stages = {}
    for file in [*root.glob("reports/*/run.json"), *root.glob("reports/*/*/run.json")]:
        path = file.parent.relative_to(root).as_posix()
        outs = [
            {"path": f"models/{file.parent.name}.safetensors", "md5": "0" * 32},
            {"path": path, "hash": "md5", "md5": folder_md5(file.parent, file.parent.iterdir()), "size": 7},
        ]
        stages["@".join(path.split("/")[1:])] = {"cmd": cmd, "outs": outs}
    (root / "dvc.lock").write_text(yaml.safe_dump({"schema": "2.0", "stages": stages}))
