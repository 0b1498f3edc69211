"""`anaps.submit()`: the command that produces a run, and its start."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import smalldata_ana
from smalldata_ana.errors import FileError, ParameterError, UsageError
from smalldata_ana.parameters.run_range import run_list
from smalldata_ana.places import at_slac, places
from smalldata_ana.safe_files import reason
from smalldata_ana.session.output_folder import output_folder
from smalldata_ana.session.preview import not_exported
from smalldata_ana.session.prompts import somebody_there
from smalldata_ana.session.tools.waiting import read_line

_OF_OTHER_JOBS = re.compile("(OMPI|OPAL|ORTE|PRTE|PMI|PMIX|HYDRA|SLURMD?)_|MPI_LOCAL")
"""Names of environment variables that an MPI or Slurm job has for its own processes."""

_OF_THE_SITE = re.compile("SLURM_CONF$|OMPI_ALLOW_RUN_AS_ROOT")
"""Those among them that are settings."""

_SUBMITTED = re.compile(r"Submitted batch job (\d+)")

_PATIENCE = 60
"""Longest wait for sbatch [s]."""


@dataclass(frozen=True, repr=False)
class Job:
    """The command that produces a run, and what came of it.

    Attributes
    ----------
    command : the words of the command
    notes : what is to be known, a sentence each
    number : of the Slurm job, or None
    process : on this machine, or None
    log : what the process says, or None
    """

    command: tuple[str, ...]
    notes: tuple[str, ...] = ()
    number: int | None = None
    process: subprocess.Popen[bytes] | None = None
    log: Path | None = None

    def __repr__(self) -> str:
        return f"<Job: {shlex.join(self.command)}>"

    def __str__(self) -> str:
        notes = (f"note: {note}" for note in self.notes)
        return "\n".join([*notes, shlex.join(self.command)])

    @property
    def where(self) -> str:
        """Where it runs, for people."""
        if self.number is not None:
            return f"Slurm job {self.number}; squeue -j {self.number} shows it"
        if self.process is not None:
            return f"process {self.process.pid}; what it says: {self.log}"
        return "not started; anaps.submit(go=True) starts it"


def job_of(
    session: Any,
    run: int | str | None,
    nproc: int | None,
    queue: str | None,
    account: str | None,
    options: str,
) -> Job:
    """Return the job that produces a run.

    Parameters
    ----------
    session : the session
    run, nproc, queue, account, options : as for ``anaps.submit``

    Raises
    ------
    ParameterError
        if the runs or the number of processes make no sense
    UsageError
        if there is no Slurm for queue and account
    FileError
        if this is no checkout with the producer
    """
    if nproc is not None and nproc < 1:
        raise ParameterError(f"submit: nproc = {nproc} is not a number above 0")
    given = [*producer_options(session, run), *shlex.split(options)]
    if _slurm():
        command = _slurm_command(session.run.experiment, nproc, queue, account)
    elif queue or account:
        raise UsageError("there is no Slurm here (no sbatch); leave queue, account out")
    else:
        command = _plain_command(nproc)
    return Job((*command, *given), tuple(not_exported(session)))


def started(job: Job, session: Any) -> Job:
    """Start a job, under Slurm or on this machine, and return it.

    Parameters
    ----------
    job : as `job_of` returns it
    session : the session

    Raises
    ------
    UsageError
        if Slurm refuses it
    FileError
        if the log cannot be written
    """
    return _in_slurm(job) if _slurm() else _on_this_machine(job, session)


def wanted(session: Any) -> bool:
    """Ask a person, if there is one, whether a job is to run."""
    if not (session.interactive and somebody_there()):
        return False
    try:
        answer = read_line("Run it? (y/n) [n]: ")
    except EOFError:
        return False
    return answer.strip().lower().startswith("y")


def _slurm() -> bool:
    return shutil.which("sbatch") is not None


def producer_options(session: Any, run: int | str | None) -> list[str]:
    """Return the producer's options for what the session uses.

    Parameters
    ----------
    session : the session
    run : a run or several, or None for that of the session

    Raises
    ------
    ParameterError
        if these are no runs
    UsageError
        if the session's run was given by its files, and another one is wanted
    """
    ours, used = session.run, session.places
    runs = str(ours.number if run is None else run)
    found = ["-e", ours.experiment, "-r", runs]
    numbers = run_list(runs)
    if session.files:
        if list(numbers) != [ours.number]:
            raise UsageError(
                f"the session has files of run {ours.number} only, not of {runs}"
            )
        found += [
            "--files",
            *(str(Path(f).expanduser().absolute()) for f in session.files),
        ]
    if len(used.xtc) == 1 and not session.files:
        found += ["--xtc-dir", str(used.xtc[0])]
    if used.params != places(ours.experiment).params:
        found += ["--params", str(used.params)]
    if used.calib_given:
        found += ["--calib-dir", str(used.calib)]
    return [*found, "--live"] if ours.growing and run is None else found


def clean_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return an environment without what an MPI or Slurm job has left in it.

    Parameters
    ----------
    environment : the variables of this process
    """
    return {
        name: value
        for name, value in environment.items()
        if _OF_THE_SITE.match(name) or not _OF_OTHER_JOBS.match(name)
    }


def _script(name: str) -> str:
    path = Path(smalldata_ana.__file__).parents[1] / "producers" / name
    if not path.is_file():
        raise FileError(
            f"there is no {path}; the producer is started from a checkout of "
            "smalldata_ana"
        )
    return str(path)


def _plain_command(nproc: int | None) -> list[str]:
    number = [] if nproc is None else ["--nproc", str(nproc)]
    return [sys.executable, _script("smd_producer.py"), *number]


def _slurm_command(
    experiment: str, nproc: int | None, queue: str | None, account: str | None
) -> list[str]:
    usual = f"lcls:{experiment}" if at_slac() else None
    account = account or os.environ.get("ARP_SLURM_ACCOUNT") or usual
    asked = [
        f"--{name}={value}"
        for name, value in (
            ("account", account),
            ("partition", queue),
            ("ntasks", nproc),
        )
        if value is not None
    ]
    # Whoever says how many processes needs no whole node.
    shared = [] if nproc is None else ["--oversubscribe"]
    return ["sbatch", *asked, *shared, _script("submit_smd.sh")]


def _in_slurm(job: Job) -> Job:
    try:
        done = subprocess.run(
            job.command,
            env=clean_environment(os.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise UsageError(f"sbatch did not take the job: {error}") from error
    found = _SUBMITTED.search(done.stdout)
    if done.returncode or not found:
        said = (done.stderr or done.stdout).strip()
        raise UsageError(f"sbatch did not take the job: {said}")
    return replace(job, number=int(found[1]))


def _on_this_machine(job: Job, session: Any) -> Job:
    folder = output_folder(session.places, session.places.results / "logs")
    time = datetime.now().strftime("%Y%m%d_%H%M%S")
    log = folder / f"{session.file_stem()}_{time}.log"
    try:
        with log.open("xb") as said:
            # In a session of its own, so that Ctrl-C at the prompt does not end it.
            process = subprocess.Popen(
                job.command,
                env=clean_environment(os.environ),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
    except OSError as error:
        raise FileError(f"cannot write {log}: {reason(error)}") from error
    return replace(job, process=process, log=log)
