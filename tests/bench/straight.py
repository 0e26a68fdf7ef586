"""The limit of onboarding: the very objects that the operator makes, written straight, by the fastest client."""

from __future__ import annotations

import copy
import uuid
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import orjson

from aiagent_operator.api import meta
from bench import agents
from bench.fleet import Fleet
from bench.load import Client, Request
from bench.watcher import Agent
from support.kube import Kube, Object

_DROPPED = ("uid", "resourceVersion", "creationTimestamp", "generation", "managedFields")
_MARK_NAME, _MARK_NAMESPACE, _MARK_UID = "@its-name@", "@its-home@", "@its-uid@"
_PATHS = {
    "ServiceAccount": agents.COLLECTIONS["serviceaccounts"],
    "ConfigMap": agents.COLLECTIONS["configmaps"],
    "Role": agents.COLLECTIONS["roles"],
    "RoleBinding": agents.COLLECTIONS["rolebindings"],
    "NetworkPolicy": agents.COLLECTIONS["networkpolicies"],
    "Deployment": agents.COLLECTIONS["deployments"],
    "AgentRevision": agents.COLLECTIONS["agentrevisions"],
}

# What is changed in the objects. Not everybody may write the reserved names and labels; and objects that bear an
# agent's UID are the operator's to remove where there is no such agent.
AS_THEY_ARE: Mapping[str, str] = {}
DISGUISED: Mapping[str, str] = {
    '"aiagent.': '"another.',
    '"workforce.dev/': '"bench.example/',
    '"aiagent-operator"': '"another-operator"',
}
UNOWNED: Mapping[str, str] = {'"workforce.dev/agent-uid"': '"bench.example/agent-uid"'}
# Name and namespace of the agent that a template is made from: words that occur nowhere else in its objects.
_MODEL = ("zebra-crossing", "walrus-bay")


class Template:
    """The children of one agent as text, with marks where other agents differ."""

    def __init__(self, children: Sequence[Object], name: str, namespace: str, uid: str) -> None:
        kinds = sorted(child["kind"] for child in children)
        if kinds != sorted(_PATHS):
            raise ValueError(f"an onboarded agent should have one of each of {sorted(_PATHS)}, has {kinds}")
        self._texts: dict[str, str] = {}
        for child in children:
            text = orjson.dumps(_plain(child)).decode()
            text = text.replace(uid, _MARK_UID)
            self._texts[child["kind"]] = text.replace(name, _MARK_NAME).replace(namespace, _MARK_NAMESPACE)

    @classmethod
    def read(cls, admin: Kube, name: str, namespace: str) -> Template:
        """From an agent that the operator has onboarded."""
        uid = admin.get(meta.API_VERSION, "aiagents", name, namespace=namespace)["metadata"]["uid"]
        selector = f"{meta.LABEL_AGENT_UID}={uid}"
        children = [
            child
            for kind in agents.KINDS
            for child in admin.list(agents.VERSIONS[kind], kind, namespace=namespace, labels=selector)
        ]
        return cls(children, name, namespace, uid)

    def requests(
        self, client: Client, wanted: Sequence[Agent], *, disguise: Mapping[str, str] = AS_THEY_ARE
    ) -> list[Request]:
        """One write for each child; the RoleBinding after its Role, which the API server asks for."""
        return [request for name, where in wanted for request in self._of(client, name, where, disguise)]

    def rights(self, client: Client, wanted: Sequence[Agent]) -> list[Request]:
        """As `requests`, of Roles and RoleBindings alone, and as objects that no agent owns."""
        return [next(self._of(client, name, where, UNOWNED)) for name, where in wanted]

    def _of(self, client: Client, name: str, where: str, disguise: Mapping[str, str]) -> Iterator[Request]:
        uid = str(uuid.uuid4())

        def request(kind: str, then: Request | None = None) -> Request:
            text = self._texts[kind].replace(_MARK_UID, uid).replace(_MARK_NAME, name).replace(_MARK_NAMESPACE, where)
            for old, new in disguise.items():
                text = text.replace(old, new)
            path = _PATHS[kind].format(where) + "?fieldManager=straight"
            return client.request("POST", path, orjson.loads(text), then=then)

        yield request("Role", request("RoleBinding"))
        for kind in ("ServiceAccount", "NetworkPolicy", "ConfigMap", "Deployment"):
            yield request(kind)
        # Nobody but the operator may write records, whatever their labels say.
        if disguise is not DISGUISED:
            yield request("AgentRevision")


def model(fleet: Fleet) -> Template:
    """The objects of one agent, from a real onboarding."""
    name, where = _MODEL
    fleet.namespaces([where])
    operator = fleet.operator()
    fleet.onboard(operator, [_MODEL])
    template = Template.read(fleet.admin, name, where)
    operator.terminate()
    return template


def _plain(child: Object) -> Object:
    """As it was sent: without what the API server added to its metadata and status."""
    plain: dict[str, Any] = copy.deepcopy(child)
    plain.pop("status", None)
    for name in _DROPPED:
        plain["metadata"].pop(name, None)
    annotations = plain["metadata"].get("annotations", {})
    annotations.pop("deployment.kubernetes.io/revision", None)
    if not annotations:
        plain["metadata"].pop("annotations", None)
    return plain
