"""One control plane, from free ports to ready, and back to nothing."""

import time
import uuid
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import requests

from support.kube import ApiError, Kube
from support.localcluster import audit, components, kubeconfig
from support.localcluster.audit import AuditEvent
from support.localcluster.build import binaries
from support.localcluster.certs import Authority
from support.localcluster.components import Layout
from support.localcluster.errors import LocalClusterError, StartTimeout
from support.localcluster.folders import Folder
from support.localcluster.ports import Ports
from support.localcluster.process import Component

START_SECONDS = 120.0
T = TypeVar("T")


class ControlPlane:
    """etcd, kube-apiserver and, as asked for, controllers, scheduler and fake nodes.

    Several can run side by side. As a context manager it is started and, in the end, removed with all its data. Its
    processes are killed together with the process that started them, unless `detached`.
    """

    def __init__(
        self,
        *,
        controllers: str | None = "*",
        scheduler: bool = True,
        kwok: bool = True,
        nodes: int = 3,
        audit: bool = True,
        folder: Path | None = None,
        detached: bool = False,
    ) -> None:
        """`controllers` is kube-controller-manager's own list ("*,-ttl"), None for no controllers at all."""
        self._controllers, self._scheduler, self._kwok, self._audit = controllers, scheduler, kwok, audit
        self._nodes = nodes if kwok else 0
        self._wanted_folder, self._detached = folder, detached
        self._folder: Folder | None = None
        self._ports = Ports()
        self._layout: Layout | None = None
        self._authority: Authority | None = None
        self._admin: Kube | None = None
        self.components: dict[str, Component] = {}

    # Life ---------------------------------------------------------------------------------------------------------

    def start(self) -> Self:
        """Start everything and wait until it works; seconds when the programs are built, minutes else."""
        programs = binaries()
        self._folder = Folder(self._wanted_folder)
        folder = self._folder.path
        try:
            self._layout = layout = Layout(
                folder=folder,
                programs=programs,
                etcd_port=self._ports.take(),
                etcd_peer_port=self._ports.take(),
                api_port=self._ports.take(),
                kubelet_port=self._ports.take(),
                detached=self._detached,
            )
            self._authority = authority = Authority(folder / "pki")
            layout.kubeconfig(authority, "admin", "kubernetes-admin", ("system:masters",))
            self._run(components.etcd(layout))
            self._run(components.kube_apiserver(layout, authority, audit=self._audit))
            self._await("the API server to be ready", self._ready)
            self._admin = Kube.from_kubeconfig(self.kubeconfig, sign=self.kubeconfig_for)
            self._start_others(layout, authority)
        except BaseException:
            self.stop()
            raise
        return self

    def _start_others(self, layout: Layout, authority: Authority) -> None:
        if self._controllers is not None:
            self._run(components.kube_controller_manager(layout, authority, self._controllers))
        if self._scheduler:
            self._run(components.kube_scheduler(layout, authority))
        if self._kwok:
            for index in range(self._nodes):
                self.admin.create(_node(f"fake-{index}"))
            self._run(components.kwok(layout, authority))
        if self._controllers is not None:
            self._await("the controllers to make the account `default`", self._has_default_account)
        if self._nodes:
            self._await(f"{self._nodes} fake nodes to be Ready", self._nodes_ready)

    def stop(self) -> None:
        """End every process and remove the data. Safe to call twice."""
        for component in reversed(self.components.values()):
            component.stop()
        self.components.clear()
        if self._admin is not None:
            self._admin.close()
            self._admin = None
        self._ports.close()
        self._layout = None
        if self._folder is not None:
            self._folder.remove()
            self._folder = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # Access -------------------------------------------------------------------------------------------------------

    @property
    def layout(self) -> Layout:
        """Where everything is; raises LocalClusterError where the plane is not started."""
        if self._layout is None:
            raise LocalClusterError("The control plane is not started: call start(), or use it in a `with` statement")
        return self._layout

    @property
    def server(self) -> str:
        """The API server's URL."""
        return self.layout.server

    @property
    def ca_file(self) -> Path:
        """The certificate of the authority that signed the API server's."""
        return self.layout.folder / "pki" / "ca.crt"

    @property
    def kubectl(self) -> Path:
        """kubectl of the same version."""
        return self.layout.programs["kubectl"]

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig of an administrator (group system:masters)."""
        return self.layout.folder / "admin.kubeconfig"

    @property
    def admin(self) -> Kube:
        """A client with the administrator's rights."""
        if self._admin is None:
            raise LocalClusterError("The API server is not ready yet: the administrator's client exists after start()")
        return self._admin

    @property
    def pids(self) -> dict[str, int]:
        """The process id of each component."""
        return {name: component.pid for name, component in self.components.items()}

    def kubeconfig_for(self, user: str, groups: Iterable[str] = ()) -> Path:
        """A kubeconfig with a client certificate for any user and groups (system:authenticated comes by itself)."""
        if self._authority is None:
            raise LocalClusterError("The control plane is not started, so no certificate can be signed")
        return self.layout.kubeconfig(self._authority, f"user-{uuid.uuid4().hex[:12]}", user, tuple(groups))

    def kubeconfig_for_serviceaccount(self, namespace: str, name: str, *, seconds: int = 3600) -> Path:
        """A kubeconfig with a fresh token of an existing ServiceAccount; `seconds` is its life, at least 600."""
        path = self.layout.folder / f"account-{uuid.uuid4().hex[:12]}.kubeconfig"
        token = self.admin.token(namespace, name, seconds=seconds)
        return kubeconfig.write(path, self.server, ca_file=self.ca_file, token=token, user=f"{namespace}-{name}")

    # Audit --------------------------------------------------------------------------------------------------------

    def audit_mark(self) -> int:
        """A position in the audit log: everything answered before this call lies before it."""
        marker = f"/version?marker={uuid.uuid4().hex}"
        position = self.layout.audit_log.stat().st_size if self.layout.audit_log.exists() else 0
        self.admin.raw("GET", marker)
        needle = marker.encode()

        def marked() -> int | None:
            with self.layout.audit_log.open("rb") as log:
                log.seek(position)
                offset = position
                for line in log:
                    offset += len(line)
                    if line.endswith(b"\n") and needle in line:
                        return offset
            return None

        return self._await("the audit log to hold the marker of this reading", marked)

    def audit(
        self, since: int = 0, *, user: str | None = None, verbs: Collection[str] | None = None
    ) -> list[AuditEvent]:
        """What was answered after the mark `since` (0: from the beginning), and before this call.

        A watch is in it when it has ended, and `user` and `verbs` narrow it down.
        """
        end = self.audit_mark()
        events = audit.read(self.layout.audit_log, since, end, user=user, verbs=verbs)
        return [event for event in events if not event.uri.startswith("/version?marker=")]

    # Faults -------------------------------------------------------------------------------------------------------

    def stop_apiserver(self, *, grace_seconds: float = 2.0) -> None:
        """Stop the API server, gracefully first; all else keeps running and waits for it. 0 kills it at once."""
        self.components["kube-apiserver"].stop(grace_seconds=grace_seconds)

    def start_apiserver(self) -> None:
        """Start it again on the same port, and wait until it is ready."""
        if not self.components["kube-apiserver"].running():
            self.components["kube-apiserver"].start()
        self._await("the API server to be ready again", self._ready)

    def restart_apiserver(self, *, grace_seconds: float = 2.0) -> None:
        """Stop and start it: every watch ends, and its watch cache begins anew."""
        self.stop_apiserver(grace_seconds=grace_seconds)
        self.start_apiserver()

    def compact_etcd(self) -> int:
        """Drop all history from etcd up to now and return that revision; older resourceVersions are gone there.

        The API server may still answer from its watch cache; after a restart it answers 410 to them.
        """
        status = self._etcd("/v3/maintenance/status", {})
        revision = int(status["header"]["revision"])
        self._etcd("/v3/kv/compaction", {"revision": revision, "physical": True})
        return revision

    def check(self) -> None:
        """Raise ComponentDied where a component ended by itself."""
        for component in self.components.values():
            component.check()

    # Inside -------------------------------------------------------------------------------------------------------

    def _run(self, component: Component) -> None:
        self.components[component.name] = component
        component.start()

    def _await(self, what: str, probe: Callable[[], T | None]) -> T:
        deadline = time.monotonic() + START_SECONDS
        while True:
            answer = probe()
            if answer is not None:
                return answer
            self.check()
            if time.monotonic() > deadline:
                logs = "\n".join(f"{name}:\n{item.tail(8)}" for name, item in self.components.items())
                raise StartTimeout(f"Waited {START_SECONDS:.0f} s for {what}; the logs end with\n{logs}")
            time.sleep(0.05)

    def _ready(self) -> bool | None:
        cert = (str(self.layout.folder / "pki" / "admin.crt"), str(self.layout.folder / "pki" / "admin.key"))
        try:
            answer = requests.get(f"{self.server}/readyz", cert=cert, verify=str(self.ca_file), timeout=5)
        except requests.RequestException:
            return None  # not listening yet; _await gives up on a dead process and on the deadline
        return True if answer.status_code == 200 else None

    def _has_default_account(self) -> bool | None:
        try:
            self.admin.get("v1", "serviceaccounts", "default", namespace="default")
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return True

    def _nodes_ready(self) -> bool | None:
        nodes = self.admin.list("v1", "nodes")
        ready = [node for node in nodes if _condition(node, "Ready") == "True"]
        return True if len(ready) >= self._nodes else None

    def _etcd(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = requests.post(self.layout.etcd + path, json=body, timeout=60)
        answer.raise_for_status()
        result: dict[str, Any] = answer.json()
        return result


def _condition(item: dict[str, Any], kind: str) -> str | None:
    for condition in item.get("status", {}).get("conditions", []):
        if condition["type"] == kind:
            return str(condition["status"])
    return None


def _node(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, "type": "kwok"}},
    }
