"""Versions of an agent's work on a real API server: how one takes over, and how an order goes back."""

import time
from typing import Any

import pytest

from support import agents
from support.kube import ApiError, Object
from support.operator import OperatorProcess
from support.versions import deployments, ready, revisions, states
from support.workplace import Workplace

pytestmark = pytest.mark.cluster

HANDBOOK = {"instructions": {"inline": "Be brief."}}


def employ(place: Workplace, **spec: Any) -> Object:
    place.employ("triage", place.new_role(), **spec)
    return place.until_ready("triage")


def until_versions(place: Workplace, **versions: int) -> Object:
    """Wait until status.revision says this and nothing else."""
    return place.until("triage", lambda a: a["status"].get("revision") == versions, what=f"revisions {versions}")


def test_the_first_revision_says_what_the_agent_is(place: Workplace) -> None:
    agent = employ(place, model={"provider": "in-house", "name": "triage", "version": "1"})

    (first,) = revisions(place).values()
    assert agent["status"]["revision"] == {"stable": 1, "latest": 1}
    assert first["metadata"]["name"] == "triage-1"
    assert first["spec"]["agentRef"] == {"name": "triage", "uid": agent["metadata"]["uid"]}
    assert (first["spec"]["trigger"], first["spec"].get("parent")) == ("Created", None)
    work = first["spec"]["work"]
    assert work["images"] == [{"container": "app", "image": agents.IMAGE}]
    assert work["handbook"] == agent["status"]["handbook"]
    assert work["model"] == {"provider": "in-house", "name": "triage", "version": "1"}
    assert (first["status"]["state"], first["status"]["promotion"]) == ("Stable", 1)


def test_an_edit_of_the_work_takes_over_with_never_fewer_pods_ready(place: Workplace) -> None:
    employ(place, workload=agents.template(replicas=4))
    place.admin.wait_for(lambda: ready(place) == 4, what="four pods to be ready")

    place.change("triage", handbook=HANDBOOK)
    fewest = 4
    deadline = time.monotonic() + 60
    while not (place.is_ready("triage") and deployments(place) == {"triage-2": 4}):
        assert time.monotonic() < deadline, f"{deployments(place)}, {states(place)}"
        fewest = min(fewest, ready(place))

    assert fewest >= 4
    assert states(place) == {1: "Superseded", 2: "Stable"}
    second = revisions(place)[2]
    assert (second["spec"]["trigger"], second["spec"]["parent"]) == ("SpecChanged", 1)
    assert place.get("triage")["status"]["revision"] == {"stable": 2, "latest": 2}


def test_pods_that_never_become_ready_take_nothing_away(place: Workplace, operator: OperatorProcess) -> None:
    employ(place, workload=agents.template(replicas=2))
    place.change("triage", handbook=HANDBOOK, workload=agents.template(replicas=2, held=True))

    agent = place.until_reason("triage", "Ready", "Progressing", "revision 2 takes over", "revision 1 serves with 2")
    operator.until_idle()
    assert deployments(place) == {"triage-1": 2, "triage-2": 1}
    assert states(place) == {1: "Stable", 2: "RollingOut"}
    assert agent["status"]["revision"] == {"stable": 1, "rollingOut": 2, "latest": 2}

    place.replace_workload("triage", agents.template(replicas=2))
    until_versions(place, stable=3, latest=3)
    place.until_settled("triage")
    assert deployments(place) == {"triage-3": 2}
    assert states(place) == {1: "Superseded", 2: "Superseded", 3: "Stable"}


def test_what_is_no_work_changes_in_place(place: Workplace) -> None:
    employ(place)
    connections = [
        {"name": "crm", "egress": {"cidr": "203.0.113.0/24", "port": 443}, "audience": "https://crm.example"}
    ]
    place.change("triage", connections=connections, workload=agents.template(replicas=3))
    place.until_settled("triage")

    assert list(revisions(place)) == [1]
    assert deployments(place) == {"triage-1": 3}


def test_a_return_to_earlier_work_is_a_return_to_its_revision(place: Workplace) -> None:
    employ(place)
    place.change("triage", handbook=HANDBOOK)
    until_versions(place, stable=2, latest=2)
    place.change("triage", handbook={"instructions": {"inline": "Be kind."}})

    until_versions(place, stable=1, latest=2)
    place.until_settled("triage")
    assert states(place) == {1: "Stable", 2: "Superseded"}
    assert deployments(place) == {"triage-1": 1}


def test_history_is_kept_as_long_as_the_spec_says(place: Workplace) -> None:
    agent = employ(place, revisionHistoryLimit=1)
    for text in ("one", "two", "three"):
        place.change("triage", handbook={"instructions": {"inline": text}})
        place.until_settled("triage")

    assert states(place) == {3: "Superseded", 4: "Stable"}
    kept = {each["spec"]["work"]["handbook"]["configMap"] for each in revisions(place).values()}
    uid = agent["metadata"]["uid"]
    assert {name for kind, _, name in place.children(uid) if kind == "ConfigMap"} == kept

    place.change("triage", revisionHistoryLimit=0, handbook={"instructions": {"inline": "one"}})
    place.until("triage", lambda a: a["status"].get("revision", {}).get("stable") == 5, what="a number of its own")
    place.until_settled("triage")
    assert states(place) == {5: "Stable"}


def test_an_agent_suspended_while_one_takes_over_goes_on_when_it_is_resumed(place: Workplace) -> None:
    employ(place)
    place.change("triage", handbook=HANDBOOK, workload=agents.template(held=True), suspended=True)
    place.until_reason("triage", "Ready", "Suspended")
    assert set(deployments(place).values()) <= {0}
    assert states(place)[1] == "Stable"

    place.replace_workload("triage", agents.template())
    place.change("triage", suspended=False)
    place.until_settled("triage")
    assert deployments(place) == {"triage-3": 1}
    assert states(place) == {1: "Superseded", 2: "Superseded", 3: "Stable"}


def test_a_record_that_is_taken_away_is_made_anew_and_the_work_goes_on(place: Workplace) -> None:
    employ(place)

    # Only who may abandon agents can; the number is not given twice.
    place.admin.delete(agents.API, "agentrevisions", "triage-1", namespace=place.namespace)

    until_versions(place, stable=2, latest=2)
    place.until_settled("triage")
    assert deployments(place) == {"triage-2": 1}


def test_an_order_goes_back_and_the_spec_stays_as_it_is(place: Workplace, operator: OperatorProcess) -> None:
    employ(place)
    place.change("triage", handbook=HANDBOOK)
    until_versions(place, stable=2, latest=2)
    spec = place.get("triage")["spec"]

    place.order("Rollback", "back", "triage")
    place.until_ordered("back", "Complete", "CarriedOut", "Revision 1 serves")

    agent = until_versions(place, stable=1, heldBack=2, latest=2)
    place.until_settled("triage")
    assert agent["spec"] == spec
    assert states(place) == {1: "Stable", 2: "RolledBack"}
    assert deployments(place) == {"triage-1": 1}
    assert revisions(place)[1]["status"]["order"]["name"] == "back"
    assert agent["status"]["handbook"] == revisions(place)[1]["spec"]["work"]["handbook"]

    mark = place.plane.audit_mark()
    operator.restart()
    operator.until_idle()
    assert place.writes(mark) == [], "what an order put in place stays"

    place.change("triage", handbook={"instructions": {"inline": "Be honest."}})
    until_versions(place, stable=3, latest=3)
    place.order("Rollback", "forth", "triage", revision=2)
    place.until_ordered("forth", "Complete", "CarriedOut", "Revision 2 serves")
    place.until_settled("triage")
    assert states(place) == {1: "Superseded", 2: "Stable", 3: "RolledBack"}


def test_going_back_while_another_one_takes_over_keeps_what_serves(place: Workplace) -> None:
    employ(place)
    place.change("triage", workload=agents.template(held=True))
    place.until_reason("triage", "Ready", "Progressing", "revision 2 takes over")

    place.order("Rollback", "back", "triage")
    place.until_ordered("back", "Complete", "CarriedOut", "Revision 1 serves")

    place.until_settled("triage")
    assert states(place) == {1: "Stable", 2: "RolledBack"}
    assert deployments(place) == {"triage-1": 1}


def test_orders_that_cannot_be_carried_out_say_why(place: Workplace) -> None:
    employ(place)
    place.order("Rollback", "back", "triage")
    place.until_ordered("back", "Failed", "NoRevision", "served before")
    place.order("Rollback", "far", "triage", revision=7)
    place.until_ordered("far", "Failed", "NoRevision", "has no revision 7: name one of 1")
    place.order("Rollback", "nobody", "ghost")
    place.until_ordered("nobody", "Failed", "NoAgent", "ghost")
    for wrong, text in (
        ({"action": "Rollback"}, "name it in agentRef"),
        ({"action": "Suspend", "agent": "triage", "revision": 1}, "revision goes with Rollback only"),
    ):
        agent = wrong.pop("agent", None)
        action = str(wrong.pop("action"))
        about = (str(agent),) if agent else ()
        more: Any = wrong if agent else {"selector": {"matchLabels": {"a": "b"}}}
        with pytest.raises(ApiError, match=text):
            place.order(action, "wrong", *about, **more)


def test_the_newest_order_holds(place: Workplace) -> None:
    employ(place)
    for text in ("one", "two"):
        place.change("triage", handbook={"instructions": {"inline": text}})
        place.until_settled("triage")
    place.order("Suspend", "stop", "triage")
    place.until_ordered("stop", "InForce", "InForce")
    place.order("Rollback", "first", "triage", revision=1)
    place.until_ordered("first", "Pending", "RollingBack", "is suspended")
    place.order("Rollback", "second", "triage", revision=2)
    place.until_ordered("first", "Failed", "Overtaken", "second")

    place.order("Resume", "go-on", "triage")
    place.until_ordered("second", "Complete", "CarriedOut", "Revision 2 serves")
    place.until_settled("triage")
    assert states(place) == {1: "Superseded", 2: "Stable", 3: "RolledBack"}


def test_an_owners_edit_of_a_target_is_recorded(place: Workplace) -> None:
    place.admin.create(agents.workload(place.namespace, "router"))
    place.employ("triage", place.new_role(), workload=agents.target("router"))
    place.until(
        "triage", lambda a: a["status"].get("revision") == {"stable": 1, "latest": 1}, what="its first revision"
    )

    image = {"spec": {"template": {"spec": {"containers": [{"name": "app", "image": "registry.example/app:2"}]}}}}
    place.admin.patch("apps/v1", "deployments", "router", image, namespace=place.namespace, kind="strategic")

    place.until(
        "triage", lambda a: a["status"].get("revision") == {"stable": 2, "latest": 2}, what="the edit on record"
    )
    found = revisions(place)
    assert [found[number]["spec"]["trigger"] for number in (1, 2)] == ["Created", "TargetChanged"]
    assert found[2]["spec"]["work"]["images"] == [{"container": "app", "image": "registry.example/app:2"}]
    assert "template" not in found[2]["spec"]["work"]
    place.order("Rollback", "back", "triage")
    place.until_ordered("back", "Failed", "NoRevision", "its owner's")
