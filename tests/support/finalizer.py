"""The operator's finalizer, which the API server gives agents at birth where it has mutating admission policies."""

from collections.abc import Iterator
from contextlib import contextmanager

from aiagent_operator.api import meta
from support.kube import ApiError, Kube, Object, wait_for

POLICY = "born-with-finalizer.workforce.dev"
# The chart makes it only where the API server has the kind (Kubernetes 1.36): Helm asks it, `helm template` is told.
MUTATING_POLICIES = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"


@contextmanager
def born_without_it(admin: Kube, namespace: str) -> Iterator[None]:
    """Meanwhile agents come without the finalizer, as where the API server has no mutating policies."""
    if not has_mutating_policies(admin):
        yield
        return
    where = ("admissionregistration.k8s.io/v1", "mutatingadmissionpolicybindings", POLICY)
    binding = admin.get(*where)
    admin.delete(*where)
    wait_for(lambda: not born_with_it(admin, namespace), what="agents to come without the finalizer")
    try:
        yield
    finally:
        admin.create({**binding, "metadata": {k: binding["metadata"][k] for k in ("name", "labels")}})
        wait_for(lambda: born_with_it(admin, namespace), what="agents to be born with the finalizer again")


def has_mutating_policies(admin: Kube) -> bool:
    """Whether the API server has mutating admission policies."""
    resources = admin.raw("GET", "/apis/admissionregistration.k8s.io/v1")["resources"]
    return any(resource["kind"] == "MutatingAdmissionPolicy" for resource in resources)


def born_with_it(admin: Kube, namespace: str) -> bool:
    """Whether an agent that is made there has the operator's finalizer from the beginning (asked by a dry run)."""
    subject = {"kind": "User", "name": "nobody@corp.example"}
    owner = {"name": "nobody", "function": "IT", "responsibility": "Accountable", "subject": subject}
    agent: Object = {
        "apiVersion": meta.API_VERSION,
        "kind": "AIAgent",
        "metadata": {"generateName": "probe-", "namespace": namespace},
        "spec": {
            "roleRef": {"name": "probe"},
            "purpose": "Show what the API server makes of it",
            "owners": [owner],
            "workload": {"targetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "probe"}},
        },
    }
    try:
        born = admin.create(agent, dry_run=True)
    except ApiError as error:
        if error.status == 503:  # up to 5 s after the kind was made, while mutating policies do not know its schema
            return False
        raise
    return meta.FINALIZER in born["metadata"].get("finalizers", [])
