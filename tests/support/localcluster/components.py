"""The command line and the files of each component."""

from dataclasses import dataclass
from pathlib import Path

import yaml

from support.localcluster import kubeconfig
from support.localcluster.certs import Authority
from support.localcluster.process import Component

HERE = Path(__file__).parent
HOST = "127.0.0.1"
# What the `kubernetes` Service points to. Loopback is not allowed there, so it is an address from the range reserved
# for documentation (RFC 5737): nobody connects to it, but network policies can be made from it.
ADVERTISED = "192.0.2.1"
SERVICE_RANGE = "10.96.0.0/16"
ISSUER = "https://kubernetes.default.svc.cluster.local"
QPS, BURST = 5000, 10000


@dataclass(frozen=True)
class Line:
    """What a container has said, and when."""

    at: str
    text: str


LOG = (
    Line("2026-01-02T03:04:05.000000001Z", "I have read ticket 4711 of Ada"),
    Line("2026-01-02T03:04:06.000000002Z", "I have answered it"),
)
"""The log of each container on a fake node."""


@dataclass(frozen=True)
class Layout:
    """Where everything of one control plane is."""

    folder: Path
    programs: dict[str, Path]
    etcd_port: int
    etcd_peer_port: int
    api_port: int
    kubelet_port: int
    detached: bool

    @property
    def server(self) -> str:
        """The API server's URL."""
        return f"https://{HOST}:{self.api_port}"

    @property
    def etcd(self) -> str:
        """etcd's URL, for the API server and for maintenance."""
        return f"http://{HOST}:{self.etcd_port}"

    @property
    def audit_log(self) -> Path:
        """The audit log, one JSON object a line."""
        return self.folder / "audit.log"

    def component(self, name: str, *arguments: str) -> Component:
        """A component with its program and its log."""
        command = [str(self.programs[name]), *arguments]
        return Component(name, command, self.folder / f"{name}.log", detached=self.detached)

    def kubeconfig(self, authority: Authority, file: str, user: str, groups: tuple[str, ...] = ()) -> Path:
        """A kubeconfig with a client certificate of its own."""
        cert = authority.client(file, user, groups)
        path = self.folder / f"{file}.kubeconfig"
        return kubeconfig.write(path, self.server, ca_file=authority.cert_file, cert=cert, user=file)


def etcd(layout: Layout) -> Component:
    """A store that forgets with the machine: without fsync, since its data never outlives the control plane."""
    peer = f"http://{HOST}:{layout.etcd_peer_port}"
    return layout.component(
        "etcd",
        "--name=localcluster",
        f"--data-dir={layout.folder / 'etcd'}",
        f"--listen-client-urls={layout.etcd}",
        f"--advertise-client-urls={layout.etcd}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=localcluster={peer}",
        "--unsafe-no-fsync",
        f"--quota-backend-bytes={8 * 1024**3}",
        "--log-level=warn",
    )


def kube_apiserver(layout: Layout, authority: Authority, *, audit: bool) -> Component:
    """The API server: RBAC, NodeRestriction as kubeadm sets it, and everything else at its default."""
    cert, key = authority.server("apiserver", [HOST, "localhost", ADVERTISED, "10.96.0.1", "kubernetes.default.svc"])
    public, private = authority.signing_key("serviceaccounts")
    arguments = [
        f"--etcd-servers={layout.etcd}",
        f"--bind-address={HOST}",
        f"--secure-port={layout.api_port}",
        f"--advertise-address={ADVERTISED}",
        f"--tls-cert-file={cert}",
        f"--tls-private-key-file={key}",
        f"--client-ca-file={authority.cert_file}",
        f"--cert-dir={layout.folder}",
        f"--service-account-issuer={ISSUER}",
        f"--service-account-key-file={public}",
        f"--service-account-signing-key-file={private}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        # Names of fake nodes are in no DNS.
        "--kubelet-preferred-address-types=InternalIP",
        "--profiling=false",
    ]
    if audit:
        arguments += [
            f"--audit-policy-file={HERE / 'audit-policy.yaml'}",
            f"--audit-log-path={layout.audit_log}",
            "--audit-log-mode=blocking",  # an answered request is in the log
            "--audit-log-maxsize=100000",  # never rotated: readers keep offsets into it
        ]
    return layout.component("kube-apiserver", *arguments)


def kube_controller_manager(layout: Layout, authority: Authority, controllers: str) -> Component:
    """All controllers, each with its own account as in a real cluster, and not held back by client limits."""
    config = layout.kubeconfig(authority, "kube-controller-manager", "system:kube-controller-manager")
    return layout.component(
        "kube-controller-manager",
        f"--kubeconfig={config}",
        f"--controllers={controllers}",
        "--use-service-account-credentials=true",
        f"--service-account-private-key-file={authority.folder / 'serviceaccounts.key'}",
        f"--root-ca-file={authority.cert_file}",
        f"--cluster-signing-cert-file={authority.cert_file}",
        f"--cluster-signing-key-file={authority.key_file}",
        f"--kube-api-qps={QPS}",
        f"--kube-api-burst={BURST}",
        "--concurrent-deployment-syncs=20",
        "--concurrent-replicaset-syncs=20",
        "--leader-elect=false",
        "--secure-port=0",
        "--profiling=false",
    )


def kube_scheduler(layout: Layout, authority: Authority) -> Component:
    """The scheduler, not held back by client limits."""
    config = layout.kubeconfig(authority, "kube-scheduler", "system:kube-scheduler")
    file = layout.folder / "kube-scheduler.yaml"
    content = {
        "apiVersion": "kubescheduler.config.k8s.io/v1",
        "kind": "KubeSchedulerConfiguration",
        "clientConnection": {"kubeconfig": str(config), "qps": QPS, "burst": BURST},
        "leaderElection": {"leaderElect": False},
    }
    file.write_text(yaml.safe_dump(content))
    return layout.component("kube-scheduler", f"--config={file}", "--secure-port=0", "--profiling=false")


def kwok(layout: Layout, authority: Authority) -> Component:
    """The fake kubelets. Every container has written the same log, see LOG."""
    config = layout.kubeconfig(authority, "kwok", "localcluster:kwok", ("system:masters",))
    cert, key = authority.server("kubelet", [HOST])
    log = layout.folder / "containers.log"
    log.write_text("".join(f"{line.at} stdout F {line.text}\n" for line in LOG))
    logs = layout.folder / "logs.yaml"
    logs.write_text(
        yaml.safe_dump(
            {
                "apiVersion": "kwok.x-k8s.io/v1alpha1",
                "kind": "ClusterLogs",
                "metadata": {"name": "all"},
                "spec": {"logs": [{"logsFile": str(log)}]},
            }
        )
    )
    return layout.component(
        "kwok",
        f"--kubeconfig={config}",
        f"--config={HERE / 'stages.yaml'}",
        f"--config={logs}",
        "--manage-all-nodes=true",
        "--node-lease-duration-seconds=40",
        f"--server-address={HOST}:{layout.kubelet_port}",
        f"--node-ip={HOST}",
        f"--node-port={layout.kubelet_port}",
        f"--tls-cert-file={cert}",
        f"--tls-private-key-file={key}",
    )
