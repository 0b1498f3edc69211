"""Slurm on this machine alone (Debian's ``slurm-wlm``), or a stand-in for sbatch."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "scancel", "squeue")

_CONFIGURATION = """\
ClusterName=one
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CryptoType=crypto/munge
SlurmctldPort={controller}
SlurmdPort={node}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
NodeName={host} NodeAddr=127.0.0.1 CPUs={cores} State=UNKNOWN
PartitionName=day Nodes=ALL Default=YES MaxTime=INFINITE State=UP
PartitionName=night Nodes=ALL MaxTime=INFINITE State=UP
"""

_STAND_IN = """\
#!/bin/bash
printf '%s\\n' "$@" >{folder}/words
env >{folder}/environment
{answer}
"""


def missing() -> str:
    """Say why Slurm cannot be started here, or return an empty text."""
    absent = [name for name in _PROGRAMS if shutil.which(name) is None]
    if absent:
        return f"no {', '.join(absent)}: Debian's slurm-wlm is not installed"
    return "" if os.geteuid() == 0 else "Slurm's daemons want to be started by root"


@contextlib.contextmanager
def slurm(folder: Path) -> Iterator[dict[str, str]]:
    """Run Slurm with two partitions, day and night; give the environment for it.

    Parameters
    ----------
    folder : for its files; a short path, because of munge's socket
    """
    for name in ("state", "spool"):
        (folder / name).mkdir()
    text = _CONFIGURATION.format(
        folder=folder,
        host=socket.gethostname().partition(".")[0],
        controller=_free_port(),
        node=_free_port(),
        cores=os.cpu_count(),
    )
    configuration = folder / "slurm.conf"
    configuration.write_text(text)
    key = folder / "munge.key"
    key.write_bytes(os.urandom(1024))
    key.chmod(0o600)
    environment = {**os.environ, "SLURM_CONF": str(configuration)}
    munge = [
        "munged",
        "--foreground",
        "--force",
        f"--key-file={key}",
        *(f"--{name}-file={folder}/munge.{name}" for name in ("pid", "log", "seed")),
        f"--socket={folder}/munge.socket",
    ]
    commands = (munge, ["slurmctld", "-D"], ["slurmd", "-D"])
    processes = []
    try:
        for command in commands:
            processes.append(
                subprocess.Popen(
                    command,
                    env=environment,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            time.sleep(0.3)
        _await_node(environment)
        yield environment
    finally:
        _end_jobs(environment)
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            process.kill()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _await_node(environment: dict[str, str]) -> None:
    end = time.monotonic() + 30
    while "idle" not in _said(["sinfo", "-h", "-o", "%T"], environment):
        assert time.monotonic() < end, "Slurm's node does not come up"
        time.sleep(0.2)


def _end_jobs(environment: dict[str, str]) -> None:
    """End what a failed test has left: jobs outlive Slurm's daemons."""
    _said(["scancel", "--me", "--signal=KILL", "--full"], environment)
    end = time.monotonic() + 10
    while _said(["squeue", "-h"], environment) and time.monotonic() < end:
        time.sleep(0.2)


def _said(command: list[str], environment: dict[str, str]) -> str:
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False
    )
    return done.stdout


def stand_in(folder: Path, answer: str) -> Path:
    """Make an ``sbatch`` that notes its words and environment; return its folder.

    Parameters
    ----------
    folder : where the files ``words`` and ``environment`` are to be
    answer : lines of bash that answer
    """
    programs = folder / "programs"
    programs.mkdir()
    path = programs / "sbatch"
    path.write_text(_STAND_IN.format(folder=folder, answer=answer))
    path.chmod(0o755)
    return programs
