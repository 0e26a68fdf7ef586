"""The cluster that tests run against: the local control plane, or one that the user names."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Protocol

import yaml

from support.kube import Kube
from support.localcluster import LocalClusterError

VARIABLE = "AIAGENT_TEST_KUBECONFIG"


class Cluster(Protocol):
    """What every cluster offers; audit log and faults are the local control plane's alone."""

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of an administrator."""

    @property
    def server(self) -> str:
        """The API server's URL."""

    @property
    def admin(self) -> Kube:
        """A client with the administrator's rights."""

    def kubeconfig_for(self, user: str, groups: Iterable[str] = ()) -> Path:
        """A kubeconfig for any user."""

    def kubeconfig_for_serviceaccount(self, namespace: str, name: str, *, seconds: int = 3600) -> Path:
        """A kubeconfig with a fresh token of a ServiceAccount."""


class NamedCluster:
    """A cluster that runs anyway, reached with the administrator's kubeconfig."""

    def __init__(self, kubeconfig: Path) -> None:
        self._config: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())
        self._folder = tempfile.TemporaryDirectory(prefix="aiagent-cluster-")
        self._count = 0
        self.kubeconfig = kubeconfig
        self.admin = Kube.from_kubeconfig(kubeconfig)
        self.server = self.admin.server

    def kubeconfig_for(self, user: str, groups: Iterable[str] = ()) -> Path:
        """The administrator's credentials, impersonating: nobody here has the key that signs certificates."""
        context = self._context()
        own = next(item["user"] for item in self._config["users"] if item["name"] == context["user"])
        return self._write({**own, "as": user, "as-groups": [*groups, "system:authenticated"]})

    def kubeconfig_for_serviceaccount(self, namespace: str, name: str, *, seconds: int = 3600) -> Path:
        """A kubeconfig with a fresh token of an existing ServiceAccount."""
        return self._write({"token": self.admin.token(namespace, name, seconds=seconds)})

    def close(self) -> None:
        """Remove the files; the cluster stays."""
        self.admin.close()
        self._folder.cleanup()

    def __getattr__(self, name: str) -> Any:
        raise LocalClusterError(
            f"{name!r} needs the local control plane; unset {VARIABLE} (it names {self.__dict__.get('kubeconfig')})"
        )

    def _context(self) -> dict[str, str]:
        current = self._config["current-context"]
        context: dict[str, str] = next(i["context"] for i in self._config["contexts"] if i["name"] == current)
        return context

    def _write(self, user: dict[str, Any]) -> Path:
        context = self._context()
        self._count += 1
        path = Path(self._folder.name) / f"{self._count}.kubeconfig"
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump({**self._config, "users": [{"name": context["user"], "user": user}]}))
        return path
