"""Kubeconfig files."""

import base64
from pathlib import Path
from typing import Any

import yaml


def write(
    path: Path,
    server: str,
    *,
    ca_file: Path | None = None,
    cert: tuple[Path, Path] | None = None,
    token: str | None = None,
    user: str = "user",
) -> Path:
    """Write a kubeconfig, all of it inline, readable only by its owner; without a CA for plain http."""
    cluster: dict[str, Any] = {"server": server}
    if ca_file is not None:
        cluster["certificate-authority-data"] = _b64(ca_file)
    credentials: dict[str, Any] = {}
    if cert is not None:
        credentials = {"client-certificate-data": _b64(cert[0]), "client-key-data": _b64(cert[1])}
    if token is not None:
        credentials = {"token": token}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "localcluster", "cluster": cluster}],
        "users": [{"name": user, "user": credentials}],
        "contexts": [{"name": "localcluster", "context": {"cluster": "localcluster", "user": user}}],
        "current-context": "localcluster",
    }
    path.touch(mode=0o600)
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def _b64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
