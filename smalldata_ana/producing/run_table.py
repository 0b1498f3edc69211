"""Tell the run table of the electronic logbook that a run was produced.

Nothing is told unless it is asked for, and a job never fails because of it.
"""

from __future__ import annotations

import base64
import datetime
import ipaddress
import json
import os
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Mapping
from pathlib import Path

from smalldata_ana.errors import SmallDataError
from smalldata_ana.places import hutch_of
from smalldata_ana.safe_files import reason

URL = "https://pswww.slac.stanford.edu/ws-auth/lgbk"
"""The web service of SLAC's logbook."""

PASSWORD_FILE = Path("/sdf/group/lcls/ds/tools/forElogPost.txt")
"""Where the password for this service is at SLAC: the first line of the file."""

PASSWORD_VARIABLE = "SMALLDATA_ANA_LOGBOOK_PASSWORD"
"""Environment variable with the password, where there is no such file."""

TIME_OUT = 10.0
"""Longest wait for the logbook [s]."""

_TIME = "%m/%d/%Y, %H:%M:%S"
"""How smalldata_tools writes a time into the run table."""


class RunTableError(SmallDataError):
    """The run table was not told."""


def row(
    job_begin: datetime.datetime,
    begin: datetime.datetime,
    end: datetime.datetime,
    *,
    cores: int,
    default: bool = False,
) -> dict[str, str | int]:
    """Return what the run table holds of a production, by smalldata_tools' columns.

    Parameters
    ----------
    job_begin : when the job was started
    begin, end : when the work on this run began and ended
    cores : worker processes
    default : True if there are no area detectors in the file
    """
    seconds = round((end - begin).total_seconds())
    return {
        "Prod_jobstart": job_begin.strftime(_TIME),
        "Prod_start": begin.strftime(_TIME),
        "Prod_end": end.strftime(_TIME),
        "Prod_duration": str(datetime.timedelta(seconds=seconds)),
        "Prod_ncores": cores,
        "SmallData": "default" if default else "done",
    }


def post(
    experiment: str,
    run: int,
    values: Mapping[str, str | int],
    *,
    url: str | None = None,
    timeout: float = TIME_OUT,
) -> None:
    """Enter values into the run table.

    Parameters
    ----------
    experiment, run : whose row
    values : by column
    url : of the logbook's web service, by default SLAC's
    timeout : longest wait [s]

    Raises
    ------
    RunTableError
        if there is no password, the service cannot be reached in time, or refuses
    """
    place = f"{(url or URL).rstrip('/')}/run_control/{experiment}/ws/add_run_params"
    _check(place)
    query = urllib.parse.urlencode({"run_num": run})
    head = {"Content-Type": "application/json"}
    body = json.dumps(dict(values)).encode()
    request = urllib.request.Request(f"{place}?{query}", body, head, method="POST")
    user = f"{hutch_of(experiment)}opr"
    # Not sent on to where the service may point us.
    request.add_unredirected_header("Authorization", _basic(user, _password()))
    try:
        with urllib.request.urlopen(request, timeout=timeout) as reply:
            answer = json.load(reply)
    except (OSError, ValueError) as error:
        raise RunTableError(f"{place}: {error}") from error
    if not (isinstance(answer, dict) and answer.get("success")):
        raise RunTableError(f"{place} answered {str(answer)[:200]}")


def _check(place: str) -> None:
    """Check that a password may be sent to an address."""
    parts = urllib.parse.urlsplit(place)
    if parts.scheme == "https" or (parts.scheme == "http" and _loopback(parts)):
        return
    raise RunTableError(f"{place} does not begin with https://; give another --url")


def _loopback(parts: urllib.parse.SplitResult) -> bool:
    host = parts.hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _password() -> str:
    """Return the password, from the file or the environment."""
    try:
        if PASSWORD_FILE.exists():
            return PASSWORD_FILE.read_text(encoding="utf-8").split("\n")[0].strip()
    except (OSError, ValueError) as error:
        why = reason(error) if isinstance(error, OSError) else str(error)
        raise RunTableError(f"cannot read {PASSWORD_FILE}: {why}") from error
    given = os.environ.get(PASSWORD_VARIABLE)
    if not given:
        raise RunTableError(
            f"no password: there is no {PASSWORD_FILE}, and ${PASSWORD_VARIABLE} is "
            "not set"
        )
    return given


def _basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
