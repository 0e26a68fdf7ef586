"""Which cluster, and as whom: the kubeconfig, read as kubectl reads it.

The official client's loader does the credentials. Two things it does otherwise than kubectl are done here: of several
files the first that sets `current-context` wins, and impersonation (`as`, `as-groups`, `as-uid`, `as-user-extra`) is
honoured, since whoever has it in the kubeconfig would else act with more rights than kubectl does.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import yaml
from kubernetes import config
from kubernetes.client.configuration import Configuration
from kubernetes.config.kube_config import KubeConfigMerger

from aiagent_operator.cli.errors import CliError

_ACCOUNT_NAMESPACE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True, slots=True)
class Access:
    """How to reach the API server: the client's configuration, the context's namespace, headers of impersonation."""

    configuration: Configuration
    namespace: str
    impersonation: tuple[tuple[str, str], ...] = ()


def access(kubeconfig: Path | None, context: str | None) -> Access:
    """The access that --kubeconfig and --context, KUBECONFIG, ~/.kube/config or the pod's own account give.

    Raises CliError where they give none.
    """
    named = str(kubeconfig) if kubeconfig else os.environ.get("KUBECONFIG", "")
    files = named or str(Path.home() / ".kube" / "config")
    if not named and not context and not Path(files).exists() and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return _of_pod()
    configuration: Configuration = type.__call__(Configuration)  # not a copy of the process-wide default
    try:
        merger = KubeConfigMerger(files)  # type: ignore[no-untyped-call]
        if merger.config is None:
            raise CliError(f"there is no kubeconfig {files}: set KUBECONFIG, or give --kubeconfig")
        chosen = _context(merger, files, context)
        config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=files, context=chosen["name"], client_configuration=configuration
        )
    except (config.ConfigException, yaml.YAMLError, OSError, ValueError, KeyError, TypeError) as error:
        raise CliError(
            f"kubeconfig {files} names no cluster ({' '.join(str(error).split())}): correct it, or give --kubeconfig "
            "and --context"
        ) from error
    fields = chosen["context"]
    user = _entry(merger, "users", fields.get("user")) or {}
    return Access(configuration, fields.get("namespace") or "default", tuple(_impersonation(user.get("user") or {})))


def _of_pod() -> Access:
    configuration: Configuration = type.__call__(Configuration)
    try:
        config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
        return Access(configuration, _ACCOUNT_NAMESPACE.read_text(encoding="utf-8").strip())
    except (config.ConfigException, OSError) as error:
        raise CliError(f"this pod has no token for the API server ({error}): mount one, or set KUBECONFIG") from error


def _context(merger: KubeConfigMerger, files: str, name: str | None) -> dict[str, Any]:
    first = next((f["current-context"] for f in merger.config_files.values() if f.get("current-context")), None)
    found = _entry(merger, "contexts", name or first)
    if found is None:
        known = ", ".join(sorted(node.value["name"] for node in merger.config.value["contexts"])) or "none"
        missing = f'has no context "{name or first}"' if name or first else "has no current-context"
        raise CliError(f"kubeconfig {files} {missing}: choose one with --context (it has {known})")
    return found


def _entry(merger: KubeConfigMerger, kind: str, name: str | None) -> dict[str, Any] | None:
    """The first entry of that name: where several files have it, the first file wins."""
    return next((node.value for node in merger.config.value[kind] if node.value["name"] == name), None)


def _impersonation(user: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """The headers of Kubernetes' user impersonation."""
    if user.get("as"):
        yield "Impersonate-User", user["as"]
    if user.get("as-uid"):
        yield "Impersonate-Uid", user["as-uid"]
    for group in user.get("as-groups") or ():
        yield "Impersonate-Group", group
    for key, values in (user.get("as-user-extra") or {}).items():
        for value in values:
            yield f"Impersonate-Extra-{quote(key, safe='')}", value
