"""Adoption of a workload that somebody else owns, by the running operator: put in, kept, refused, given back."""

import pytest

from support import agents
from support.agents import permission
from support.kube import Object
from support.operator import OperatorProcess
from support.workplace import Workplace

LABELS = {"workforce.dev/agent", "workforce.dev/agent-namespace", "workforce.dev/agent-uid"}
OWNER = "argocd-controller"


def _get(place: Workplace, kind: str = "Deployment", name: str = "router") -> Object:
    return place.admin.get("apps/v1", kind, name, namespace=place.namespace)


def _pod(obj: Object) -> Object:
    spec: Object = obj["spec"]["template"]["spec"]
    return spec


def _essence(obj: Object) -> Object:
    """What its owner cares for: everything but the status and the bookkeeping of the API server."""
    dropped = ("resourceVersion", "generation", "managedFields", "annotations")
    metadata = {k: v for k, v in obj["metadata"].items() if k not in dropped}
    annotations = obj["metadata"].get("annotations", {})
    kept = {k: v for k, v in annotations.items() if not k.startswith("deployment.kubernetes.io/")}
    return {"metadata": metadata | ({"annotations": kept} if kept else {}), "spec": obj["spec"]}


@pytest.mark.parametrize("kind", ["Deployment", "StatefulSet"])
def test_a_workload_gets_identity_and_handbook_and_is_given_back_as_it_was(place: Workplace, kind: str) -> None:
    place.admin.apply(agents.workload(place.namespace, "router", kind=kind, replicas=2), manager=OWNER)
    before = _get(place, kind)
    place.employ("triage", place.new_role(), permission("read-tickets"), workload=agents.target("router", kind=kind))

    agent = place.until_ready("triage")

    adopted = _get(place, kind)
    uid = agent["metadata"]["uid"]
    assert adopted["metadata"]["uid"] == before["metadata"]["uid"]
    assert adopted["metadata"]["annotations"]["workforce.dev/claimed-by"] == uid
    assert adopted["metadata"]["labels"].keys() >= LABELS
    assert adopted["spec"]["template"]["metadata"]["labels"].keys() >= LABELS
    assert "app.kubernetes.io/managed-by" not in adopted["metadata"]["labels"]
    pod = _pod(adopted)
    assert pod["serviceAccountName"] == "aiagent.triage"
    assert pod["containers"][0]["image"] == agents.IMAGE
    mounted = {m["mountPath"] for m in pod["containers"][0]["volumeMounts"]}
    assert "/etc/workforce/handbook" in mounted
    assert (agent["status"]["replicas"], agent["status"]["readyReplicas"]) == (2, 2)
    assert (kind, place.namespace, "router") in place.children(uid)

    place.dismiss("triage")
    place.until_gone("triage")

    released = _get(place, kind)
    assert _essence(released) == _essence(before)
    assert place.children(uid) == {}


def test_the_owner_s_next_apply_changes_nothing_of_the_agent_s(place: Workplace, operator: OperatorProcess) -> None:
    wanted = agents.workload(place.namespace, "router")
    place.admin.apply(wanted, manager=OWNER)
    place.employ("triage", place.new_role(), workload=agents.target("router"))
    place.until_ready("triage")
    operator.until_idle()
    mark = place.plane.audit_mark()
    rolled = _get(place)["metadata"]["generation"]

    place.admin.apply(wanted, manager=OWNER)
    wanted["spec"]["template"]["spec"]["containers"][0]["image"] = "registry.example/agent:2"
    place.admin.apply(wanted, manager=OWNER)
    place.until_settled("triage")

    now = _get(place)
    assert now["metadata"]["generation"] == rolled + 1
    assert _pod(now)["containers"][0]["image"] == "registry.example/agent:2"
    assert _pod(now)["serviceAccountName"] == "aiagent.triage"
    assert {w.resource for w in place.writes(mark)} <= {"aiagents", "agentrevisions", "events"}, "it is put on record"
    place.until_reason("triage", "WorkloadReady", "UngatedChange", "Revision 2", "Deployment router")


def test_what_is_taken_out_of_a_target_is_put_back(place: Workplace) -> None:
    place.admin.create(agents.workload(place.namespace, "router"))
    place.employ("triage", place.new_role(), workload=agents.target("router"))
    place.until_ready("triage")
    out = {"name": "workforce-handbook", "$patch": "delete"}
    mount = {"mountPath": "/etc/workforce/handbook", "$patch": "delete"}
    pod = {"volumes": [out], "containers": [{"name": "app", "volumeMounts": [mount]}]}

    patch = {"spec": {"template": {"spec": pod}}}
    place.admin.patch("apps/v1", "deployments", "router", patch, namespace=place.namespace, kind="strategic")

    place.admin.wait_for(
        lambda: "workforce-handbook" in {v["name"] for v in _pod(_get(place)).get("volumes", [])},
        what="the handbook to be mounted again",
    )
    place.until_ready("triage")


def test_a_target_of_another_agent_is_claimed_until_that_agent_leaves(place: Workplace) -> None:
    place.admin.create(agents.workload(place.namespace, "router"))
    role = place.new_role()
    place.employ("first", role, workload=agents.target("router"))
    first = place.until_ready("first")["metadata"]["uid"]
    place.employ("second", role, permission("read-tickets"), workload=agents.target("router"))

    place.until_reason("second", "Ready", "TargetClaimed", f"{place.namespace}/first", "name another workload")
    assert _get(place)["metadata"]["annotations"]["workforce.dev/claimed-by"] == first
    assert _pod(_get(place))["serviceAccountName"] == "aiagent.first"

    place.dismiss("first")
    place.until_gone("first")
    second = place.until_ready("second")["metadata"]["uid"]
    assert _get(place)["metadata"]["annotations"]["workforce.dev/claimed-by"] == second


def test_the_deployment_of_an_agent_s_template_cannot_be_adopted(place: Workplace) -> None:
    role = place.new_role()
    place.employ("first", role)
    place.until_ready("first")

    place.employ("second", role, workload=agents.target("first-1"))

    place.until_reason("second", "Ready", "TargetClaimed", "made from the template", f"{place.namespace}/first")


def test_an_account_that_the_owner_sets_is_a_conflict_with_a_remedy(place: Workplace) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "own", "namespace": place.namespace}}
    place.admin.create(account)
    wanted = agents.workload(place.namespace, "router", serviceAccountName="own")
    place.admin.apply(wanted, manager=OWNER)
    place.employ("triage", place.new_role(), permission("read-tickets"), workload=agents.target("router"))

    place.until_reason("triage", "Ready", "FieldConflict", OWNER, "serviceAccountName", "TakeOver")
    assert _pod(_get(place))["serviceAccountName"] == "own"
    place.until_can("triage", "get", "tickets")

    del wanted["spec"]["template"]["spec"]["serviceAccountName"]
    place.admin.apply(wanted, manager=OWNER)
    clear = {"spec": {"template": {"spec": {"serviceAccountName": None, "serviceAccount": None}}}}
    place.admin.patch("apps/v1", "deployments", "router", clear, namespace=place.namespace)
    place.until_ready("triage")


def test_a_take_over_happens_once_and_is_undone_on_release(place: Workplace) -> None:
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "own", "namespace": place.namespace}}
    place.admin.create(account)
    wanted = agents.workload(place.namespace, "router", serviceAccountName="own")
    place.admin.apply(wanted, manager=OWNER)
    before = _get(place)
    place.employ("triage", place.new_role(), workload=agents.target("router", take_over=True))

    place.until_ready("triage")
    adopted = _get(place)
    assert _pod(adopted)["serviceAccountName"] == "aiagent.triage"
    assert adopted["metadata"]["annotations"]["workforce.dev/prior-service-account"] == "own"
    assert adopted["metadata"]["annotations"]["workforce.dev/prior-manager"] == OWNER

    place.dismiss("triage")
    place.until_gone("triage")
    assert _essence(_get(place)) == _essence(before)
    place.admin.apply(wanted, manager=OWNER)

    place.employ("second", place.new_role("other"), workload=agents.target("router", take_over=True))
    place.until_ready("second")
    place.admin.apply(wanted, manager=OWNER, force=True)
    place.until_reason("second", "Ready", "FieldConflict", OWNER, "not taken a second time")
    assert _pod(_get(place))["serviceAccountName"] == "own"


def test_a_target_that_is_deleted_and_comes_back_is_adopted_again(place: Workplace) -> None:
    place.admin.create(agents.workload(place.namespace, "router"))
    place.employ("triage", place.new_role(), permission("read-tickets"), workload=agents.target("router"))
    place.until_ready("triage")

    place.admin.delete("apps/v1", "deployments", "router", namespace=place.namespace)
    place.until_reason("triage", "Ready", "TargetNotFound", "router")
    place.admin.create(agents.workload(place.namespace, "router"))

    place.until_ready("triage")
    assert _pod(_get(place))["serviceAccountName"] == "aiagent.triage"


def test_another_target_gets_the_agent_and_the_first_is_released(place: Workplace) -> None:
    for name in ("router", "other"):
        place.admin.create(agents.workload(place.namespace, name))
    before = _get(place)
    place.employ("triage", place.new_role(), workload=agents.target("router"))
    place.until_ready("triage")

    place.replace_workload("triage", agents.target("other"))
    place.until_ready("triage")

    assert _essence(_get(place)) == _essence(before)
    assert _pod(_get(place, name="other"))["serviceAccountName"] == "aiagent.triage"


def test_an_account_of_another_agent_is_not_given_back_to_who_asks_for_it(place: Workplace) -> None:
    """The record of the prior account is an annotation, which whoever may update the workload can write."""
    place.admin.create(agents.workload(place.namespace, "router"))
    place.employ("payroll", place.new_role(), permission("read-tickets"))
    place.employ("triage", place.new_role("other"), workload=agents.target("router"))
    for name in ("payroll", "triage"):
        place.until_ready(name)
    claim = {"metadata": {"annotations": {"workforce.dev/prior-service-account": "aiagent.payroll"}}}
    place.admin.patch("apps/v1", "deployments", "router", claim, namespace=place.namespace)

    place.dismiss("triage")
    place.until_gone("triage")

    assert _pod(_get(place)).get("serviceAccountName") in (None, "default")
