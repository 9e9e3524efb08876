"""A private Slurm on this machine: two nodes with fake GPUs, in a folder of its own.

Nothing outside of the folder is written or read, and no service of the machine is touched. The
daemons are those of Debian's `slurmctld slurmd slurm-client munge`, versions 22.05 and later.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path

import psutil

SBIN = "/usr/sbin:/sbin"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel")
# slurmd honours character devices only; one that exists is enough for each fake GPU.
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random")
PATIENCE = 60.0  # seconds for daemons to come up

CONFIG = """\
ClusterName=private
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge/socket
SlurmctldPort={port}
SlurmctldPidFile={folder}/run/slurmctld.pid
SlurmdPidFile={folder}/run/slurmd-%n.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool/%n
SlurmctldLogFile={folder}/log/slurmctld.log
SlurmdLogFile={folder}/log/slurmd-%n.log
# by group and not by parent: a job's shell that dies by SIGTERM leaves children without one
ProctrackType=proctrack/pgid
TaskPlugin=task/none
# without cgroups this is what enforces the memory that a job asked for
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
PriorityType=priority/basic
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/filetxt
JobCompLoc={folder}/log/jobcomp.txt
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
# or squeue forgets the first jobs of a report before its last have run
MinJobAge=86400
# or a job that fits nowhere waits for ever
EnforcePartLimits=ALL
KillWait=10
SlurmdTimeout=120
BatchStartTimeout=30
MessageTimeout=30
GresTypes=gpu
{nodes}
PartitionName=main Nodes=ALL Default=YES PriorityTier=1 MaxTime=INFINITE State=UP
PartitionName=urgent Nodes=ALL PriorityTier=10 PreemptMode=OFF MaxTime=INFINITE State=UP
"""


def missing() -> list[str]:
    """Return the programs of Slurm, and Snakemake's plugin for it, that are not there."""
    programs = [name for name in PROGRAMS if shutil.which(name, path=_path()) is None]
    plugin = "snakemake_executor_plugin_slurm"
    return programs if find_spec(plugin) else [*programs, plugin]


def _path() -> str:
    return f"{os.environ['PATH']}:{SBIN}"


class Slurm:
    """The cluster, from entering the `with` block to leaving it.

    Args:
        cpus: CPUs that each of the nodes ``n1`` and ``n2`` claims to have; whether the machine has
            as many does not matter to Slurm.
        gpus: fake GPUs of each node.
    """

    nodes = ("n1", "n2")

    def __init__(self, cpus: int = 4, gpus: int = 2):
        self.cpus, self.gpus = cpus, gpus
        self.ports: dict[str, int] = {}

    def __enter__(self) -> Slurm:
        # In /tmp, because a socket's path has at most 107 characters.
        self.folder = Path(tempfile.mkdtemp(prefix="slurm-", dir="/tmp"))
        self.folder.chmod(0o755)
        try:
            self._configure()
            self._start_munge()
            self._daemon("slurmctld", "-f", str(self.conf))
            for node in self.nodes:
                self.start_node(node)
            # A node that is idle cannot run a job yet: wait for a real one on each.
            self.wait(self._runs_a_job, "the nodes run no job")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        self.scancel("--user", str(os.getuid()))
        for node in self.nodes:
            self.stop_node(node, signal.SIGTERM)
        for name in ("slurmctld", "munged"):
            self._stop(name, signal.SIGTERM)
        for process in self._left():
            process.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def conf(self) -> Path:
        """The cluster's slurm.conf."""
        return self.folder / "slurm.conf"

    @property
    def environment(self) -> dict[str, str]:
        """Environment of a user of this cluster."""
        return {
            **os.environ,
            "SLURM_CONF": str(self.conf),
            "PATH": f"{self.folder}/bin:{_path()}",
        }

    def start_node(self, node: str) -> None:
        """Start a node's daemon."""
        (self.folder / "spool" / node).mkdir(exist_ok=True)
        self._daemon("slurmd", "-f", str(self.conf), "-N", node)

    def stop_node(self, node: str, number: signal.Signals) -> None:
        """Stop a node's daemon; its jobs go on."""
        self._stop(f"slurmd-{node}", number)

    def jobs(self) -> list[dict[str, str]]:
        """Return all jobs that Slurm remembers, the oldest first, as squeue tells of them."""
        names = ("id", "state", "node", "restarts", "comment")
        form = "%i|%T|%N|%r|%k"
        lines = self.call("squeue", "--noheader", "--states=all", "--sort=i", f"--format={form}")
        return [dict(zip(names, line.split("|"), strict=True)) for line in lines.splitlines()]

    def scancel(self, *arguments: str) -> None:
        """Cancel jobs."""
        subprocess.run(["scancel", *arguments], env=self.environment, capture_output=True)

    def call(self, *command: str) -> str:
        """Run a client program and return what it printed."""
        done = subprocess.run(command, env=self.environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stderr}"
        return done.stdout

    def wait(self, for_it: Callable[[], object], otherwise: str, seconds: float = PATIENCE) -> None:
        """Wait until something is true."""
        until = time.monotonic() + seconds
        while not for_it():
            assert time.monotonic() < until, f"{otherwise}\n{self.logs()}"
            time.sleep(0.2)

    def logs(self) -> str:
        """Return the ends of the daemons' logs."""
        files = sorted((self.folder / "log").glob("*"))
        return "\n".join(f"{file.name}: {file.read_text()[-1500:]}" for file in files)

    def _configure(self) -> None:
        for name in ("munge", "state", "spool", "log", "run", "bin"):
            (self.folder / name).mkdir()
        controller, *ports = _free_ports(1 + len(self.nodes))
        host = socket.gethostname().split(".")[0]
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
        nodes = [
            f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port} CPUs={self.cpus} "
            f"RealMemory={memory} Gres=gpu:fake:{self.gpus} State=UNKNOWN"
            for node, port in zip(self.nodes, ports, strict=True)
        ]
        user = subprocess.run(["id", "-un"], capture_output=True, text=True).stdout.strip()
        self.conf.write_text(
            CONFIG.format(
                host=host, user=user, folder=self.folder, port=controller, nodes="\n".join(nodes)
            )
        )
        gpus = [f"Name=gpu Type=fake File={device}" for device in DEVICES[: self.gpus]]
        (self.folder / "gres.conf").write_text("\n".join(["AutoDetect=off", *gpus, ""]))
        # slurmd loads its cgroup plugin whatever proctrack says; before 23.02 it cannot be switched
        # off, and v1 is the one that looks at nothing.
        version = self.call("slurmd", "-V").split()[-1]
        before = tuple(map(int, version.split(".")[:2])) < (23, 2)
        plugin = "cgroup/v1" if before else "disabled"
        (self.folder / "cgroup.conf").write_text(f"CgroupPlugin={plugin}\n")
        self._wrap_clients()

    def _wrap_clients(self) -> None:
        """Write wrappers of the client programs that know the configuration.

        A job's inner Snakemake calls srun without any variable SLURM_…, SLURM_CONF among them.
        """
        for name in ("srun", "sbatch", "squeue", "scancel", "scontrol", "sinfo", "sacct"):
            real = shutil.which(name, path=_path())
            wrapper = self.folder / "bin" / name
            wrapper.write_text(f'#!/bin/sh\nSLURM_CONF={self.conf} exec {real} "$@"\n')
            wrapper.chmod(0o755)

    def _start_munge(self) -> None:
        key = self.folder / "munge/key"
        key.write_bytes(os.urandom(1024))
        key.chmod(0o600)
        self._daemon(
            "munged",
            "--force",
            f"--key-file={key}",
            f"--socket={self.folder}/munge/socket",
            f"--pid-file={self.folder}/run/munged.pid",
            f"--log-file={self.folder}/log/munged.log",
            f"--seed-file={self.folder}/munge/seed",
            "--num-threads=2",
        )

    def _daemon(self, *command: str) -> None:
        """Start a daemon, which detaches itself and writes its process number to a file."""
        with (self.folder / "log" / f"{command[0]}.out").open("a") as out:
            done = subprocess.run(command, env=self.environment, stdout=out, stderr=out)
        assert done.returncode == 0, f"{command} ended with {done.returncode}\n{self.logs()}"

    def _stop(self, name: str, number: signal.Signals) -> None:
        """Stop exactly the daemon whose number was written, and wait until it is gone."""
        file = self.folder / "run" / f"{name}.pid"
        if not file.is_file():
            return
        process = int(file.read_text())
        os.kill(process, number)
        until = time.monotonic() + 20
        while _alive(process):
            assert time.monotonic() < until, f"{name} does not end"
            time.sleep(0.1)
        file.unlink(missing_ok=True)

    def _left(self) -> list[psutil.Process]:
        """Return what of this cluster's jobs is still there; its processes know its slurm.conf."""
        left = []
        for process in psutil.process_iter():
            try:
                environment = process.environ()
            except psutil.Error:
                continue  # it has just ended
            in_a_job = "SLURM_JOB_ID" in environment
            if in_a_job and environment.get("SLURM_CONF") == str(self.conf):
                left.append(process)
        return left

    def _runs_a_job(self) -> bool:
        count = str(len(self.nodes))
        command = ["srun", "-Q", "-N", count, "-n", count, "-t", "1", "--immediate=20", "true"]
        return subprocess.run(command, env=self.environment, capture_output=True).returncode == 0


def _alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _free_ports(count: int) -> Sequence[int]:
    """Return ports that nothing listens at, each another one."""
    with ExitStack() as held:
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
