"""The operator's own rights: each is used, none is missing, and none is of the kind that leads to others.

One operator does everything there is to do, from its first election to its end; then what the chart gives it is
compared with what the API server's audit log says that it did.
"""

import tempfile
from pathlib import Path

import pytest

from aiagent_operator.core.archive import index
from aiagent_operator.core.objects import AgentIdentity
from support import agents, chart, gateway, memories
from support.agents import permission, rule
from support.committee import new_policy
from support.kube import Object
from support.memories import Sender
from support.operator import Installation
from support.runs import template
from support.services import make_services
from support.workplace import OPERATOR_USER, Workplace

Right = tuple[str, str, str]
MEASURED = '{"measurements": [{"name": "m", "value": "1"}]}'
ROLES = ("aiagent-operator", "aiagent-operator-namespaced", "aiagent-operator-apiserver-addresses")


def _rendered() -> dict[Right, str]:
    """(group, resource, verb) of every right that the chart gives the operator, with the role it stands in."""
    found: dict[Right, str] = {}
    for obj in chart.render():
        if obj["kind"] not in ("ClusterRole", "Role") or obj["metadata"]["name"] not in ROLES:
            continue
        where = f"{obj['kind']} {obj['metadata']['name']}"
        for each in obj["rules"]:
            for group in each["apiGroups"]:
                for resource in each["resources"]:
                    found |= {(group, resource, verb): where for verb in each["verbs"]}
    return found


@pytest.fixture
def place(vacant: Workplace) -> Workplace:
    vacant.installed.end_shared()
    return vacant


def test_nothing_in_the_chart_gives_the_operator_more_than_it_names() -> None:
    wild = ("*", "escalate", "bind", "impersonate", "nodes", "serviceaccounts/token", "pods/exec")
    for right, where in _rendered().items():
        assert not set(right) & set(wild), f"{where}: {right}"
        # In its own namespace, for the keys of archives.
        assert right[1] != "secrets" or where == "Role aiagent-operator", f"{where}: {right}"
    bound = {
        (obj["kind"], obj["roleRef"]["name"])
        for obj in chart.render()
        if obj["kind"] in ("ClusterRoleBinding", "RoleBinding")
        and any(s["kind"] == "ServiceAccount" and s["name"] == chart.ACCOUNT for s in obj["subjects"])
    }
    assert bound == {
        ("ClusterRoleBinding", "aiagent-operator"),
        ("ClusterRoleBinding", "aiagent-operator-namespaced"),
        ("ClusterRoleBinding", "workforce-grantable"),
        ("RoleBinding", "aiagent-operator"),
        ("RoleBinding", "aiagent-operator-apiserver-addresses"),
    }


@pytest.mark.timeout(600)
def test_every_right_is_used_and_none_is_missing(place: Workplace, installed: Installation) -> None:
    plane = place.plane
    mark = plane.audit_mark()
    operator = installed.process(scan_interval="5", retry_period="1")
    operator.forget_lease()  # the first operator of a cluster makes it
    gateway.install(place.admin)
    with operator:
        _everything(place)
        operator.until_idle()
        renewed = operator.metric("aiagent_api_requests_total", verb="PUT", resource="leases", code="200")
        assert renewed > 0

    gateway.remove(place.admin)
    calls = plane.audit(mark, user=OPERATOR_USER)
    refused = [f"{e.verb} {e.uri}: {e.annotations}" for e in calls if e.code == 403 and not _of_another(place, e.uri)]
    assert refused == []
    used: set[Right] = set()
    for event in calls:
        resource = f"{event.resource}/{event.subresource}" if event.subresource else event.resource
        if event.code < 400 or event.code in (404, 409):
            used.add((event.api_group, resource, event.verb))
    rendered = _rendered()
    assert {right: where for right, where in rendered.items() if right not in used} == {}, "superfluous rights"
    unnamed = {right for right in used if right[1] and right not in rendered}
    assert unnamed == set(), "used, though the chart's roles do not name it"


def _of_another(place: Workplace, uri: str) -> bool:
    """Whether it is about another test's namespace, which may be going away."""
    return "/namespaces/" in uri and not place.is_mine(uri) and chart.NAMESPACE not in uri


def _everything(place: Workplace) -> None:
    """Everything that an operator ever does."""
    crm, home = place.new_namespace("crm"), place.namespace
    left = agents.config_map(home, "aiagent.gone.0123456789")
    labels = {"agent": "gone", "agent-namespace": home, "agent-uid": "0f9a0f9a-left-by-an-agent-that-is-gone"}
    left["metadata"]["labels"] = {f"workforce.dev/{key}": value for key, value in labels.items()}
    place.admin.create(left)
    place.admin.wait_gone("v1", "configmaps", left["metadata"]["name"], namespace=home)
    place.admin.create(agents.config_map(home, "texts", guide="Be kind."))
    for kind in ("Deployment", "StatefulSet"):
        place.admin.create(agents.workload(home, kind.lower(), kind=kind))
    role = place.new_role(ceiling=[rule("get list update", "tickets")])
    new_policy(place, "keeps", {"roles": [role]}, revisionHistoryLimit=3)
    source = {"instructions": {"configMapKeyRef": {"name": "texts", "key": "guide"}}}
    place.employ("triage", role, permission("read-tickets", crm), permission("refund"), handbook=source)
    place.employ("first", role, permission("refund"), workload=agents.target("deployment"))
    place.employ("second", role, workload=agents.target("statefulset", kind="StatefulSet"))
    place.employ("third", place.name("missing"))
    measured = {"name": "held-out", "job": template(message=MEASURED), "metrics": [{"name": "m", "min": "1"}]}
    place.employ("fourth", role, retraining={"evaluations": [measured]})
    for name in ("triage", "first", "second", "fourth"):
        place.until_ready(name)
    personal = place.get("triage")["metadata"]["uid"]
    place.until_reason("third", "Ready", "RoleNotFound")
    _changes(place)
    _troubles(place)
    _rollout(place)
    _run(place)
    memories.claim(place.admin, home)
    place.employ("sixth", role, retirement=memories.MEMORY)
    remembers = place.until_ready("sixth")["metadata"]["uid"]
    for name in ("triage", "first", "second", "third", "fourth", "fifth", "sixth"):
        place.dismiss(name)
    with tempfile.TemporaryDirectory() as empty:
        sender = Sender.of(place, remembers)
        sender.end(*sender.run(Path(empty)))
    for name in ("triage", "first", "second", "third", "fourth", "fifth", "sixth"):
        place.until_gone(name)
    place.order("Erase", "forget", archiveRef={"name": index.name(AgentIdentity(home, "triage", personal))})
    place.until_ordered("forget", "Complete", "CarriedOut")


def _run(place: Workplace) -> None:
    """A training that is under way when the agent leaves."""
    place.change("triage", retraining={"jobTemplate": template(hold=True)})
    place.order("Retrain", "again", "triage")

    def known(agent: Object) -> bool:
        return any(entry["kind"] == "Job" for entry in agent["status"]["inventory"])

    place.until("triage", known, what="the run to be known as the agent's")


def _rollout(place: Workplace) -> None:
    """A revision that takes over by the weights of a route."""
    make_services(place, "stable", "canary", **{"workforce.dev/agent": "fifth"})
    place.admin.create(gateway.route(place.namespace, "stable", "canary", name="fifth"))
    routing = {"httpRoute": {"name": "fifth"}, "stableService": "stable", "canaryService": "canary"}
    steps = [{"weight": 50}, {"pause": {"duration": "1s"}}]
    delays = {"scaleDownDelaySeconds": 1, "abortScaleDownDelaySeconds": 1}
    rollout = {"strategy": "Canary", "steps": steps, "trafficRouting": routing, **delays}
    place.employ("fifth", place.get("triage")["spec"]["roleRef"]["name"], retraining={"rollout": rollout})
    place.until_ready("fifth")
    place.change("fifth", handbook={"instructions": {"inline": "Be brief."}})
    place.until("fifth", lambda a: a["status"]["revision"].get("stable") == 2, what="the revision to have taken over")
    beside = {"strategy": "Canary", "steps": [{"weight": 50}, {"pause": {"duration": "1s"}}]}
    for image in (agents.IMAGE, "registry.example/agent:2"):
        target = agents.target("deployment", image=image, take_over=True)
        place.change("first", workload=target, retraining={"rollout": beside})
        place.until_ready("first")


def _changes(place: Workplace) -> None:
    home = place.namespace
    crm = place.name("crm")
    place.admin.patch("v1", "configmaps", "texts", {"data": {"guide": "Be brief."}}, namespace=home)
    asked = [permission("read-tickets", crm), permission("refund", rules=[rule("update", "tickets")])]
    connection = {"name": "crm", "egress": {"cidr": "203.0.113.0/24", "port": 443}}
    place.change("triage", permissions=asked, connections=[connection])
    place.until_ready("triage")
    account = place.admin.get("v1", "serviceaccounts", "aiagent.triage", namespace=home)
    place.admin.replace({**account, "automountServiceAccountToken": True})
    stripped = {"metadata": {"labels": {"workforce.dev/agent": None}}}
    place.admin.patch(agents.RBAC, "rolebindings", "aiagent.triage", stripped, namespace=home)
    deployment: Object = {"spec": {"template": {"spec": {"terminationGracePeriodSeconds": 7}}}}
    place.admin.patch("apps/v1", "deployments", "triage-2", deployment, namespace=home)
    place.admin.wait_object(
        "v1",
        "serviceaccounts",
        "aiagent.triage",
        lambda a: a["automountServiceAccountToken"] is False,
        what="the account to be put right",
        namespace=home,
    )
    place.until_ready("triage")


def _troubles(place: Workplace) -> None:
    """A pod that does not start because a Secret is missing, as the kubelet would say it."""
    place.employ("stuck", place.get("triage")["spec"]["roleRef"]["name"], workload=agents.template(held=True))
    uid = place.until_reason("stuck", "WorkloadReady", "Progressing")["metadata"]["uid"]
    labels = f"workforce.dev/agent-uid={uid}"
    found = place.admin.wait_for(
        lambda: place.admin.list("v1", "pods", namespace=place.namespace, labels=labels), what="the pod"
    )
    pod = found[0]
    waiting = {"name": "app", "image": agents.IMAGE, "imageID": "", "ready": False, "restartCount": 0}
    # A patch, since the scheduler may have changed the pod since it was read.
    stuck = {"status": {"containerStatuses": [waiting | {"state": {"waiting": {"reason": "ContainerCreating"}}}]}}
    where = {"namespace": place.namespace, "subresource": "status"}
    place.admin.patch("v1", "pods", pod["metadata"]["name"], stuck, **where)
    about = {
        "kind": "Pod",
        "namespace": place.namespace,
        "name": pod["metadata"]["name"],
        "uid": pod["metadata"]["uid"],
    }
    place.admin.create(
        {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": "mount", "namespace": place.namespace},
            "involvedObject": about,
            "reason": "FailedMount",
            "message": 'MountVolume.SetUp failed: secret "zendesk" not found',
            "type": "Warning",
        }
    )
    place.until_reason("stuck", "WorkloadReady", "PodsFailing", 'secret "zendesk" not found')
    place.order("Suspend", "stop", "stuck")
    place.until_ordered("stop", "InForce", "InForce")
    place.order("Resume", "go-on", "stuck", ttlSecondsAfterFinished=0)
    place.order("Hold", "keep", "stuck", ground="LegalObligation")
    place.until_ordered("keep", "InForce", "NoArchive")
    place.order("Release", "let-go", "stuck", ttlSecondsAfterFinished=0)
    for name in ("stop", "go-on", "keep", "let-go"):
        place.admin.wait_gone(agents.API, "agentactions", name, namespace=place.namespace)
    place.dismiss("stuck")
    place.until_gone("stuck")
