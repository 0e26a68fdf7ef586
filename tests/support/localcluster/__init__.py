"""A Kubernetes control plane on this machine, for tests and the demo.

etcd, kube-apiserver, kube-controller-manager, kube-scheduler and kwok (fake nodes), built once from pinned Go modules.
"""

from support.localcluster.audit import AuditEvent
from support.localcluster.errors import BuildError, ComponentDied, LocalClusterError, StartTimeout
from support.localcluster.plane import ControlPlane

__all__ = ["AuditEvent", "BuildError", "ComponentDied", "ControlPlane", "LocalClusterError", "StartTimeout"]
