"""A real Slurm of two nodes on this machine, and the scripts of the guide: a node is killed, the bytes stay."""

import os
import pwd
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from processes import SIMULATE, begun, end, files, finish, run_stage, simulate, spins, until, write_project
from project import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (shutil.which("slurmctld") and shutil.which("munged")),
        reason="Slurm is not installed: `apt-get install slurm-wlm munge`",
    ),
]

# without cgroups and systemd, as in a container; a job whose node failed starts again after cred_expire seconds
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CryptoType=crypto/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SchedulerParameters=sched_interval=2
SlurmdTimeout=60
UnkillableStepTimeout=10
KillWait=5
ReturnToService=2
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2
PartitionName=main Nodes=ALL Default=YES
"""


def free_ports(count):
    """Ports below those that connections are given, so that a node which comes back finds its own."""
    found = []
    for port in secrets.SystemRandom().sample(range(10000, 32000), 100):
        with suppress(OSError), socket.create_server(("", port)):
            found.append(port)
    return found[:count]


class Slurm:
    """Munge, a controller and two nodes, in a folder of their own."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = os.environ | {"SLURM_CONF": f"{folder}/slurm.conf"}
        names = {"host": socket.gethostname(), "user": pwd.getpwuid(os.getuid()).pw_name}
        (folder / "slurm.conf").write_text(CONFIGURATION.format(folder=folder, ports=free_ports(3), **names))
        (folder / "munge.key").touch(0o600)
        (folder / "munge.key").write_bytes(secrets.token_bytes(128))
        places = {"socket": "socket", "key-file": "key", "pid-file": "pid", "seed-file": "seed", "log-file": "log"}
        options = [f"--{option}={folder}/munge.{name}" for option, name in places.items()]
        self.munged = self._start("munged", "--foreground", "--force", *options)
        until((folder / "munge.socket").exists)
        self.controller = self._start("slurmctld", "-D")
        self.nodes = {}
        for node in ("n1", "n2"):
            self.boot(node)

    def _start(self, *command):
        with (self.folder / "log").open("a") as log:
            return subprocess.Popen(command, env=self.environment, stdout=log, stderr=log, start_new_session=True)

    def boot(self, node):
        """Start a node, and wait until the controller counts on it."""
        self.nodes[node] = self._start("slurmd", "-D", "-N", node)
        until(lambda: self.call("sinfo", "-hN", "-n", node, "-o", "%t") == "idle")

    def call(self, *command):
        """What a command of Slurm prints; nothing if the controller does not answer."""
        return subprocess.run(command, env=self.environment, capture_output=True, text=True, timeout=60).stdout.strip()

    def submit(self, home, script, *options):
        """The number of a job that runs the script."""
        (home / "job.sh").write_text(script)
        command = ["sbatch", "--parsable", f"--output={home}/%A-%a.out", "--open-mode=append", *options, "job.sh"]
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # as `activate` would set it
        environment = self.environment | {"HOME": str(home), "PATH": path}
        done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def wait(self, job, seconds=300):
        """Until no part of a job waits or runs."""
        until(lambda: not self.call("squeue", "-h", "-j", job, "-o", "%t"), seconds)

    def running(self, node):
        """The processes of jobs on a node."""
        own = {"SLURMD_NODENAME": node, "SLURM_CONF": self.environment["SLURM_CONF"]}
        return [process for process in psutil.process_iter() if own.items() <= _environment(process).items()]

    def kill(self, node):
        """End a node as a power failure does, with all that runs on it, and tell Slurm, which finds out in a minute."""
        own = self.running(node)
        daemons = {parent for process in own for parent in process.parents() if parent.name() == "slurmstepd"}
        end(self.nodes.pop(node))
        for process in (*daemons, *own):
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.call("scontrol", "update", f"nodename={node}", "state=down", "reason=power")

    def close(self):
        self.call("scancel", "--user", pwd.getpwuid(os.getuid()).pw_name)
        with suppress(AssertionError):
            until(lambda: not self.call("squeue", "-h"), 30)
        for node in list(self.nodes):
            self.kill(node)
        end(self.controller)
        end(self.munged)


def _environment(process):
    try:
        return process.environ()
    except psutil.Error:
        return {}


@pytest.fixture(scope="module")
def slurm():
    folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))  # the path of a socket has at most 107 letters
    found = Slurm(folder)
    yield found
    found.close()
    shutil.rmtree(folder)


def of_guide(words):
    """The script of docs/machines.md that holds these words."""
    blocks = re.findall(r"```bash\n(#!/bin/bash\n.*?)```", (ROOT / "docs" / "machines.md").read_text(), re.DOTALL)
    (found,) = [block for block in blocks if words in block]
    return found


@pytest.fixture
def home(tmp_path):
    """A home with a project as the scripts expect it: what its environment would set is set here."""
    activate = tmp_path / "kadanoff" / ".venv" / "bin" / "activate"
    activate.parent.mkdir(parents=True)
    activate.touch()
    return tmp_path


def test_a_dask_cluster_in_an_allocation_survives_a_node(slurm, home, tmp_path):
    script = of_guide("dask scheduler").replace("ib0", "lo").replace("dvc repro", f"{sys.executable} stage.py work")
    work = home / "kadanoff" / "work"
    (home / "kadanoff" / "stage.py").write_text(SIMULATE)
    job = slurm.submit(home, script, "--nodes=2", "--ntasks=3")
    until(lambda: begun(work))
    slurm.kill("n2")
    slurm.wait(job)
    output = next(home.glob("*.out")).read_text()
    assert output.count("SPINS") == output.count("State start") == 1, output  # of the scheduler: it went on
    assert output.split("SPINS ")[1].split()[0] == spins(simulate(tmp_path / "here"))
    slurm.boot("n2")


def test_the_parts_of_an_array_give_the_bytes_of_one_machine(slurm, home):
    project = write_project(home / "kadanoff")
    script = of_guide("--part").replace("simulate@superres", "simulate@long").replace("/20", "/3")
    job = slurm.submit(home, script, "--array=1-3")
    until(lambda: slurm.running("n2") and any(project.glob(".checkpoints/simulate-long-*/spins.npy")))
    slurm.kill("n2")  # what ran there is started again, on the other one
    slurm.wait(job)
    assert slurm.call("scontrol", "show", "job", job).count("Restarts=1") == 1
    output = "".join(path.read_text() for path in home.glob("*.out"))
    assert "4 of 4 tasks are done" in output
    finish(run_stage(project))
    (home / "other").mkdir()
    alone = write_project(home / "other")
    finish(run_stage(alone))
    assert files(project) == files(alone)
    slurm.boot("n2")
