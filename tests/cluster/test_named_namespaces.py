"""An operator that looks after some namespaces only: its rights end at their borders, and it needs no others."""

from collections.abc import Iterator

import pytest

from support import agents
from support.agents import permission
from support.kube import ApiError
from support.localcluster import ControlPlane
from support.operator import Installation
from support.workplace import OPERATOR_USER

pytestmark = pytest.mark.xdist_group("named namespaces")

HOME, CRM, ELSEWHERE = "team-a", "team-b", "team-c"


@pytest.fixture(scope="module")
def confined() -> Iterator[Installation]:
    """A cluster of its own, since the operator's rights are others here."""
    with ControlPlane() as plane:
        for name in (HOME, CRM, ELSEWHERE):
            metadata = {"name": name, "labels": {"tests": "true"}}
            plane.admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        installed = Installation(plane, values={"watchNamespaces": [HOME, CRM]}).install(probe=HOME)
        yield installed
        installed.close()


@pytest.mark.timeout(600)
def test_agents_there_are_employed_and_let_go_with_rights_in_these_namespaces_only(confined: Installation) -> None:
    admin, plane = confined.admin, confined.cluster
    assert isinstance(plane, ControlPlane)
    admin.create(agents.role("support"))
    admin.create(agents.agent(ELSEWHERE, "other", "support", permission("read-tickets")))
    admin.create(agents.agent(HOME, "triage", "support", permission("read-tickets", CRM), permission("refund")))
    mark = plane.audit_mark()

    with confined.process(watch_namespaces=f"{HOME},{CRM}", scan_interval="5") as operator:
        agent = admin.wait_object(
            agents.API,
            "aiagents",
            "triage",
            lambda a: (agents.condition(a, "Ready") or {}).get("status") == "True",
            what="the agent to be onboarded",
            namespace=HOME,
        )
        user, groups = agents.username(HOME, "triage"), agents.groups(HOME)
        question = {"groups": groups, "group": "crm.example"}
        admin.wait_for(lambda: admin.allowed(user, "get", "tickets", namespace=CRM, **question), what="its rights")
        assert not admin.allowed(user, "get", "tickets", namespace=ELSEWHERE, **question)
        admin.delete(agents.RBAC, "rolebindings", "aiagent.triage", namespace=HOME)
        admin.wait_object(agents.RBAC, "rolebindings", "aiagent.triage", bool, what="the binding again", namespace=HOME)
        operator.until_idle()
        admin.delete(agents.API, "aiagents", "triage", namespace=HOME)
        admin.wait_gone(agents.API, "aiagents", "triage", namespace=HOME)

    other = admin.get(agents.API, "aiagents", "other", namespace=ELSEWHERE)
    assert "finalizers" not in other["metadata"]
    assert other["status"]["conditions"][0]["reason"] == "Pending"
    uid = agent["metadata"]["uid"]
    assert admin.list(agents.RBAC, "rolebindings", labels=f"workforce.dev/agent-uid={uid}") == []
    refused = [f"{e.verb} {e.uri}" for e in plane.audit(mark, user=OPERATOR_USER) if e.code == 403]
    assert refused == []


def test_the_operator_s_account_may_do_nothing_elsewhere(confined: Installation) -> None:
    operator = confined.admin.as_serviceaccount("workforce-system", "aiagent-operator")

    for attempt in (
        lambda: operator.list("v1", "configmaps", namespace=ELSEWHERE),
        lambda: operator.list(agents.API, "aiagents", namespace=ELSEWHERE),
        lambda: operator.list(agents.RBAC, "rolebindings"),
        lambda: operator.create(agents.config_map(ELSEWHERE, "aiagent.x.0123456789")),
    ):
        with pytest.raises(ApiError) as refused:
            attempt()
        assert refused.value.status == 403
