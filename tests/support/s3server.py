"""A real S3-compatible server of a test's own: versitygw over a folder, built once from its pinned Go module.

It refuses a put where the name is taken (If-None-Match: *), checks signatures and checksums, keeps versions, and locks
objects. `python -m support.s3server` builds it and ends.
"""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import requests
from requests_aws4auth import AWS4Auth

from support.localcluster.build import Module, built, say
from support.localcluster.certs import Authority
from support.localcluster.errors import LocalClusterError, StartTimeout
from support.localcluster.ports import Ports
from support.localcluster.process import Component

VERSITYGW = Module(
    "versitygw", "github.com/versity/versitygw", {"versitygw": "github.com/versity/versitygw/cmd/versitygw"}
)
HOST = "127.0.0.1"
REGION = "eu-central-1"
START_SECONDS = 30.0


class S3Server:
    """One server with its data in a folder that goes with it; killed together with the process that started it."""

    def __init__(self, authority: Authority | None = None) -> None:
        """With TLS where there is an authority for its certificate. Raises BuildError where it cannot be built."""
        program = built(VERSITYGW, say) / "versitygw"
        self.access_key, self.secret_key = f"AK{secrets.token_hex(9).upper()}", secrets.token_hex(20)
        self._ports = Ports()
        address = f"{HOST}:{self._ports.take()}"
        self.endpoint = f"https://{address}" if authority else f"http://{address}"
        self._verify = str(authority.cert_file) if authority else True
        self.folder = Path(tempfile.mkdtemp(prefix="aiagent-s3-"))
        self.data = self._made("data")
        command = [str(program), "--port", address, "--region", REGION, "--quiet"]
        if authority:
            cert, key = authority.server("s3", [HOST])
            command += ["--cert", str(cert), "--key", str(key)]
        # In files beside the objects: not every file system that a test runs on has extended attributes.
        kept = ["--sidecar", str(self._made("sidecar")), "--versioning-dir", str(self._made("versions"))]
        env = {
            "PATH": os.environ["PATH"],
            "ROOT_ACCESS_KEY_ID": self.access_key,
            "ROOT_SECRET_ACCESS_KEY": self.secret_key,
        }
        log = self.folder / "versitygw.log"
        self._component = Component("versitygw", [*command, "posix", *kept, str(self.data)], log, env=env)

    def _made(self, name: str) -> Path:
        path = self.folder / name
        path.mkdir()
        return path

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

    def start(self) -> Self:
        """Starts it and waits until it answers."""
        self._component.start()
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            self._component.check()
            if time.monotonic() > deadline:
                raise StartTimeout(f"Waited {START_SECONDS:.0f} s for the S3 server; its log ends\n{self.tail()}")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        """Ends the process; data and port stay for another start."""
        self._component.stop()

    def close(self) -> None:
        """Ends it and removes all of it."""
        self._component.stop()
        self._ports.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def tail(self) -> str:
        """The end of its log."""
        return self._component.tail()

    def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> requests.Response:
        """A signed request of another client than the one under test, with what it is answered."""
        auth = AWS4Auth(self.access_key, self.secret_key, REGION, "s3")
        url = f"{self.endpoint}/{path}"
        return requests.request(method, url, data=body, headers=headers, auth=auth, timeout=30, verify=self._verify)

    def bucket(self, *, locked_days: int = 0) -> str:
        """A new bucket; with `locked_days`, new objects in it cannot be deleted for so long (GOVERNANCE)."""
        name = f"test-{secrets.token_hex(6)}"
        where = (
            f"<CreateBucketConfiguration><LocationConstraint>{REGION}</LocationConstraint></CreateBucketConfiguration>"
        )
        lock = {"x-amz-bucket-object-lock-enabled": "true"} if locked_days else {}
        self.ask("PUT", name, where.encode(), **lock).raise_for_status()
        if locked_days:
            kept = f"<DefaultRetention><Mode>GOVERNANCE</Mode><Days>{locked_days}</Days></DefaultRetention>"
            rule = f"<ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule>{kept}</Rule>"
            content = f"<ObjectLockConfiguration>{rule}</ObjectLockConfiguration>".encode()
            digest = base64.b64encode(hashlib.md5(content, usedforsecurity=False).digest()).decode()
            self.ask("PUT", f"{name}?object-lock", content, **{"Content-MD5": digest}).raise_for_status()
        return name

    def secret(self, folder: Path) -> Path:
        """The folder with the keys as files, as a Secret is mounted."""
        folder.mkdir(exist_ok=True)
        (folder / "access-key-id").write_text(self.access_key)
        (folder / "secret-access-key").write_text(self.secret_key + "\n")
        return folder

    def _answers(self) -> bool:
        try:
            return requests.get(self.endpoint, timeout=5, verify=self._verify).status_code < 500
        except requests.RequestException:
            return False  # not listening yet; start gives up on a dead process and on the deadline


if __name__ == "__main__":
    try:
        built(VERSITYGW, say)
    except LocalClusterError as error:
        sys.exit(str(error))
