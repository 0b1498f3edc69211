"""The commands that look ahead to the producer, and start it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from smalldata_ana.session.state import SessionState

if TYPE_CHECKING:
    from smalldata_ana.session.preview import SessionPreview
    from smalldata_ana.session.submission import Job


class ProducerCommands(SessionState):
    """`preview`, `submit`."""

    def preview(
        self,
        n: int = 20,
        detectors: Sequence[str] | None = None,
        *,
        full: bool = False,
        image: bool = False,
        epicsAll: bool = False,
        nosum: bool = False,
        default: bool = False,
        functions: str | os.PathLike[str] | None = None,
        nproc: int | None = None,
    ) -> SessionPreview:
        """Let the producer work on some events, to see what its file will hold.

        Its parameters are those of the experiment's file, and what was accepted and is
        not exported yet.  Nothing is written, and the session stays as it is.

        Parameters
        ----------
        n : how many events, spread over the run
        detectors : only these
        full, image, epicsAll, nosum, default : as the producer's options
        functions : a Python file with own functions, as the producer's option
        nproc : worker processes that the time is reckoned for, by default all cores

        Returns
        -------
        A table of the datasets; ``.values[path]`` are their values in these events,
        ``.show()`` plots the first results, ``.warnings`` tells what went wrong.

        Examples
        --------
        >>> anaps.preview()  # doctest: +SKIP
        """
        from smalldata_ana.producing.choices import Choices
        from smalldata_ana.session.preview import preview_of

        choices = Choices(
            detectors=None if detectors is None else list(detectors),
            default=default,
            full=full,
            image=image,
            epics_all=epicsAll,
            sums=not nosum,
        )
        return preview_of(self, n, choices, functions, nproc)

    def submit(
        self,
        run: int | str | None = None,
        nproc: int | None = None,
        *,
        go: bool = False,
        queue: str | None = None,
        account: str | None = None,
        options: str = "",
    ) -> Job:
        """Print the command that produces a run, and run it if that is wanted.

        Where there is Slurm it is a job, else a process of this machine, which the
        session does not wait for.

        Parameters
        ----------
        run : a run, or several as text: "10-14", "3,7-9"; by default this one
        nproc : worker processes, by default all cores of a machine
        go : True to run it; a person is asked otherwise
        queue, account : Slurm's partition and account; by default ``lcls:<exp>`` at
            SLAC
        options : further options of ``smd_producer.py``, as they are typed

        Returns
        -------
        The job: ``.command``, and if it runs ``.number`` under Slurm, or ``.process``
        and ``.log`` on this machine.

        Examples
        --------
        >>> anaps.submit(go=True)  # doctest: +SKIP
        sbatch producers/submit_smd.sh -e xppsim01 -r 1
        """
        from smalldata_ana.session.submission import job_of, started, wanted

        job = job_of(self, run, nproc, queue, account, options)
        print(job)
        if go or wanted(self):
            job = started(job, self)
            print(job.where)
        return job
