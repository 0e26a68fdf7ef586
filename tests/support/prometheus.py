"""A Prometheus of a test's own, which scrapes what the test says.

It is the `prometheus` on the PATH, else that of the Debian package, which is fetched once and unpacked into the cache
without being installed.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import requests
import yaml
from prometheus_client.parser import text_string_to_metric_families

from support.localcluster.build import say
from support.localcluster.cache import cache_dir, exclusive
from support.localcluster.errors import StartTimeout
from support.localcluster.ports import Ports
from support.localcluster.process import Component

HOST = "127.0.0.1"
START_SECONDS = 60.0
SCRAPE_SECONDS = 1


class NoPrometheusError(Exception):
    """There is no Prometheus here, and none can be fetched; the message names the remedy."""


def program(name: str = "prometheus") -> Path:
    """The program, or `promtool`, which every package of Prometheus has beside it.

    Raises NoPrometheusError where there is none and no apt-get, RuntimeError where fetching fails.
    """
    if found := shutil.which(name):
        return Path(found)
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        raise NoPrometheusError(f"put `{name}` on the PATH to test what the operator asks Prometheus, and tells it")
    folder = cache_dir() / "bin" / "prometheus-debian"
    unpacked = folder / "usr" / "bin" / name
    with exclusive("prometheus", say):
        if not unpacked.exists():
            _fetch(folder)
    return unpacked


def _fetch(folder: Path) -> None:
    say("fetching Debian's package prometheus (once)")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix="prometheus-") as there:
        try:
            _run("apt-get", "download", "prometheus", there=there)
        except RuntimeError:
            if os.geteuid() != 0:
                raise
            # A machine that never asked what packages there are. Only root may.
            _run("apt-get", "update", there=there)
            _run("apt-get", "download", "prometheus", there=there)
        (package,) = Path(there).glob("prometheus_*.deb")
        _run("dpkg-deb", "-x", str(package), "unpacked", there=there)
        (Path(there) / "unpacked").replace(folder)


def _run(*command: str, there: str) -> None:
    done = subprocess.run(command, cwd=there, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise RuntimeError(
            f"{' '.join(command)} failed, so there is no Prometheus to test with: {done.stderr.strip()[-600:]}. Put "
            "`prometheus` on the PATH, or let `apt-get update` know where packages are"
        )


class Target:
    """What is scraped: a text in the exposition format, which may change between two scrapes."""

    def __init__(self) -> None:
        self.text = ""
        target = self

        class Handler(BaseHTTPRequestHandler):
            """Answers every request with the text."""

            def do_GET(self) -> None:
                body = target.text.encode()
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - so it is called
                """Says nothing."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, name="scrape-target", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{HOST}:{self._server.server_address[1]}"

    def close(self) -> None:
        """Ends it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class PrometheusServer:
    """One Prometheus with its data in a folder that goes with it; killed together with the process that started it."""

    def __init__(self) -> None:
        self.target = Target()
        self._ports = Ports()
        self._folder = Path(tempfile.mkdtemp(prefix="aiagent-prometheus-"))
        self.url = f"http://{HOST}:{self._ports.take()}"
        config = {
            "global": {"scrape_interval": f"{SCRAPE_SECONDS}s", "scrape_timeout": f"{SCRAPE_SECONDS}s"},
            "scrape_configs": [{"job_name": "test", "static_configs": [{"targets": [self.target.address]}]}],
        }
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(config))
        command = [
            str(program()),
            f"--config.file={self._folder / 'prometheus.yml'}",
            f"--storage.tsdb.path={self._folder / 'data'}",
            f"--web.listen-address={self.url.removeprefix('http://')}",
            "--log.level=warn",
        ]
        self._component = Component("prometheus", command, self._folder / "prometheus.log")

    def start(self) -> Self:
        """Starts it and waits until it answers queries."""
        self._component.start()
        self._await("Prometheus to be ready", lambda: self._get("/-/ready") is not None)
        return self

    def stop(self) -> None:
        """Ends the process; data, port and target stay for another start."""
        self._component.stop(grace_seconds=10)

    @contextmanager
    def down(self) -> Iterator[None]:
        """Nobody listens meanwhile."""
        self.stop()
        try:
            yield
        finally:
            self.start()

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """It takes connections meanwhile, and says nothing."""
        os.kill(self._component.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self._component.pid, signal.SIGCONT)

    def close(self) -> None:
        """Ends it and removes all of it."""
        self._component.stop()
        self.target.close()
        self._ports.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def expose(self, *lines: str) -> None:
        """Puts these lines before the scraper, and waits until a scrape after now has taken them."""
        self.target.text = "\n".join([*lines, f"told_at {time.time():.6f}", ""])
        told = self.target.text.splitlines()[-1].split()[1]
        self._await(f"the scrape of {told}", lambda: self._value("told_at") == float(told))

    def asked(self) -> float:
        """Queries that it has answered since it was started, by whomever."""
        answer = self._get("/metrics")
        families = text_string_to_metric_families(answer.text if answer is not None else "")
        samples = [sample for family in families for sample in family.samples]
        return sum(
            sample.value
            for sample in samples
            if sample.name == "prometheus_http_requests_total" and sample.labels["handler"] == "/api/v1/query"
        )

    def _value(self, query: str) -> float | None:
        answer = self._get("/api/v1/query", query=query)
        result = answer.json()["data"]["result"] if answer is not None else []
        return float(result[0]["value"][1]) if result else None

    def _get(self, path: str, **params: str) -> requests.Response | None:
        try:
            answer = requests.get(self.url + path, params=params, timeout=5)
        except requests.RequestException:
            return None  # not listening yet; _await gives up on a dead process and on the deadline
        return answer if answer.status_code == 200 else None

    def _await(self, what: str, probe: Any) -> None:
        deadline = time.monotonic() + START_SECONDS
        while not probe():
            self._component.check()
            if time.monotonic() > deadline:
                raise StartTimeout(
                    f"Waited {START_SECONDS:.0f} s for {what}; its log ends with\n{self._component.tail()}"
                )
            time.sleep(0.05)
