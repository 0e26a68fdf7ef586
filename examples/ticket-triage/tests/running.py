"""Runs jobs and services as a pod would: as processes of their own, told everything by their environment."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]


def environment(**settings: object) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TRIAGE_")}
    return kept | {"PYTHONPATH": str(ROOT), "OPENBLAS_NUM_THREADS": "1"} | {k: str(v) for k, v in settings.items()}


@dataclass(frozen=True)
class Done:
    code: int
    result: dict[str, Any]
    message: bytes
    err: str

    @property
    def measurements(self) -> dict[str, float]:
        return {entry["name"]: float(entry["value"]) for entry in self.result["measurements"]}


def job(module: str, **settings: object) -> Done:
    """Runs `python -m triage.<module>`; the result is what stands in the termination message."""
    with tempfile.NamedTemporaryFile() as file:
        settings = {"TRIAGE_RESULT": file.name} | settings
        command = [sys.executable, "-m", f"triage.{module}"]
        done = subprocess.run(command, env=environment(**settings), capture_output=True, text=True, check=False)
        message = Path(file.name).read_bytes()
    return Done(done.returncode, json.loads(message) if message else {}, message, done.stderr)


@dataclass
class Running:
    process: subprocess.Popen[str]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, body: object = None, method: str | None = None) -> tuple[int, Any]:
        """Status and body; a body that is bytes is sent as it is."""
        data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return response.status, _read(response.read())
        except urllib.error.HTTPError as error:
            return error.code, _read(error.read())

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        return self.process.wait(60)


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()


@contextmanager
def service(**settings: object) -> Iterator[Running]:
    """A service on a free port, until the end of the block."""
    defaults = {
        "TRIAGE_LISTEN_HOST": "127.0.0.1",
        "TRIAGE_LISTEN_PORT": 0,
        "TRIAGE_DRAIN_DELAY": 0,
        "TRIAGE_HANDBOOK": "/nonexistent",
    }
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "triage.serve"], env=environment(**(defaults | settings)), stdout=log, text=True
        )
        try:
            yield Running(process, _port(process, Path(log.name)))
        finally:
            process.kill()
            process.wait()


def _port(process: subprocess.Popen[str], log: Path) -> int:
    while process.poll() is None:
        if found := re.search(r'"port": (\d+)', log.read_text()):
            return int(found[1])
        time.sleep(0.01)
    raise AssertionError(f"the service ended with {process.returncode}")
