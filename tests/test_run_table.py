"""The run table is told on request only, and never holds a job up."""

from __future__ import annotations

import base64
import datetime
import functools
import json
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest

from smalldata_ana.producing import run_table
from smalldata_ana.producing.run_table import RunTableError, post, row

PASSWORD = "open sesame"
MORNING = datetime.datetime(2026, 2, 3, 3, 0)


@dataclass
class Logbook:
    """A web service on this machine; what it was told, and what it answers."""

    url: str = ""
    status: int = 200
    answer: bytes = b'{"success": true}'
    location: str = ""
    told: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)


def _handler(logbook: Logbook) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(json.loads(body))

        def do_GET(self) -> None:
            self._answer(None)

        def _answer(self, values: Any) -> None:
            logbook.told.append((self.path, dict(self.headers), values))
            redirected = logbook.location and len(logbook.told) == 1
            self.send_response(302 if redirected else logbook.status)
            if redirected:
                self.send_header("Location", logbook.location)
            self.end_headers()
            self.wfile.write(logbook.answer)

        def log_message(self, *arguments: object) -> None:
            """Say nothing."""

    return Handler


@pytest.fixture
def logbook(monkeypatch, tmp_path) -> Iterator[Logbook]:
    monkeypatch.setattr(run_table, "PASSWORD_FILE", tmp_path / "absent.txt")
    monkeypatch.setenv(run_table.PASSWORD_VARIABLE, PASSWORD)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    logbook = Logbook()
    server = HTTPServer(("127.0.0.1", 0), _handler(logbook))
    logbook.url = f"http://127.0.0.1:{server.server_port}/lgbk/"
    serve = functools.partial(server.serve_forever, poll_interval=0.01)
    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield logbook
    server.shutdown()
    thread.join()
    server.server_close()


def authorized(headers: dict[str, str]) -> str:
    kind, _, text = headers["Authorization"].partition(" ")
    assert kind == "Basic"
    return base64.b64decode(text).decode()


def test_the_columns_are_those_of_smalldata_tools():
    begin = MORNING + datetime.timedelta(minutes=1)
    end = begin + datetime.timedelta(hours=1, seconds=5.2)
    assert row(MORNING, begin, end, cores=16) == {
        "Prod_jobstart": "02/03/2026, 03:00:00",
        "Prod_start": "02/03/2026, 03:01:00",
        "Prod_end": "02/03/2026, 04:01:05",
        "Prod_duration": "1:00:05",
        "Prod_ncores": 16,
        "SmallData": "done",
    }
    assert row(MORNING, begin, end, cores=1, default=True)["SmallData"] == "default"


def test_the_run_is_told(logbook):
    post("xppl1001021", 12, {"SmallData": "done"}, url=logbook.url)
    ((path, headers, values),) = logbook.told
    assert path == "/lgbk/run_control/xppl1001021/ws/add_run_params?run_num=12"
    assert authorized(headers) == f"xppopr:{PASSWORD}"
    assert values == {"SmallData": "done"}


def test_the_password_of_the_file_comes_first(logbook, monkeypatch, tmp_path):
    path = tmp_path / "password.txt"
    path.write_text("from the file\nmore\n")
    monkeypatch.setattr(run_table, "PASSWORD_FILE", path)
    post("mfxl1001021", 1, {}, url=logbook.url)
    assert authorized(logbook.told[0][1]) == "mfxopr:from the file"


def test_a_password_file_that_cannot_be_read(logbook, monkeypatch, tmp_path):
    monkeypatch.setattr(run_table, "PASSWORD_FILE", tmp_path)
    with pytest.raises(RunTableError, match="cannot read"):
        post("xppl1001021", 12, {}, url=logbook.url)


def test_without_password(logbook, monkeypatch):
    monkeypatch.delenv(run_table.PASSWORD_VARIABLE)
    with pytest.raises(RunTableError, match="no password"):
        post("xppl1001021", 12, {}, url=logbook.url)
    assert not logbook.told


@pytest.mark.parametrize(
    ("status", "answer", "message"),
    [
        (403, b"", "403"),
        (200, b'{"success": false, "errormsg": "closed"}', "closed"),
        (200, b"<html>log in</html>", "Expecting value"),
        (200, b"[]", r"answered \[\]"),
    ],
)
def test_a_refusal(logbook, status, answer, message):
    logbook.status, logbook.answer = status, answer
    with pytest.raises(RunTableError, match=message):
        post("xppl1001021", 12, {}, url=logbook.url)


def test_a_service_that_does_not_answer(logbook):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}"
        with pytest.raises(RunTableError, match="timed out"):
            post("xppl1001021", 12, {}, url=url, timeout=0.1)


def test_nobody_there(logbook):
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(RunTableError, match="refused"):
        post("xppl1001021", 12, {}, url=f"http://127.0.0.1:{port}")


@pytest.mark.parametrize("url", ["http://logbook.example", "ftp://127.0.0.1", "lgbk"])
def test_the_password_goes_to_nobody_else(logbook, url):
    with pytest.raises(RunTableError, match="https"):
        post("xppl1001021", 12, {}, url=url)


def test_the_password_is_not_sent_on(logbook):
    logbook.location = logbook.url + "elsewhere"
    post("xppl1001021", 12, {}, url=logbook.url)
    first, second = logbook.told
    assert "Authorization" in first[1]
    assert "Authorization" not in second[1]
