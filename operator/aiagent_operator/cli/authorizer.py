"""Questions to the API server's authorizer: what somebody may do, and what the one who asks may do."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from aiagent_operator.cli.errors import CliError, RefusedError
from aiagent_operator.cli.kube import Cluster, Object

_API: Final = "/apis/authorization.k8s.io/v1"
_VERSION: Final = "authorization.k8s.io/v1"


@dataclass(frozen=True, slots=True)
class Question:
    """One request that somebody might make; empty fields mean none (namespace: the whole cluster)."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    name: str = ""
    subresource: str = ""

    def attributes(self) -> dict[str, str]:
        """As `resourceAttributes` of authorization.k8s.io/v1."""
        pairs = {
            "namespace": self.namespace,
            "verb": self.verb,
            "group": self.group,
            "resource": self.resource,
            "subresource": self.subresource,
            "name": self.name,
        }
        return {key: value for key, value in pairs.items() if value}

    def __str__(self) -> str:
        group = f".{self.group}" if self.group else ""
        part = f"/{self.subresource}" if self.subresource else ""
        name = f' "{self.name}"' if self.name else ""
        where = f" in namespace {self.namespace}" if self.namespace else ""
        return f"{self.verb} {self.resource}{group}{part}{name}{where}"


@dataclass(frozen=True, slots=True)
class Answer:
    """The authorizer's answer; `asked` is the kind of review that gave it."""

    allowed: bool
    reason: str
    asked: str


def of_user(cluster: Cluster, user: str, groups: tuple[str, ...], question: Question) -> Answer:
    """Whether that user may do it.

    Asked by a SubjectAccessReview or, where the one who asks may not create one, by a LocalSubjectAccessReview, which
    the built-in `admin` of a namespace may create there. CliError where neither is allowed.
    """
    spec = {"user": user, "groups": list(groups), "resourceAttributes": question.attributes()}
    what = f"SubjectAccessReview for {user}"
    for namespace in dict.fromkeys(("", question.namespace)):
        try:
            return _ask(cluster, spec, what=what, namespace=namespace)
        except RefusedError as error:
            if error.status != 403:
                raise
    where = f", nor localsubjectaccessreviews in namespace {question.namespace}" if question.namespace else ""
    raise CliError(
        f"you may not ask what {user} may do: you have no right to create subjectaccessreviews{where}. Ask an "
        "administrator to bind you ClusterRole system:auth-delegator, or workforce-admin in that namespace; or read "
        "what the operator reports with `can-i NAME --list`"
    )


def of_myself(cluster: Cluster, question: Question) -> bool | None:
    """Whether the one who asks may do it (SelfSubjectAccessReview); None where even that is refused."""
    spec = {"resourceAttributes": question.attributes()}
    try:
        return _ask(cluster, spec, kind="SelfSubjectAccessReview", what=f"SelfSubjectAccessReview ({question})").allowed
    except RefusedError:
        return None


def _ask(
    cluster: Cluster, spec: Object, *, what: str, namespace: str = "", kind: str = "SubjectAccessReview"
) -> Answer:
    """The answer of a review; with a namespace, of one that is local to it."""
    body: Object = {"apiVersion": _VERSION, "kind": f"Local{kind}" if namespace else kind, "spec": spec}
    where = ""
    if namespace:
        body["metadata"] = {"namespace": namespace}
        where = f"/namespaces/{quote(namespace, safe='')}"
    status = cluster.create(f"{_API}{where}/{body['kind'].lower()}s", body, what=what)["status"]
    reason = status.get("reason") or status.get("evaluationError") or ""
    return Answer(bool(status.get("allowed")), reason, body["kind"])
