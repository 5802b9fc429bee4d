"""Temporary copies of the project, for the tests that run its commands."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import yaml

from kadanoff.project.params import read_params, read_yaml

ROOT = Path(__file__).parents[1]

TINY = {
    "size": 8,
    "temperatures": [1.5, 2.269185314213022, 3.5],
    "samples": 20,
    "sweeps": 250,
}


class Project:
    """A copy of the project with its own Git history, in which commands run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # the copy's own source comes first, whatever is installed
        self.environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith(("DVC_", "MLFLOW_"))},
            "PYTHONPATH": str(folder / "src"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }

    def start(self, *command: str, **options) -> subprocess.Popen:
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *command: str, code: int = 0) -> str:
        """Run a command and return what it printed; its exit code must be `code`."""
        process = self.start(*command)
        output, _ = process.communicate(timeout=1800)
        assert process.returncode == code, f"{' '.join(command)} ended with {process.returncode}:\n{output}"
        return output

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "-c", "user.name=test", "-c", "user.email=test@localhost", "commit", "-qm", message)

    def params(self) -> dict:
        return read_params(self.folder)

    def write_params(self, params: dict) -> None:
        (self.folder / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))

    def lock(self) -> dict:
        return read_yaml(self.folder / "dvc.lock")["stages"]

    def output_md5(self, address: str, path: str) -> str:
        return next(output["md5"] for output in self.lock()[address]["outs"] if output["path"] == path)


def copy_project(target: Path) -> Project:
    """The tracked and new files of this checkout, without results, as a Git repository of its own."""
    listing = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for name in listing.stdout.splitlines():
        if name == "dvc.lock" or name.startswith("reports/") or not (ROOT / name).is_file():
            continue
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, target / name)
    project = Project(target)
    project.run("git", "init", "-q")
    return project


def shrink(params: dict) -> dict:
    """The same sections with tiny numbers, and fewer networks."""
    variants = params["coarsen"]["variants"]
    params["coarsen"]["variants"] = {name: variants[name] for name in ("drawn", "cnn", "mlp", "exact")}
    for name, dataset in params["datasets"]["coarsen"].items():
        size = {"coarsen12": 12, "coarsen_critical32": 16, "coarsen_critical64": 32}.get(name, 8)
        dataset.update(TINY, size=size)
    params["datasets"]["coarsen"]["coarsen_curve"]["samples"] = 40
    params["coarsen"]["training"].update(epochs=2)
    params["coarsen_curve"].update(configurations=[10, 40], steps={"cnn": 20, "mlp": 20})
    params["mcrg"]["lattices"] = [
        {"block": block, "size": size, "steps": 1, "measurements": 20} for block, size in ((3, 18), (3, 36), (2, 12))
    ]
    params["block_rule"].update(lattices=256, many=256, judged=256)
    params["mcrg"].update(chains=8)
    params["mcrg"]["matching"].update(size=16, steps=2, measurements=2000)
    params["mcrg"]["separation"].update(size=16, steps=2, away=0.1)
    return shrink_classify(shrink_upsample(shrink_superres(params)))


SIDES = {"critical4": 3, "critical8": 4, "critical12": 6, "critical16": 8}
SIDES |= {f"truth{number}": 8 + 2 * number for number in range(1, 6)}


def shrink_superres(params: dict) -> dict:
    """Super-resolution from 4 to 8 and 16, at a few temperatures, with just enough configurations to calibrate."""
    for name, dataset in params["datasets"]["superres"].items():
        if (short := name.removeprefix("superres_")) in SIDES:
            dataset.update(size=SIDES[short], samples=1000)
        elif name == "superres_three16":
            dataset.update(size=8, samples=1000)
        else:
            kept = [1.361, 1.8113, 2.2616, 2.7119, 3.1623]
            dataset.update(size=dataset["size"] // 2, samples=200, temperatures=kept)
    params["superres"]["training"].update(epochs=3)
    for variant in params["superres"]["variants"].values():
        variant.update(train=100, width=4)
    params["superres"]["variants"]["pixels"].update(epochs=15, batch_size=50)
    params["superres"]["variants"]["blocks"].update(train=800, epochs=60, width=32)
    params["superres_compare"].update(equilibration=10)
    params["exponents"].update(repetitions=2, seeds=200, pixel_seeds=200, levels=1)
    params["thermalize"].update(sizes=[32], chains=16, sweeps=16, cluster_sweeps=32, calibration=2000)
    params["superres_weights"].update(sizes=[8, 16], draws=1000, chains=20, width=16)
    params["superres_weights"]["training"].update(epochs=30)
    return params


def shrink_upsample(params: dict) -> dict:
    """Enlargement from 16 to 48, and of seeds to 384."""
    params["datasets"]["grow"]["upsample_critical"].update(size=48, samples=60)
    params["datasets"]["grow"]["upsample_critical16"].update(size=8, samples=4000)
    params["datasets"]["grow"]["grow512"].update(size=128, samples=8)
    params["upsample"]["training"].update(epochs=30)
    params["upsample"]["variants"]["kernel"].update(train=50, width=16)
    params["upsample"]["variants"]["seed_kernel"].update(train=50, epochs=2)
    params["grow"].update(seeds=[8], sweeps=4, truth={"chains": [8], "sweeps": 40})
    params["grow"]["compare"] = {"levels": 1, "sweeps": [0, 2]}
    params["grow_times"].update(sizes=[384], chains=[8], sweeps=8, cluster_sweeps=8)
    return params


def shrink_classify(params: dict) -> dict:
    """Regions of 16 x 16 lattices at eight temperatures, by tiny models."""
    for name, dataset in params["datasets"]["classify"].items():
        size = {"classify_periodic64": 12}.get(name, 16)
        dataset.update(size=size, samples=320, temperatures=[0.6, 1.0, 1.6, 2.0, 2.2, 2.3, 2.5, 3.5], sweeps=40)
        dataset.update(allow_unequilibrated=True)
    params["pretrain"].update(sizes=[12, 16], lattices=32, validation=8, held=16)
    params["pretrain"]["training"].update(epochs=2)
    small = {"patch_size": 5, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 1}
    params["classify"]["models"]["vit"].update(
        protocols=["equilibrium"], options=small | {"intermediate_size": 32}, scratch={"epochs": 2}
    )
    params["classify"]["models"]["resnet18"].update(model="resnet10t", pretrain={"epochs": 1})
    params["classify"].update(tests=2, curve={"protocol": "equilibrium", "system": "periodic", "images": [40]})
    params["classify"]["training"].update(epochs=1)
    params["classify_compare"].update(scatter=100)
    return params
